#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>

#include "runtime/base/flag.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::runtime {

/// A baton that waking threads hand on: avoids a convoy at Python's lock.
///
/// Threads that run Python all need one lock as soon as they are awake. When
/// ten answers come at once, nine of ten threads would wake only to wait
/// again, and a wake-up costs more than most calls do. So each thread wakes
/// the next one when it has given the lock back and is about to sleep.
///
/// What always holds: while threads are queued, one thread that was queued has
/// the baton; and a thread that keeps it for longer than `patience` loses it at
/// the next `revoke_if_overdue`.
class wakeup_baton {
public:
  /// A thread of which the kernel takes its core for a moment has not kept the
  /// baton.
  static constexpr std::chrono::microseconds patience{450};

  /// The one of this process: there is one such lock.
  static wakeup_baton& get();

  /// The thread that sleeps at `x` is woken when the baton comes to it. False
  /// if this thread is no `batch_waker`, or the baton is no good now.
  bool enqueue(flag& x);
  /// This thread no longer sleeps at `x`, for whatever reason.
  void awake(flag& x);
  /// If this thread has the baton, gives it to the next one.
  static void pass();
  /// Takes the baton from a thread that has had it for too long. False if
  /// nobody has it.
  bool revoke_if_overdue();
  /// Whether a thread has the baton.
  bool active() const noexcept { return baton_ != 0; }
  /// Whether threads wait for it.
  bool has_waiting() const;

  // Around a fork: in the child nobody waits.
  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child();

private:
  friend class batch_waker;
  using mutex_type = ranked_mutex<lock_rank::baton>;

  /// Gives the baton to the next thread, and wakes it without `lock`, that of
  /// `mutex_`.
  void advance(std::unique_lock<mutex_type> lock);
  void pass(std::uint64_t baton);
  void start();

  mutable mutex_type mutex_;
  std::deque<flag*> queue_;
  flag* on_its_way_ = nullptr; ///< has the baton and does not know it yet
  std::uint64_t next_ = 1;
  std::atomic<std::uint64_t> baton_{0}; ///< the number of this one, or none
  flag::clock::time_point since_;       ///< when the thread got it
  int good_ = 0;                        ///< passes since one kept it
  int penalty_ = 0;                     ///< how many do without the next time
  int without_ = 0;                     ///< how many still do
};

/// While it lives, waits of this thread may end with the baton: the thread is
/// going to call `wakeup_baton::pass` once it has given the lock back.
class baton_waiter {
public:
  baton_waiter();
  ~baton_waiter();
  baton_waiter(const baton_waiter&) = delete;
  baton_waiter& operator=(const baton_waiter&) = delete;
  static bool here() noexcept;
};

/// Around the work of a thread that brings many answers at once, and that calls
/// `revoke_if_overdue` from time to time while the baton is `active`.
class batch_waker {
public:
  batch_waker();
  ~batch_waker();
  batch_waker(const batch_waker&) = delete;
  batch_waker& operator=(const batch_waker&) = delete;
};

} // namespace hornbeam::runtime
