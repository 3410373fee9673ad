#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

// How threads meet Python's lock. pybind11's own guards let a thread take the
// lock of an interpreter that is finalizing, which ends the thread in the
// middle of C++ frames and with it the process.
//
// What always holds: once `close_gate` has returned, no thread but the one
// that called it is inside a function of our module, or it is parked there
// for ever without the lock. The counters are only touched with the lock held.

namespace hornbeam::pybridge {

namespace py = pybind11;

/// Stands at the entry of every function of the module.
class native_call {
public:
  native_call();
  ~native_call();
};

/// Gives the lock back while a call waits.
class without_gil {
public:
  without_gil();
  ~without_gil();
  without_gil(const without_gil&) = delete;
  without_gil& operator=(const without_gil&) = delete;

private:
  PyThreadState* state_;
};

/// From Python's exit hook, with the lock held: parks whoever comes from now
/// on, and waits a bounded time for those who are inside.
void close_gate(std::chrono::milliseconds patience);
/// After a fork, in the child: there is one thread and no gate.
void open_gate();
/// The exit hook has run.
bool gate_closed() noexcept;

/// Whether this thread is the one that gets signals.
bool is_main_thread() noexcept;

} // namespace hornbeam::pybridge
