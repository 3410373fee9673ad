#include "runtime/net/listener.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/log.hpp"
#include "runtime/call/service.hpp"
#include "runtime/net/address.hpp"

namespace hornbeam::runtime {

namespace {

/// Until the next try when this process, or the system, has no more to give.
constexpr std::chrono::milliseconds breath{100};
/// Connections that are taken before others have their turn.
constexpr int in_a_row = 16;

bool of_this_host(const std::string& host) {
  return host == "::1" || host.starts_with("127.")
         || host.starts_with("::ffff:127.");
}

} // namespace

std::shared_ptr<listener> listener::open(std::shared_ptr<event_loop> loop,
                                         const std::string& host,
                                         std::uint16_t port, std::string node,
                                         accept_handler f,
                                         member_test is_member) {
  auto fail = [&](const std::string& why) {
    throw std::runtime_error("can't listen on "
                             + to_string(runtime::address{host, port}) + ": "
                             + why);
  };
  std::string why;
  auto found = resolve({host, port}, false, why);
  for (auto& at : found) {
    auto fd = ::socket(at.at.ss_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      why = std::string{"no socket can be made: "} + std::strerror(errno);
      continue;
    }
    int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&at.at), at.size) == 0
        && ::listen(fd, SOMAXCONN) == 0) {
      std::shared_ptr<listener> self{new listener(std::move(loop), fd, host,
                                                  std::move(node), std::move(f),
                                                  std::move(is_member))};
      self->loop_->post([self] {
        self->socket_.emplace(self->loop_, self->fd_.exchange(-1));
        self->pause_.emplace(self->loop_);
        self->socket_->on_readable([weak = self->weak_from_this()] {
          if (auto x = weak.lock())
            x->take();
        });
        self->socket_->arm_readable();
      });
      return self;
    }
    why = std::strerror(errno);
    ::close(fd);
  }
  fail(why);
  return nullptr;
}

listener::listener(std::shared_ptr<event_loop> loop, int fd, std::string host,
                   std::string node, accept_handler f, member_test is_member)
  : loop_(std::move(loop)),
    node_(std::move(node)),
    fd_(fd),
    on_accept_(std::move(f)),
    is_member_(std::move(is_member)) {
  auto bound = parse_address(address_of_socket(fd));
  address_ = to_string(
    runtime::address{std::move(host), bound ? bound->port : std::uint16_t{0}});
}

listener::~listener() {
  close_after_fork();
}

void listener::close() {
  if (socket_)
    socket_->close();
  if (pause_)
    pause_->cancel();
  close_after_fork();
}

void listener::close_after_fork() noexcept {
  if (auto fd = fd_.exchange(-1); fd >= 0)
    ::close(fd);
}

void listener::take() {
  for (int i = 0; i < in_a_row && socket_->fd() >= 0; ++i) {
    auto fd = ::accept4(socket_->fd(), nullptr, nullptr,
                        SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      admit(fd);
      continue;
    }
    auto error = errno;
    if (error == EAGAIN)
      break;
    // That one has gone, or the network has: the next. All else lasts.
    bool passes = error == ECONNABORTED || error == EINTR || error == EPROTO
                  || error == ENETDOWN || error == ENETUNREACH
                  || error == EHOSTDOWN || error == EHOSTUNREACH;
    if (!passes) {
      log::say_once_a_minute(log::level::error, "link", node_, "no descriptors",
                             std::string{"no connection can be taken: "}
                               + std::strerror(error));
      pause_->after(breath, [weak = weak_from_this()] {
        if (auto x = weak.lock())
          x->socket_->arm_readable();
      });
      return;
    }
  }
  socket_->arm_readable();
}

void listener::admit(int fd) {
  auto from = parse_address(address_of_peer(fd));
  auto host = from ? from->host : std::string{};
  std::vector<std::shared_ptr<half_open>> now;
  std::erase_if(half_open_, [](auto& x) { return x.expired(); });
  for (auto& x : half_open_)
    now.push_back(x.lock());
  auto same_host = [&](auto& g) { return g->host == host; };
  bool crowded = now.size() >= most_half_open;
  bool too_many_of_one
    = !of_this_host(host)
      && std::count_if(now.begin(), now.end(), same_host)
           >= static_cast<std::ptrdiff_t>(most_half_open_of_a_host)
      && !is_member_(host);
  if (crowded || too_many_of_one) {
    auto oldest = too_many_of_one
                    ? std::find_if(now.begin(), now.end(), same_host)
                    : now.begin();
    bool too_soon = clock::now() - (*oldest)->since < least_time;
    log::say_once_a_minute(
      log::level::warning, "link", node_, "crowded",
      "too many connections have not said who they are, the last one from "
        + host + ": " + (too_soon ? "a new" : "the oldest")
        + " one is turned away");
    if (too_soon) {
      ::close(fd);
      return;
    }
    if (auto away = std::exchange((*oldest)->turn_away, nullptr))
      away();
  }
  auto g = std::make_shared<half_open>(half_open{host, clock::now(), nullptr});
  half_open_.push_back(g);
  try {
    on_accept_(fd, std::move(g));
  } catch (...) { // there is no memory, say; who takes it over has closed it
    log::say_once_a_minute(log::level::error, "link", node_, "not taken",
                           "a connection can't be taken: "
                             + current_failure().message);
  }
}

} // namespace hornbeam::runtime
