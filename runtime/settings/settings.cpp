#include "runtime/settings/settings.hpp"

#include <algorithm>
#include <cctype>
#include <limits>
#include <stdexcept>

namespace hornbeam::runtime {

namespace {

constexpr std::size_t longest_node_name = 255;
/// On one line, and not the whole of what is far too long.
std::string shown(const std::string& x) {
  constexpr const char* digits = "0123456789abcdef";
  std::string out;
  for (unsigned char c : x.substr(0, longest_word + 1))
    if (std::iscntrl(c))
      out += {'\\', 'x', digits[c >> 4], digits[c & 15]};
    else
      out += static_cast<char>(c);
  return x.size() > longest_word + 1 ? out + "..." : out;
}

[[noreturn]] void refuse(const std::string& setting, const std::string& what) {
  throw std::invalid_argument(setting + " " + what);
}

} // namespace

bool is_word(const std::string& x, std::size_t most) {
  return !x.empty() && x.size() <= most
         && std::all_of(x.begin(), x.end(), [](unsigned char c) {
              return std::isalnum(c) || c == '_' || c == '-' || c == '.';
            });
}

bool is_node_name(const std::string& x) {
  auto at = x.find('@');
  return at != std::string::npos && x.size() <= longest_node_name
         && is_word(x.substr(0, at), longest_node_name)
         && is_word(x.substr(at + 1), longest_node_name);
}

std::string with_number(std::string name, unsigned number) {
  return name.replace(name.find('#'), 1, std::to_string(number));
}

bool is_numbered(const std::string& name) {
  auto mark = name.find('#');
  return mark != std::string::npos && mark < name.find('@')
         && is_node_name(with_number(name, 1));
}

std::string first_numbered(const std::string& name) {
  return is_numbered(name) ? with_number(name, 1) : name;
}

std::string with_host(const std::string& name, const std::string& host) {
  auto full = name + "@" + host;
  return is_word(name) || is_numbered(full) ? full : name;
}

peer_setting split_target(const std::string& x) {
  auto at = x.find('@');
  auto colon = x.rfind(':');
  if (at == std::string::npos || colon == std::string::npos || colon < at)
    return {x, {}};
  return {x.substr(0, colon), x.substr(at + 1)};
}

std::string bounds_text(std::int64_t least, std::int64_t most) {
  return most == std::numeric_limits<std::int64_t>::max()
           ? "at least " + std::to_string(least)
           : "between " + std::to_string(least) + " and "
               + std::to_string(most);
}

address announced_address(const node_settings& x, const std::string& name,
                          std::uint16_t port) {
  if (auto given = parse_address(x.advertise))
    return *given;
  if (!x.advertise.empty())
    return {x.advertise, port};
  return {is_any_address(x.host) ? name.substr(name.find('@') + 1) : x.host,
          port};
}

bool is_full_name(const std::string& x) {
  auto at = x.find('@');
  return at != std::string::npos && is_word(x.substr(0, at))
         && x.find(':') == std::string::npos && is_host(x.substr(at + 1));
}

void require_settings(const node_settings& x) {
  each_node_number([&](auto option) {
    auto value = static_cast<std::int64_t>(x.*option.member);
    if (value < option.least || value > option.most)
      refuse(option.name, "must be " + bounds_text(option.least, option.most)
                            + ", not " + std::to_string(value));
  });
  if (x.detection_ms < 2 * x.heartbeat_ms)
    refuse(
      "detection_ms",
      "must be at least twice heartbeat_ms, or a healthy node is taken for "
      "dead: "
        + std::to_string(x.detection_ms) + " with "
        + std::to_string(x.heartbeat_ms));
  if (!x.name.empty() && !is_node_name(x.name) && !is_numbered(x.name))
    refuse("name",
           "must look like worker1@127.0.0.1, or worker-#@127.0.0.1 with a "
           "number for each process, unlike '"
             + shown(x.name) + "'");
  try {
    require_cluster_name(x.cluster);
  } catch (const std::runtime_error& e) {
    refuse("cluster:", e.what());
  }
  if (!is_host(x.host))
    refuse("host", "must be the name of a host or its address, as 127.0.0.1, "
                   "not '"
                     + shown(x.host) + "'");
  if (x.insecure_loopback_without_tls && x.host != "127.0.0.1")
    refuse("host", "must be 127.0.0.1 with insecure_loopback_without_tls, not "
                     + shown(x.host));
  if (!x.advertise.empty() && !is_reachable(x.advertise))
    refuse("advertise", "must be host or host:port, where others reach this "
                        "node, not '"
                          + shown(x.advertise) + "'");
  for (auto& t : x.tables) {
    auto& home = t.options.home;
    if (t.name.empty())
      refuse("tables:", "a table needs a name");
    if (!home.empty() && !is_full_name(home) && !is_word(home))
      refuse("tables['" + shown(t.name) + "']:",
             "home: a node's name looks like worker1@127.0.0.1, unlike '"
               + shown(home) + "'");
    if (auto no = mistake_in(t.options))
      refuse("tables['" + shown(t.name) + "']:",
             std::string{no->option} + ": " + no->why);
    if (auto no = mistake_in_path(t.options, true))
      refuse("tables['" + shown(t.name) + "']:", "path: " + *no);
  }
  for (auto& p : x.peers)
    if (!is_node_name(p.name) && !is_word(p.name))
      refuse("peers:", "a peer's name looks like worker1@127.0.0.1, unlike '"
                         + shown(p.name) + "'");
  for (auto& p : x.peers)
    if (!p.address.empty()
        && !(parse_address(p.address) && is_reachable(p.address)))
      refuse("peers:", "a peer's address is host:port or [::1]:port, unlike '"
                         + shown(p.address) + "'");
}

void require_cluster_name(const std::string& x) {
  if (!is_word(x) || x[0] == '.')
    throw std::runtime_error(
      "a cluster's name is made of letters, digits, '_', '-' and (not in "
      "front) '.', at most "
      + std::to_string(longest_word) + " of them, unlike '" + shown(x) + "'");
}

} // namespace hornbeam::runtime
