#include "runtime/net/dialer.hpp"

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace hornbeam::runtime {

namespace {

/// How long one address has before the next is tried beside it.
constexpr std::chrono::milliseconds head_start{250};

std::string reason_of(int error) {
  return error == ECONNREFUSED ? "nothing listens there" : std::strerror(error);
}

} // namespace

dialer::dialer(std::shared_ptr<event_loop> loop, address to, done f)
  : loop_(std::move(loop)),
    to_(std::move(to)),
    done_(std::move(f)),
    patience_(loop_),
    next_(loop_) {}

std::shared_ptr<dialer> dialer::start(std::shared_ptr<event_loop> loop,
                                      address to,
                                      std::chrono::milliseconds patience,
                                      done f) {
  std::shared_ptr<dialer> self{
    new dialer(std::move(loop), std::move(to), std::move(f))};
  self->patience_.after(patience, [self, patience] {
    self->end(-1,
              "no answer within " + std::to_string(patience.count()) + " ms");
  });
  std::string why;
  auto found = resolve(self->to_, true, why);
  if (!found.empty()) {
    self->loop_->post([self, found = std::move(found)]() mutable {
      self->resolved(std::move(found), {});
    });
    return self;
  }
  auto look_up = [self] {
    std::string reason;
    auto all = resolve(self->to_, false, reason);
    self->loop_->post([self, all, reason] { self->resolved(all, reason); });
  };
  try {
    std::thread{look_up}.detach();
  } catch (const std::system_error& e) {
    self->loop_->post([self, why = e.code().message()] {
      self->end(-1, "the host '" + self->to_.host
                      + "' can't be looked up, as no thread can be started: "
                      + why);
    });
  }
  return self;
}

void dialer::resolved(std::vector<endpoint> found, const std::string& why) {
  if (!done_)
    return;
  endpoints_ = std::move(found);
  why_ = why;
  try_next();
}

void dialer::try_next() {
  while (done_ && tried_ < endpoints_.size()) {
    auto& to = endpoints_[tried_++];
    auto fd = ::socket(to.at.ss_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      why_ = std::string{"no socket can be made: "} + std::strerror(errno);
      continue;
    }
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to.at), to.size) != 0
        && errno != EINPROGRESS) {
      why_ = reason_of(errno);
      ::close(fd);
      continue;
    }
    auto& socket = sockets_.emplace_back(loop_, fd);
    socket.on_writable([weak = weak_from_this(), &socket] {
      auto self = weak.lock();
      if (!self || !self->done_)
        return;
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0) {
        self->end(socket.release(), {});
        return;
      }
      self->why_ = reason_of(error);
      socket.close();
      self->try_next();
    });
    socket.arm_writable();
    next_.after(head_start, [weak = weak_from_this()] {
      if (auto self = weak.lock())
        self->try_next();
    });
    return;
  }
  bool under_way = false;
  for (auto& s : sockets_)
    under_way |= s.fd() >= 0;
  if (!under_way)
    end(-1, why_);
}

void dialer::end(int fd, std::string why) {
  auto f = std::exchange(done_, nullptr);
  if (!f)
    return;
  cancel();
  f(fd, why);
}

void dialer::cancel() {
  done_ = nullptr;
  next_.cancel();
  for (auto& s : sockets_)
    s.close();
  patience_.cancel(); // it may hold the last share in this
}

} // namespace hornbeam::runtime
