#include "runtime/caf/actor_system_thread.hpp"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/caf/caf.hpp"
#include "runtime/caf/parking.hpp"

namespace hornbeam::runtime {

namespace {

struct system_config : caf::actor_system_config {
  explicit system_config(unsigned workers) {
    configure(*this);
    load<scheduler>();
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
  std::function<void()> before_end;
  std::atomic<bool> ending{false};
  bool ended = false;

  void run(unsigned workers) {
    system_config config{workers};
    caf::actor_system sys{config};
    sys.await_actors_before_shutdown(false);
    std::unique_lock lock{mutex};
    system = &sys;
    changed.notify_all();
    changed.wait(lock, [&] { return ending.load(); });
    auto before = std::exchange(before_end, nullptr);
    lock.unlock();
    if (before)
      before();
  }
};

actor_system_thread::actor_system_thread(unsigned workers)
  : shared_(std::make_shared<shared>()) {
  thread_ = std::thread([x = shared_, workers] {
    try {
      x->run(workers);
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

} // namespace hornbeam::runtime
