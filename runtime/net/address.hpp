#pragma once

#include <string>
#include <vector>

#include <sys/socket.h>

#include "runtime/settings/address.hpp"

namespace hornbeam::runtime {

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
