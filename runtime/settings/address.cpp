#include "runtime/settings/address.hpp"

#include <algorithm>
#include <cctype>

#include <arpa/inet.h>

#include "runtime/settings/settings.hpp"

namespace hornbeam::runtime {

namespace {

constexpr std::size_t longest_host = 253;

} // namespace

std::optional<address> parse_address(const std::string& text) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return std::nullopt;
  auto host = text.substr(0, colon);
  auto port = text.substr(colon + 1);
  if (host.front() == '[') {
    if (host.back() != ']' || host.size() < 3)
      return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return std::nullopt; // which colon?
  }
  if (port.empty() || port.size() > 5
      || !std::all_of(port.begin(), port.end(),
                      [](unsigned char c) { return std::isdigit(c); }))
    return std::nullopt;
  auto n = std::stoi(port);
  if (n < 1 || n > 65535)
    return std::nullopt;
  return address{host, static_cast<std::uint16_t>(n)};
}

std::string to_string(const address& x) {
  auto host = x.host.find(':') != std::string::npos ? "[" + x.host + "]"
                                                    : x.host;
  return host + ":" + std::to_string(x.port);
}

bool is_host(const std::string& x) {
  in6_addr long_address{};
  if (::inet_pton(AF_INET6, x.c_str(), &long_address) == 1)
    return true;
  if (!is_word(x, longest_host) || x.find("..") != std::string::npos
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
  auto at = parse_address(x);
  auto host = at ? at->host : x;
  return is_host(host) && !is_any_address(host);
}

} // namespace hornbeam::runtime
