#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>

#include "runtime/base/flag.hpp"

namespace hornbeam::runtime {

/// Wakes threads that all need one lock as soon as they are awake, as those
/// that run Python do, one after the other: each wakes the next when it has
/// given the lock back and is about to sleep. When ten answers come at once,
/// nine of ten threads would else wake only to wait again, and to wake costs
/// more than most calls do.
///
/// What always holds: while threads are lined up, one of those that were has
/// the turn; and one that keeps it for longer than `patience` loses it at the
/// next `hurry`.
class turns {
public:
  /// A thread of which the kernel takes its core for a moment has not kept its
  /// turn.
  static constexpr std::chrono::microseconds patience{450};

  /// Those of this process: there is one such lock.
  static turns& get();

  /// Waits of this thread may end in turn while it has one of these: it is
  /// going to call `pass` once it has given the lock back.
  class taker {
  public:
    taker();
    ~taker();
    taker(const taker&) = delete;
    taker& operator=(const taker&) = delete;
    static bool here() noexcept;
  };

  /// Around the work of a thread that brings many answers, and that calls
  /// `hurry` from time to time while `active`.
  class bringer {
  public:
    bringer();
    ~bringer();
    bringer(const bringer&) = delete;
    bringer& operator=(const bringer&) = delete;
  };

  /// The thread that sleeps at `x` is woken in its turn. False if this one
  /// isn't a bringer, or turns are no good now.
  bool line_up(flag& x);
  /// This thread no longer sleeps at `x`, for whatever reason.
  void awake(flag& x);
  /// If this thread has the turn, gives it to the next one.
  static void pass();
  /// Takes the turn from a thread that has had it for too long. False if nobody
  /// has it.
  bool hurry();
  /// Whether a thread has the turn.
  bool active() const noexcept { return turn_ != 0; }
  /// Whether threads wait for theirs.
  bool lined_up() const;

  /// After a fork, in the child: nobody waits.
  void reset();

private:
  /// Gives the turn to the next, and wakes it without `lock`, that of `mutex_`.
  void advance(std::unique_lock<std::mutex> lock);
  void pass(std::uint64_t turn);
  void start();

  mutable std::mutex mutex_;
  std::deque<flag*> line_;
  flag* on_its_way_ = nullptr; ///< has the turn and does not know it yet
  std::uint64_t next_ = 1;
  std::atomic<std::uint64_t> turn_{0}; ///< the number of this one, or none
  flag::clock::time_point since_;      ///< when it began
  int good_ = 0;                       ///< turns since one was kept
  int penalty_ = 0;                    ///< how many do without the next time
  int without_ = 0;                    ///< how many still do
};

} // namespace hornbeam::runtime
