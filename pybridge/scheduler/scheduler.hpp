#pragma once

#include <map>
#include <memory>
#include <vector>

#include "pybridge/calls/python_mailbox.hpp"
#include "pybridge/gil/gil.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::pybridge {

struct coroutine_process;

/// The turns of coroutine processes in the thread of one event loop, which
/// calls `run` when the descriptor is readable. Messages between them, and from
/// other threads, need no turn of the loop and no lock of Python's to get here.
///
/// All but `add` is called with Python's lock.
class __attribute__((visibility("hidden"))) scheduler final
  : public runtime::attached_process::turns,
    public std::enable_shared_from_this<scheduler> {
public:
  using clock = runtime::clock;
  using timer_map = std::multimap<clock::time_point, coroutine_process*>;

  /// `current_tasks` and `cancelled_error` are asyncio's.
  scheduler(py::object loop, py::dict current_tasks,
            py::object cancelled_error);
  ~scheduler() override;

  int descriptor() const noexcept { return fd_; }
  void add(runtime::process_ptr p) noexcept override;
  /// Gives turns for a millisecond at most. The seconds after which it wants to
  /// be called again even if nothing comes; negative: it need not be.
  double run();
  /// In a forked child: the processes have stayed with the parent.
  void close() noexcept;

  /// Whose code runs in this thread: null if that is none of ours.
  static coroutine_process* running() noexcept;
  /// Around a step.
  class step_scope;

  /// Whether others are to have their turn; looks at the clock now and then.
  bool slice_is_over() noexcept {
    return ++receives_ % 8 == 0 && clock::now() > until_;
  }
  /// Has `p` get a turn then.
  timer_map::iterator add_timer(clock::time_point at, coroutine_process& p);
  void remove_timer(timer_map::iterator x) noexcept { timers_.erase(x); }
  const py::object& loop() const noexcept { return loop_; }
  const py::object& cancelled_error() const noexcept {
    return cancelled_error_;
  }
  /// For callbacks of futures: with its own, a context would be entered twice.
  const py::object& empty_context() const noexcept { return empty_context_; }

private:
  static constexpr auto slice = std::chrono::milliseconds(1);

  using list = std::vector<runtime::process_ptr>;

  double run_here();
  void have_run_called() noexcept;
  bool give_turns(list& of);
  void fire_timers();

  int fd_;
  const std::uint32_t created_in_ = fork_generation();
  py::object loop_;
  py::dict current_tasks_;
  py::object cancelled_error_;
  py::object empty_context_;
  timer_map timers_;
  /// When the loop calls `run` for them.
  clock::time_point armed_ = clock::time_point::max();
  bool running_ = false;    ///< `run` is at work
  clock::time_point until_; ///< the end of the slice
  std::uint32_t turns_ = 0; ///< given by now
  std::uint32_t receives_ = 0;
  list rest_; ///< what the slice was too short for

  runtime::ranked_mutex<runtime::lock_rank::completions> mutex_;
  list ready_;          ///< under `mutex_`
  bool called_ = false; ///< under `mutex_`: `run` is on its way or at work
};

/// What holds while a step of `p` runs: it is the loop's current task.
class __attribute__((visibility("hidden"))) scheduler::step_scope {
public:
  step_scope(scheduler& s, coroutine_process& p);
  ~step_scope();
  step_scope(const step_scope&) = delete;
  step_scope& operator=(const step_scope&) = delete;

private:
  scheduler& s_;
};

} // namespace hornbeam::pybridge
