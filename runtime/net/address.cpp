#include "runtime/net/address.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <deque>
#include <memory>

#include <netdb.h>
#include <netinet/in.h>

namespace hornbeam::runtime {

namespace {

std::string describe(int failed, const sockaddr_storage& at, socklen_t size) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (failed != 0
      || ::getnameinfo(reinterpret_cast<const sockaddr*>(&at), size, host,
                       sizeof host, port, sizeof port,
                       NI_NUMERICHOST | NI_NUMERICSERV)
           != 0)
    return {};
  return to_string(address{host, static_cast<std::uint16_t>(std::atoi(port))});
}

} // namespace

std::string address_of_peer(int socket) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  auto failed = ::getpeername(socket, reinterpret_cast<sockaddr*>(&at), &size);
  return describe(failed, at, size);
}

std::string address_of_socket(int socket) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  auto failed = ::getsockname(socket, reinterpret_cast<sockaddr*>(&at), &size);
  return describe(failed, at, size);
}

std::vector<endpoint> resolve(const address& x, bool numeric,
                              std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : 0);
  addrinfo* found = nullptr;
  auto failed = ::getaddrinfo(x.host.c_str(), std::to_string(x.port).c_str(),
                              &hints, &found);
  if (failed != 0) {
    why = "the host '" + x.host + "' can't be found: "
          + (failed == EAI_SYSTEM ? std::strerror(errno)
                                  : ::gai_strerror(failed));
    return {};
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> freed{found,
                                                             ::freeaddrinfo};
  std::deque<endpoint> first;  // of the family that the system prefers
  std::deque<endpoint> others; // of the other one
  auto family = found->ai_family;
  for (auto* i = found; i != nullptr; i = i->ai_next) {
    endpoint e;
    std::memcpy(&e.at, i->ai_addr, i->ai_addrlen);
    e.size = i->ai_addrlen;
    (i->ai_family == family ? first : others).push_back(e);
  }
  std::vector<endpoint> out;
  while (!first.empty() || !others.empty())
    for (auto* from : {&first, &others})
      if (!from->empty()) {
        out.push_back(from->front());
        from->pop_front();
      }
  return out;
}

} // namespace hornbeam::runtime
