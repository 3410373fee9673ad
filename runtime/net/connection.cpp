#include "runtime/net/connection.hpp"

#include <cerrno>
#include <cstring>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "runtime/base/fork.hpp"
#include "runtime/call/service.hpp"
#include "runtime/net/address.hpp"

namespace hornbeam::runtime {

namespace {

/// Reads before others have their turn.
constexpr int reads_in_a_row = 8;
/// Batches that a thread sends before it leaves the rest to the loop: it may be
/// one that has something else to do.
constexpr int batches_in_a_row = 16;
/// How long a gentle end waits for the peer to end it too.
constexpr std::chrono::milliseconds gentle_end{1000};
/// The system gives a connection up whose bytes nobody has confirmed for so
/// long, in milliseconds: heartbeats notice it sooner, but those of a peer
/// that is not heard may have been turned off.
constexpr unsigned unconfirmed_ms = 30000;

/// The connections of this process: OpenSSL works with their locks held, and
/// nothing of it may be under way at a fork.
std::mutex all_mutex;
std::set<connection*>& all_connections() {
  static auto* all = new std::set<connection*>;
  return *all;
}

std::vector<connection*>& held_at_fork() {
  static auto* all = new std::vector<connection*>;
  return *all;
}

/// How many bytes at the front of `x` are whole frames. A length is seven bits
/// a byte, the least first.
std::size_t whole_frames(std::string_view x) {
  std::size_t whole = 0;
  for (;;) {
    std::uint64_t length = 0;
    auto at = whole;
    for (int shift = 0;; shift += 7) {
      if (at == x.size())
        return whole;
      auto byte = static_cast<unsigned char>(x[at++]);
      length |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80U) == 0)
        break;
      if (shift >= 28)
        throw std::runtime_error("a length of more than five bytes");
    }
    if (length > connection::longest_frame)
      throw std::runtime_error("a frame of " + std::to_string(length)
                               + " bytes");
    if (x.size() - at < length)
      return whole;
    whole = at + length;
  }
}

} // namespace

void hold_connections() {
  all_mutex.lock();
  auto until = clock::now() + std::chrono::milliseconds(200);
  for (auto* x : all_connections()) {
    bool held = false;
    while (!(held = x->mutex_.try_lock()) && clock::now() < until)
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    if (held)
      held_at_fork().push_back(x);
  }
}

void let_go_of_connections() {
  for (auto* x : held_at_fork())
    x->mutex_.unlock();
  held_at_fork().clear();
  all_mutex.unlock();
}

namespace {

[[maybe_unused]] const int held_around_forks = at_fork(
  fork_stage::connections, {hold_connections, let_go_of_connections, [] {
                              let_go_of_connections();
                              all_connections().clear(); // the parent's
                            }});

} // namespace

std::shared_ptr<connection> connection::open(
  const std::shared_ptr<event_loop>& loop, int fd, tls_session::role role,
  std::shared_ptr<const tls_context> tls, std::shared_ptr<user> u) {
  std::shared_ptr<connection> self{
    new connection(loop, fd, role, std::move(tls), std::move(u))};
  auto& socket = self->socket_;
  socket.on_readable([self] { self->on_readable(); });
  socket.on_writable([self] {
    {
      lock_scope guard{self->mutex_};
      self->blocked_ = false;
    }
    self->flush();
  });
  // Not from here: the user may not know this connection yet.
  loop->post([self] {
    if (self->closed_)
      return;
    bool good = false;
    std::string why;
    {
      lock_scope guard{self->mutex_};
      good = self->tls_.start();
      why = self->tls_.why();
      if (good)
        self->write_output();
    }
    if (!good)
      self->fail(why);
    else if (self->tls_.established()) { // without TLS
      self->established_ = true;
      self->user_->opened();
    }
    if (!self->closed_)
      self->socket_.arm_readable();
  });
  return self;
}

connection::connection(std::shared_ptr<event_loop> loop, int fd,
                       tls_session::role role,
                       std::shared_ptr<const tls_context> tls,
                       std::shared_ptr<user> u)
  : loop_(std::move(loop)),
    socket_(loop_, fd),
    timer_(loop_),
    peer_(address_of_peer(fd)),
    heard_(clock::now().time_since_epoch().count()),
    user_(std::move(u)),
    tls_(std::move(tls), role) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto ms = unconfirmed_ms;
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
  std::lock_guard guard{all_mutex};
  all_connections().insert(this);
}

connection::~connection() {
  std::lock_guard guard{all_mutex};
  all_connections().erase(this);
}

