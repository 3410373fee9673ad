#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include <caf/fwd.hpp>

namespace hornbeam::runtime {

/// A CAF actor system in the care of a thread of its own, which makes it and
/// ends it. The thread that makes a system keeps a share in its logger, and
/// CAF 0.17 ends a system only when no other thread has one.
class actor_system_thread {
public:
  /// Raises what CAF raises. `workers` 0: one a core.
  explicit actor_system_thread(unsigned workers);
  actor_system_thread(const actor_system_thread&) = delete;
  actor_system_thread& operator=(const actor_system_thread&) = delete;
  /// Leaves the system behind, running, if `end` was not called.
  ~actor_system_thread();

  caf::actor_system& system() const noexcept;
  /// Lets `before` run in the caring thread, then ends the system. False if
  /// that took longer than `patience`: then it is left behind, because C++
  /// code that never suspends can't be stopped.
  bool end(std::chrono::milliseconds patience, std::function<void()> before);

private:
  struct shared;
  std::shared_ptr<shared> shared_;
  std::thread thread_;
};

} // namespace hornbeam::runtime
