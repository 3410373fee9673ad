#include "runtime/caf/actor_system_thread.hpp"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/caf/caf.hpp"
#include "runtime/caf/io_loop.hpp"
#include "runtime/caf/parking.hpp"

namespace hornbeam::runtime {

namespace {

struct system_config : caf::actor_system_config {
  system_config(const node_settings& s, unsigned workers) {
    configure(*this);
    set("middleman.manual-multiplexing", true); // by `io_loop`
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

} // namespace

struct actor_system_thread::shared {
  std::mutex mutex;
  std::condition_variable changed;
  caf::actor_system* system = nullptr;
  std::exception_ptr error;
  std::shared_ptr<io_loop> loop;
  std::function<void()> before_end;
  std::atomic<bool> ending{false};
  bool ended = false;

  void run(const node_settings& s, unsigned workers) {
    system_config config{s, workers};
    caf::actor_system sys{config};
    sys.await_actors_before_shutdown(false);
    std::unique_lock lock{mutex};
    loop = io_loop::start(sys);
    system = &sys;
    changed.notify_all();
    changed.wait(lock, [&] { return ending.load(); });
    auto before = std::exchange(before_end, nullptr);
    lock.unlock();
    if (before)
      before();
    loop->stop();
  }
};

actor_system_thread::actor_system_thread(const node_settings& s,
                                         unsigned workers)
  : shared_(std::make_shared<shared>()) {
  thread_ = std::thread([x = shared_, s, workers] {
    try {
      x->run(s, workers);
    } catch (...) {
      std::lock_guard guard{x->mutex};
      x->error = std::current_exception();
    }
    std::lock_guard guard{x->mutex};
    x->ended = true;
    x->changed.notify_all();
  });
  std::unique_lock lock{shared_->mutex};
  shared_->changed.wait(
    lock, [&] { return shared_->system != nullptr || shared_->ended; });
  if (!shared_->error)
    return;
  lock.unlock();
  thread_.join();
  std::rethrow_exception(shared_->error);
}

actor_system_thread::~actor_system_thread() {
  if (thread_.joinable()) // it did not end in time, or is not in this process
    thread_.detach();
}

caf::actor_system& actor_system_thread::system() const noexcept {
  return *shared_->system;
}

bool actor_system_thread::end(std::chrono::milliseconds patience,
                              std::function<void()> before) {
  std::unique_lock lock{shared_->mutex};
  shared_->before_end = std::move(before);
  shared_->ending = true;
  shared_->changed.notify_all();
  if (!shared_->changed.wait_for(lock, patience,
                                 [&] { return shared_->ended; }))
    return false;
  lock.unlock();
  // OpenSSL frees what it keeps for each thread at the end of that and at the
  // end of the program: the two must not meet.
  if (thread_.joinable())
    thread_.join();
  return true;
}

void actor_system_thread::close_descriptors_after_fork() noexcept {
  shared_->loop->close_descriptors_after_fork();
}

} // namespace hornbeam::runtime
