#include "runtime/caf/actor_system_thread.hpp"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <caf/defaults.hpp>

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

/// CAF 0.17 crashes or hangs if a thread can't be started while it makes a
/// system. So as many as the node needs are there for a moment before: its
/// workers, CAF's two, and those of sockets, timers and handlers.
void require_threads(std::size_t workers) {
  auto n = workers + 6;
  std::vector<std::thread> all;
  all.reserve(n);
  std::latch enough{1};
  std::string why;
  while (all.size() < n)
    try {
      all.emplace_back([&] { enough.wait(); });
    } catch (const std::system_error& e) {
      why = "it needs " + std::to_string(n) + " threads at least, of which "
            + std::to_string(all.size())
            + " can be started: " + e.code().message();
      break;
    }
  enough.count_down();
  for (auto& x : all)
    x.join();
  if (!why.empty())
    throw std::runtime_error(why);
}

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
    require_threads(caf::get_or(config, "scheduler.max-threads",
                                caf::defaults::scheduler::max_threads));
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
  auto run = [x = shared_, workers] {
    try {
      x->run(workers);
    } catch (...) {
      std::lock_guard guard{x->mutex};
      x->error = std::current_exception();
    }
    std::lock_guard guard{x->mutex};
    x->ended = true;
    x->changed.notify_all();
  };
  try {
    thread_ = std::thread(std::move(run));
  } catch (const std::system_error& e) {
    throw std::runtime_error("no thread can be started: " + e.code().message());
  }
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
