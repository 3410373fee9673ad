#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/process/process.hpp"

namespace hornbeam::runtime {

/// The clock of a node: wakes processes whose receive has a timeout, and runs
/// what is set for later. One thread, asleep until something is due; in tests
/// there is none and `advance` moves the clock by hand.
///
/// A process has at most one entry: a receive that waits longer than the one
/// before leaves the earlier entry in place, which is set anew when it comes.
/// So a loop of calls with a timeout costs one entry for each timeout that
/// really passes.
class timers {
public:
  using action = std::function<void()>;

  explicit timers(bool by_hand);
  ~timers() { stop(); }
  timers(const timers&) = delete;
  timers& operator=(const timers&) = delete;

  bool by_hand() const noexcept { return by_hand_; }
  ticks now() const noexcept;
  /// `ms` from now; never if that is out of reach.
  ticks in(std::int64_t ms) const noexcept;

  /// Sees to it that the process is looked at no later than its deadline.
  void arm(process& p, ticks at);
  void disarm(process& p);

  struct cancelled {
    ticks left;         ///< nanoseconds
    process_ptr target; ///< for whom it was set, if for a process
  };
  void add(std::uint64_t id, ticks at, action f, process_ptr target = {});
  /// None if it has run or never was.
  std::optional<cancelled> cancel(std::uint64_t id);
  std::optional<ticks> left(std::uint64_t id) const;
  std::size_t size() const;

  /// Only by hand: moves the clock and runs what is due, in order.
  void advance(std::int64_t ms);
  void stop();

private:
  using mutex_type = ranked_mutex<lock_rank::timers>;

  void run();
  ticks next() const;
  /// Runs what is due; called and left with the lock held.
  void fire(std::unique_lock<mutex_type>& lock);

  const bool by_hand_;
  std::atomic<ticks> by_hand_now_{1};
  mutable mutex_type mutex_;
  ranked_condition changed_;
  std::set<std::pair<ticks, process*>> sleepers_;
  std::map<std::pair<ticks, std::uint64_t>, action> actions_;
  std::unordered_map<std::uint64_t, std::pair<ticks, process_ptr>> ids_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace hornbeam::runtime
