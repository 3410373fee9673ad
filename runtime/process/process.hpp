#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/base/small_mutex.hpp"
#include "runtime/base/ticks.hpp"
#include "runtime/process/signal_queue.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

class processes;
class process;
struct relations;

/// Unwinds the code of a process that has been ended from outside. Never
/// caught for good: every later call into the runtime raises it again.
struct process_killed {};

/// How an active alias ends.
enum class alias_mode : std::uint8_t {
  explicit_unalias, ///< by `unalias` alone
  reply,            ///< the first message that comes through it ends it
  demonitor,        ///< with its monitor
  reply_demonitor,  ///< the same, and the first reply ends both
};

/// A receive that is under way: where it has looked, and until when it waits.
class receiver_base {
public:
  /// Looks at what has not been looked at; true if a message matches.
  using scan_function = bool (*)(receiver_base&) noexcept(false);

  receiver_base(process& p, scan_function scan, signal** from, ticks until)
    : p_(p), scan_(scan), at_(from), until_(until) {}

  bool scan() { return scan_(*this); }
  bool timed() const noexcept { return until_ != never; }

protected:
  friend class process;
  process& p_;
  scan_function scan_;
  signal** at_; ///< the link to the message to look at next
  ticks until_;
  bool found_ = false;
  bool expired_ = false;
  std::exception_ptr error_; ///< what the pattern raised
};

/// A process of this node: its mailbox, and what others must know of it. Its
/// code is a coroutine that CAF's scheduler runs (`spawn`), or belongs to
/// somebody else (`attached_process`).
///
/// What always holds: whatever concerns several processes (links, monitors,
/// the end) happens at once, in the thread that causes it, under the locks of
/// those processes; messages go through the queue. So an exit ends a process
/// for everybody else even while its code is in the middle of a step; the
/// code itself hears of it at its next call into the runtime.
class process {
public:
  process(processes& owner, std::uint64_t serial);
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  std::uint64_t serial() const noexcept { return serial_; }
  processes& owner() const noexcept { return owner_; }
  bool alive() const noexcept { return !dead_.load(std::memory_order_acquire); }
  std::size_t queue_length() const noexcept { return queue_.size(); }

  /// Any thread; false if the process is dead.
  bool push(signal* x) noexcept {
    switch (queue_.push(x)) {
      case signal_queue::pushed::woke:
        wake();
        return true;
      case signal_queue::pushed::taken:
        return true;
      default:
        return false;
    }
  }

  // -- the process's own code ------------------------------------------------

  /// Raises `process_killed` if the process has been ended. Not from
  /// destructors that run meanwhile: there, calls have no effect.
  bool enter() const {
    if (alive()) [[likely]]
      return true;
    return refuse_entry();
  }
  signal** first_message() noexcept { return queue_.first(); }
  /// A place behind all messages that are there now.
  signal** mark() {
    collect();
    return queue_.last();
  }
  /// Whether `r` has a message or its time is over.
  bool ready(receiver_base& r);
  term take(signal** at) noexcept { return queue_.take(at); }
  bool collect() {
    return queue_.collect([this](const signal& x) { return wanted(x); });
  }

  /// Takes up to `n` more steps before the others have their turn.
  bool spend() noexcept { return --budget_ >= 0; }
  void suspend(std::coroutine_handle<> where, receiver_base* r) noexcept {
    resume_point_ = where;
    waiting_ = r;
  }
  void yield(std::coroutine_handle<> where) noexcept {
    resume_point_ = where;
    waiting_ = nullptr;
    budget_ = 0;
  }

protected:
  friend class processes;
  friend class timers;
  friend class self;
  friend void intrusive_ptr_add_ref(process* x) noexcept;
  friend void intrusive_ptr_release(process* x) noexcept;

  virtual ~process();
  /// The queue was asleep and has something now, or the process has ended.
  virtual void wake() noexcept = 0;
  /// It has been ended; `asleep`: its queue was. In the thread that ends it.
  virtual void ended(const term& reason, bool asleep) noexcept {
    static_cast<void>(reason);
    if (asleep)
      wake(); // to unwind its code
  }
  /// Goes to sleep until there is a message or `until`; false if it need not.
  bool sleep(ticks until);

  bool refuse_entry() const;
  bool wanted(const signal& x);
  relations& related();
  void forget_everything() noexcept;

  processes& owner_;
  const std::uint64_t serial_;
  signal_queue queue_;
  std::atomic<std::uint32_t> refs_{1};
  mutable small_mutex mutex_; ///< guards `relations_`, `dead_`
  std::unique_ptr<relations> relations_;
  term pid_; ///< of the owner's code; a cycle until `forget_everything`
  /// The aliases that are active; of the owner's code.
  std::unique_ptr<std::vector<std::pair<std::uint64_t, alias_mode>>> aliases_;

  std::coroutine_handle<> resume_point_;
  receiver_base* waiting_ = nullptr;
  /// When the receive that is under way ends, and when the clock looks next.
  std::atomic<ticks> deadline_{never};
  std::atomic<ticks> armed_{never};
  std::int32_t budget_ = 0;

  std::atomic<bool> dead_{false};
  std::atomic<bool> sending_{false};
  bool trap_exit_ = false; ///< under `mutex_`
  bool leaving_ = false;   ///< the code is being unwound
};

// Who includes term.hpp alone calls these two as well: the library must have
// them though each call of its own is inlined.
[[gnu::used]] inline void intrusive_ptr_add_ref(process* x) noexcept {
  x->refs_.fetch_add(1, std::memory_order_relaxed);
}
[[gnu::used]] inline void intrusive_ptr_release(process* x) noexcept {
  if (x->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1)
    delete x;
}

} // namespace hornbeam::runtime
