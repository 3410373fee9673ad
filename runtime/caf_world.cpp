#include "runtime/caf_world.hpp"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

#include <caf/io/network/default_multiplexer.hpp>

#include "runtime/caf.hpp"
#include "runtime/parking.hpp"

namespace hornbeam::runtime {

namespace {

struct system_config : caf::actor_system_config {
  system_config(const node_settings& s, unsigned workers) {
    configure(*this);
    load<scheduler>();
    load<caf::io::middleman>();
    if (!s.insecure_loopback_without_tls) {
      load<caf::openssl::manager>();
      openssl_certificate = s.secret;
      openssl_key = s.secret;
      openssl_cafile = s.secret;
    }
    if (workers > 0)
      set("scheduler.max-threads", std::size_t{workers});
  }
};

// CAF keeps its epoll instance and its pipe to itself. An explicit
// instantiation may name private members: that opens just these two.
using multiplexer = caf::io::network::default_multiplexer;
int epoll_of(const multiplexer& x);
std::pair<int, int> pipe_of(const multiplexer& x);
template <auto Epoll, auto Pipe>
struct opened {
  friend int epoll_of(const multiplexer& x) { return x.*Epoll; }
  friend std::pair<int, int> pipe_of(const multiplexer& x) { return x.*Pipe; }
};
template struct opened<&multiplexer::epollfd_, &multiplexer::pipe_>;

} // namespace

struct caf_world::shared {
  std::mutex mutex;
  std::condition_variable changed;
  caf::actor_system* system = nullptr;
  std::exception_ptr error;
  int epoll = -1;
  std::pair<int, int> pipe{-1, -1};
  std::function<void()> before_end;
  std::atomic<bool> ending{false};
  bool ended = false;

  void run(const node_settings& s, unsigned workers) {
    system_config config{s, workers};
    caf::actor_system sys{config};
    sys.await_actors_before_shutdown(false);
    std::unique_lock lock{mutex};
    auto& sockets = dynamic_cast<multiplexer&>(sys.middleman().backend());
    epoll = epoll_of(sockets);
    pipe = pipe_of(sockets);
    system = &sys;
    changed.notify_all();
    changed.wait(lock, [&] { return ending.load(); });
    auto before = std::exchange(before_end, nullptr);
    lock.unlock();
    if (before)
      before();
  }
};

caf_world::caf_world(const node_settings& s, unsigned workers)
  : shared_(std::make_shared<shared>()) {
  std::thread([x = shared_, s, workers] {
    try {
      x->run(s, workers);
    } catch (...) {
      std::lock_guard guard{x->mutex};
      x->error = std::current_exception();
    }
    std::lock_guard guard{x->mutex};
    x->ended = true;
    x->changed.notify_all();
  }).detach();
  std::unique_lock lock{shared_->mutex};
  shared_->changed.wait(
    lock, [&] { return shared_->system != nullptr || shared_->ended; });
  if (shared_->error)
    std::rethrow_exception(shared_->error);
}

caf::actor_system& caf_world::system() const noexcept {
  return *shared_->system;
}

bool caf_world::end(std::chrono::milliseconds patience,
                    std::function<void()> before) {
  std::unique_lock lock{shared_->mutex};
  shared_->before_end = std::move(before);
  shared_->ending = true;
  shared_->changed.notify_all();
  return shared_->changed.wait_for(lock, patience,
                                   [&] { return shared_->ended; });
}

void caf_world::close_descriptors_after_fork() noexcept {
  auto& x = *shared_;
  if (x.ending) // the numbers may be somebody else's by now
    return;
  // CAF's sockets, and the reading end of its pipe, are what its epoll
  // instance watches.
  std::ifstream info{"/proc/self/fdinfo/" + std::to_string(x.epoll)};
  std::set<int> all{x.epoll, x.pipe.first, x.pipe.second};
  for (std::string word; info >> word;)
    if (int fd = -1; word == "tfd:" && info >> fd)
      all.insert(fd);
  info.close();
  for (auto fd : all)
    ::close(fd);
}

} // namespace hornbeam::runtime
