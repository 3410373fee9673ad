#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>

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

/// The other side of a connected socket; empty if there is none.
std::string address_of_peer(int socket);
/// This side.
std::string address_of_socket(int socket);

/// An address as the system takes it.
struct endpoint {
  sockaddr_storage at{};
  socklen_t size = 0;
};

/// What the name of a host stands for, IPv6 and IPv4 in turn. May take long
/// unless `numeric`, which finds numbers only. Sets `why` if it finds nothing.
std::vector<endpoint> resolve(const address& x, bool numeric, std::string& why);

} // namespace hornbeam::runtime