void connection::on_readable() {
  auto user = user_; // it may close this meanwhile
  auto buffer = loop_->scratch();
  bool good = true;
  std::string why;
  for (int i = 0; i < reads_in_a_row && good; ++i) {
    auto n = ::recv(socket_.fd(), buffer.data(), buffer.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      break;
    if (n <= 0) {
      good = false;
      if (n < 0 && errno != ECONNRESET) // else the peer has closed it
        why = std::strerror(errno);
      break;
    }
    heard_ = clock::now().time_since_epoch().count();
    if (leaving_)
      continue;
    std::string_view bytes{buffer.data(), static_cast<std::size_t>(n)};
    {
      lock_scope guard{mutex_};
      good = tls_.receive(bytes, plain_);
      why = tls_.why();
      if (!tls_.output().empty() && !blocked_)
        write_output();
    }
    if (!established_ && tls_.established()) {
      established_ = true;
      user->opened();
    }
    // Also what came before an end.
    try {
      take_frames();
    } catch (...) {
      good = false;
      why = "sent what can't be read: " + current_failure().message;
    }
    if (closed_)
      return;
    if (static_cast<std::size_t>(n) < buffer.size())
      break; // should more have come meanwhile, the loop says so
  }
  if (!good) {
    fail(why);
    return;
  }
  flush();
  if (!closed_ && !paused_)
    socket_.arm_readable();
}

void connection::take_frames() {
  std::size_t taken = 0;
  while (!paused_ && !closed_ && !leaving_) {
    auto rest = std::string_view{plain_}.substr(taken);
    auto n = whole_frames(rest);
    if (n == 0)
      break;
    taken += user_->received(rest.substr(0, n));
  }
  plain_.erase(0, taken);
}

void connection::resume() {
  if (closed_ || !std::exchange(paused_, false))
    return;
  auto user = user_; // it may close this meanwhile
  try {
    take_frames();
  } catch (...) {
    fail("sent what can't be read: " + current_failure().message);
    return;
  }
  flush();
  if (!closed_ && !paused_)
    socket_.arm_readable();
}

bool connection::write_output() {
  auto& out = tls_.output();
  while (sent_ < out.size()) {
    auto n = ::send(socket_.fd(), out.data() + sent_, out.size() - sent_,
                    MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      if (errno == EAGAIN) {
        blocked_ = true;
        loop_->post([self = shared_from_this()] {
          if (!self->closed_)
            self->socket_.arm_writable();
        });
      } else {
        broken_ = true;
      }
      return false;
    }
    sent_ += static_cast<std::size_t>(n);
  }
  out.clear();
  sent_ = 0;
  return true;
}

void connection::write() {
  if (!user_ || blocked_ || broken_ || !write_output())
    return;
  if (!tls_.established())
    return;
  for (int i = 0; i < batches_in_a_row; ++i) {
    auto batch = user_->next_batch();
    if (batch.empty()) {
      if (finishing_ && !std::exchange(finished_, true)) {
        tls_.finish();
        if (write_output())
          ::shutdown(socket_.fd(), SHUT_WR);
      }
      return;
    }
    tls_.send(batch);
    if (!write_output())
      return;
  }
  loop_->post([self = shared_from_this()] { self->flush(); });
}

void connection::flush() {
  for (auto is = flushing_.load();;) {
    if (is == flushing::idle) {
      if (flushing_.compare_exchange_weak(is, flushing::busy))
        break;
    } else if (flushing_.compare_exchange_weak(is, flushing::again)) {
      return; // whoever is at it looks again
    }
  }
  for (auto is = flushing::busy;; is = flushing::busy) {
    flushing_ = flushing::busy;
    {
      lock_scope guard{mutex_};
      try {
        write();
      } catch (...) { // there is no memory: the peer will notice
        broken_ = true;
        ::shutdown(socket_.fd(), SHUT_RDWR);
      }
    }
    if (flushing_.compare_exchange_strong(is, flushing::idle))
      return;
  }
}

bool connection::trusted_by(const tls_context& x) {
  lock_scope guard{mutex_};
  return tls_.trusted_by(x);
}

void connection::fail(const std::string& why) {
  if (closed_)
    return;
  auto u = user_;
  bool tell = !leaving_;
  close();
  if (tell)
    u->closed(why);
}

void connection::close() {
  if (closed_.exchange(true))
    return;
  timer_.cancel();
  std::shared_ptr<user> dropped; // without the lock
  lock_scope guard{mutex_};      // nobody writes to another's descriptor
  dropped.swap(user_);
  socket_.close();
}

void connection::close_gently() {
  if (closed_ || std::exchange(leaving_, true))
    return;
  {
    lock_scope guard{mutex_};
    finishing_ = true;
  }
  flush();
  paused_ = false;
  socket_.arm_readable(); // until the peer ends it: else it loses the last
  timer_.after(gentle_end, [self = shared_from_this()] { self->close(); });
}

} // namespace hornbeam::runtime
