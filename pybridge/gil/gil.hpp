#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>

#include "runtime/base/fork.hpp"
#include "runtime/base/ranked_mutex.hpp"

// How threads meet Python's lock, and processes a fork.
//
// pybind11's own guards let a thread take the lock of an interpreter that is
// finalizing, which ends the thread in the middle of C++ frames and with it
// the process. Here such a thread is parked instead: it sleeps for ever,
// without the lock, and none of its C++ frames is left.
//
// What always holds: once `begin_shutdown` was called, no thread but the one
// that called it gets into a function of our module or back into one from a
// wait; once `wait_for_open_calls` said true, none is inside, with Python's
// lock or without, but for those that sleep until something comes. And no
// thread that Python ends inside of our frames unwinds them.

namespace hornbeam::pybridge {

namespace py = pybind11;

/// Stands at the entry of every function of the module.
class native_call {
public:
  native_call();
  ~native_call();
  native_call(const native_call&) = delete;
  native_call& operator=(const native_call&) = delete;
};

/// Gives the lock back while a call waits.
class without_gil {
public:
  enum class baton { pass, keep };
  /// A thread that goes to sleep at a `waitable` may keep the baton until then.
  explicit without_gil(baton b = baton::pass);
  ~without_gil() noexcept(false);
  without_gil(const without_gil&) = delete;
  without_gil& operator=(const without_gil&) = delete;

private:
  PyThreadState* state_;
};

/// Around the sleep of a thread that waits, without the lock, for something to
/// come. Leaving Python does not wait for such a thread: it parks when it
/// wakes.
class asleep_scope {
public:
  asleep_scope() noexcept;
  ~asleep_scope();
  asleep_scope(const asleep_scope&) = delete;
  asleep_scope& operator=(const asleep_scope&) = delete;
};

/// From here on whoever waits in the runtime gives the lock back meanwhile.
void release_gil_in_waits();

[[noreturn]] void park();

/// Around a call of the C API that may run Python code for long: Python ends
/// a thread that comes back to its lock too late by unwinding the stack, and
/// this is the innermost of our frames.
template <class F>
auto into_python(F f) {
  struct guard {
    bool back = false;
    ~guard() {
      if (!back)
        park();
    }
  } here;
  runtime::lock_check::require_none("running Python code");
  auto out = f();
  here.back = true;
  return out;
}

/// From Python's exit hook, with the lock held: parks whoever comes from now
/// on, but for this thread.
void begin_shutdown();
/// Waits until those who are inside have left, sleep or are parked. False if
/// that takes longer than `patience`.
bool wait_for_open_calls(std::chrono::milliseconds patience);
/// The exit hook has run.
bool shutting_down() noexcept;
/// After a fork, in the child: there is one thread and no shutdown.
void reset_shutdown();

/// It counts before any code of the child runs, so that also the objects know
/// which Python drops before its own fork hooks.
using runtime::fork_generation;

/// Deletes an object unless it was made before a fork: that belongs to the
/// parent, whose services its destructor would call, perhaps into locks that
/// threads of the parent held. Nor at exit, when those have ended.
template <class T>
struct leak_after_fork {
  std::uint32_t created_in = fork_generation();
  void operator()(T* x) const {
    if (created_in == fork_generation() && !shutting_down())
      delete x;
  }
};

/// Whether this thread is the one that gets signals.
bool is_main_thread() noexcept;

} // namespace hornbeam::pybridge
