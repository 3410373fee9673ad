#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::actors {

class concurrency_limiter;

/// The right to run a call of a bounded handler, given back when this object
/// goes. While its holder waits for a call of its own it releases the permit
/// for others, so nested calls do not wait for each other. Any thread, one at
/// a time.
class run_permit {
public:
  run_permit() = default;
  explicit run_permit(std::shared_ptr<concurrency_limiter> x)
    : limiter_(std::move(x)) {}
  run_permit(run_permit&&) noexcept = default;
  run_permit& operator=(run_permit&& other) noexcept;
  ~run_permit() { end(); }

  /// Gives it back for good.
  void end();
  /// Gives it back until `reacquire`.
  void release();
  /// Takes it again, even if one call too many runs then for a moment.
  void reacquire();

private:
  std::shared_ptr<concurrency_limiter> limiter_;
  bool released_ = false;
};

/// Bounds how many calls of one handler run at once, and how many wait for
/// that; whatever is beyond is refused at once.
class concurrency_limiter
  : public std::enable_shared_from_this<concurrency_limiter> {
public:
  using start = std::function<void(run_permit)>;

  concurrency_limiter(std::size_t running, std::size_t waiting)
    : limit_(running), queue_(waiting) {}

  std::size_t limit() const noexcept { return limit_; }

  /// Calls `f` with a permit, now or when there is one. 0: it was refused. Else
  /// a number that `give_up` takes.
  std::uint64_t acquire(start f);
  /// Whoever waits under `number` waits no longer; false if it has begun.
  bool give_up(std::uint64_t number);
  std::size_t waiting() const;

private:
  struct entry {
    std::uint64_t number;
    start begin;
  };

  friend class run_permit;

  void release();
  void take() { // without a limit
    runtime::lock_scope guard{mutex_};
    ++running_;
  }

  const std::size_t limit_;
  const std::size_t queue_;
  mutable runtime::ranked_mutex<runtime::lock_rank::limiter> mutex_;
  std::size_t running_ = 0;
  std::uint64_t next_ = 1;
  std::deque<entry> waiting_;
};

} // namespace hornbeam::actors
