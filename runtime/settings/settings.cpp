#include "runtime/settings/settings.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include <arpa/inet.h>

namespace hornbeam::runtime {

namespace {

constexpr std::size_t longest_name = 100;
constexpr std::size_t longest_host = 253;

bool has_form_of_word(const std::string& x, std::size_t most) {
  return !x.empty() && x.size() <= most
         && std::all_of(x.begin(), x.end(), [](unsigned char c) {
              return std::isalnum(c) || c == '_' || c == '-' || c == '.';
            });
}

/// As `is_full_name`, but the host need not be one that anybody can look up.
bool has_form_of_name(const std::string& x) {
  auto at = x.find('@');
  return at != std::string::npos && is_word(x.substr(0, at))
         && has_form_of_word(x.substr(at + 1), longest_host);
}

/// On one line, and not the whole of what is far too long.
std::string shown(const std::string& x) {
  constexpr const char* digits = "0123456789abcdef";
  std::string out;
  for (unsigned char c : x.substr(0, longest_name + 1))
    if (std::iscntrl(c))
      out += {'\\', 'x', digits[c >> 4], digits[c & 15]};
    else
      out += static_cast<char>(c);
  return x.size() > longest_name + 1 ? out + "..." : out;
}

[[noreturn]] void refuse(const std::string& setting, const std::string& what) {
  throw std::invalid_argument(setting + " " + what);
}

} // namespace

bool is_word(const std::string& x) {
  return has_form_of_word(x, longest_name);
}

bool is_name_host(const std::string& x) {
  return has_form_of_word(x, longest_host) && !is_any_address(x);
}

bool is_host(const std::string& x) {
  in6_addr long_address{};
  if (::inet_pton(AF_INET6, x.c_str(), &long_address) == 1)
    return true;
  if (!has_form_of_word(x, longest_host) || x.find("..") != std::string::npos
      || x.front() == '.' || x.front() == '-' || x.back() == '.'
      || x.back() == '-')
    return false;
  auto last = x.substr(x.rfind('.') + 1);
  in_addr address{};
  return last.find_first_not_of("0123456789") != std::string::npos
         || ::inet_pton(AF_INET, x.c_str(), &address) == 1;
}

bool is_any_address(const std::string& host) {
  in6_addr long_address{};
  if (::inet_pton(AF_INET6, host.c_str(), &long_address) == 1)
    return IN6_IS_ADDR_UNSPECIFIED(&long_address);
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1
         && address.s_addr == INADDR_ANY;
}

bool is_reachable(const std::string& x) {
  auto host = x;
  auto colon = x.rfind(':');
  in6_addr long_address{};
  if (colon != std::string::npos
      && ::inet_pton(AF_INET6, x.c_str(), &long_address) != 1) {
    auto port = x.substr(colon + 1);
    host = x.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
      host = host.substr(1, host.size() - 2);
    if (port.empty() || port.size() > 5
        || port.find_first_not_of("0123456789") != std::string::npos
        || std::stoi(port) < 1 || std::stoi(port) > 65535)
      return false;
  }
  return is_host(host) && !is_any_address(host);
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
      refuse(option.name, "must be between " + std::to_string(option.least)
                            + " and " + std::to_string(option.most) + ", not "
                            + std::to_string(value));
  });
  if (x.detection_ms < 2 * x.heartbeat_ms)
    refuse(
      "detection_ms",
      "must be at least twice heartbeat_ms, or a healthy node is taken for "
      "dead: "
        + std::to_string(x.detection_ms) + " with "
        + std::to_string(x.heartbeat_ms));
  if (!x.name.empty() && !has_form_of_name(x.name))
    refuse("name",
           "must look like worker1@127.0.0.1, unlike '" + shown(x.name) + "'");
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
  for (auto& p : x.peers)
    if (!has_form_of_name(p.name) && !is_word(p.name))
      refuse("peers:", "a peer's name looks like worker1@127.0.0.1, unlike '"
                         + shown(p.name) + "'");
  for (auto& p : x.peers)
    if (!p.address.empty() && (!is_reachable(p.address) || is_host(p.address)))
      refuse("peers:", "a peer's address is host:port or [::1]:port, unlike '"
                         + shown(p.address) + "'");
}

void require_cluster_name(const std::string& x) {
  if (!is_word(x) || x[0] == '.')
    throw std::runtime_error(
      "a cluster's name is made of letters, digits, '_', '-' and (not in "
      "front) '.', at most "
      + std::to_string(longest_name) + " of them, unlike '" + shown(x) + "'");
}

} // namespace hornbeam::runtime
