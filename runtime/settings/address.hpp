#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace hornbeam::runtime {

/// A host, by name or number, and a port.
struct address {
  std::string host;
  std::uint16_t port = 0;
};

/// Reads `host:port` and `[::1]:port`; none if it is neither, or the port is
/// not one of 1 to 65535.
std::optional<address> parse_address(const std::string& text);
/// The other way round.
std::string to_string(const address& x);

/// Whether it can be the name or the address of a host. Only addresses end with
/// a number.
bool is_host(const std::string& x);
/// Whether who listens there listens at all addresses: nobody else can use it.
bool is_any_address(const std::string& host);
/// Whether it is `host`, `host:port` or `[::1]:port`, but not all addresses.
bool is_reachable(const std::string& x);

} // namespace hornbeam::runtime
