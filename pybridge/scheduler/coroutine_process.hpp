#pragma once

#include <memory>

#include "pybridge/calls/python_mailbox.hpp"
#include "pybridge/scheduler/scheduler.hpp"

namespace hornbeam::pybridge {

/// `_native.Coroutine`: a process whose code is a coroutine, and the asyncio
/// task that this coroutine sees. hornbeam/_spawned.py derives from it.
///
/// What always holds: from its start to the end of its code this object has a
/// reference to itself. Its code runs only in the thread of its scheduler's
/// loop. All of it is read and written with Python's lock.
struct __attribute__((visibility("hidden"))) coroutine_process {
  PyObject_HEAD
    /// What the code waits for.
    enum class state : char {
      made,    ///< to be started
      fresh,   ///< its first turn
      turn,    ///< any turn
      message, ///< what its receive wants
      future,  ///< an asyncio future, whose callback goes on
      others,  ///< the others on its loop, which calls it back then
      over,    ///< nothing: it has ended
    };

  std::shared_ptr<scheduler> turns;
  std::shared_ptr<python_mailbox> mailbox;
  PyObject* box;       ///< it as Python has it; null until that is wanted
  PyObject* function;  ///< which it began with
  PyObject* arguments; ///< until its first turn
  PyObject* coroutine; ///< from then on
  PyObject* context;
  PyObject* future;         ///< while it waits for one
  PyObject* cancel_message; ///< of a cancellation that is to be thrown
  PyObject* error;          ///< what is to be thrown into it, not cancelled
  PyObject* monitor;        ///< that its caller has asked for
  PyObject* weak_references;
  scheduler::timer_map::iterator timer;
  int cancels; ///< that were asked for and not taken back
  state waits_for;
  bool timed;       ///< `timer` is set
  bool must_cancel; ///< at its next turn
  bool told;        ///< that its process has been ended
  bool follow_up;   ///< Python has something to do after its end
};

/// Null if it is none.
coroutine_process* as_coroutine_process(PyObject* x) noexcept;
/// The mailbox of whose code calls, if that was spawned; else null. Raises what
/// ends its code, if it has been ended.
std::shared_ptr<python_mailbox> spawned_caller();
/// The process whose own code runs, not that of a block inside of it; null if
/// that is none of ours.
coroutine_process* whose_code();
/// One turn, unless it waits for something that has not come.
void take_turn(coroutine_process* p);
void forget_timer(coroutine_process* p) noexcept;
/// Raises `asyncio.CancelledError` with the reason of its end.
[[noreturn]] void raise_told(coroutine_process& p);

void bind_coroutine_process(py::module_& m);

} // namespace hornbeam::pybridge
