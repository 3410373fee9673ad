#pragma once

#include "pybridge/gil/gil.hpp"

namespace hornbeam::pybridge {

/// What the Python package gives to this module, all of it in one call when it
/// is imported (hornbeam/_python_side.py). The names are those of that dict.
/// Read with Python's lock; left behind at exit, on purpose.
struct python_side {
  // Values and errors.
  PyObject* atom = nullptr;
  PyObject* missing = nullptr;   ///< stands for a key that is not there
  PyObject* encode = nullptr;    ///< object -> None | (tag or None, value)
  PyObject* decode = nullptr;    ///< (tag, value) -> object
  PyObject* exception = nullptr; ///< failure fields -> exception object
  PyObject* translate = nullptr; ///< (exception): raises what callers see

  // The context of a call.
  PyObject* deadline = nullptr;      ///< context variable, as the next three
  PyObject* depth = nullptr;         //
  PyObject* permits = nullptr;       //
  PyObject* task = nullptr;          //
  PyObject* owner = nullptr;         ///< context variable: whoever runs
  PyObject* owner_type = nullptr;    ///< () -> whoever runs a call
  PyObject* caller = nullptr;        ///< () -> the mailbox of whoever runs
  PyObject* of_table_call = nullptr; ///< () -> (timeout_ms, depth)
  PyObject* left_ms = nullptr;       ///< () -> ms until the deadline, or None
  PyObject* settings = nullptr;      ///< dict with "default_timeout_ms"
  long max_depth = 0;

  // Processes that were spawned.
  PyObject* supervisor = nullptr; ///< context variable: who starts a child
  PyObject* predicate = nullptr;  ///< (pattern) -> function that says yes or no
  PyObject* refuse_dead = nullptr; ///< (): raises if the caller has been ended

  // The life of the node.
  PyObject* ensure = nullptr;       ///< (): starts it unless it runs
  PyObject* running_loop = nullptr; ///< () -> this thread's event loop or None

  // The handlers of this process: dicts of name -> `local_handler`.
  PyObject* hooks = nullptr;
  PyObject* functions = nullptr;

  // Calls that are not plain.
  PyObject* execute = nullptr;       ///< as those of the API
  PyObject* call = nullptr;          //
  PyObject* execute_async = nullptr; //
  PyObject* await_result = nullptr;  //

  // What is left of a call that this module has begun.
  PyObject* finish = nullptr;       ///< (handler, awaitable) -> value
  PyObject* fail = nullptr;         ///< (job, exception)
  PyObject* go_on = nullptr;        ///< (job, awaitable, owner)
  PyObject* go_on_task = nullptr;   ///< (id, awaitable, served, owner)
  PyObject* go_on_stream = nullptr; ///< (job, result, owner, context)

  // Tasks of this process.
  PyObject* calls = nullptr;        ///< dict of those that have not begun
  PyObject* results = nullptr;      ///< dict of those that have ended
  PyObject* local_result = nullptr; ///< (id): returns or raises it
};

namespace detail {
inline constinit python_side given;
} // namespace detail

inline const python_side& python() noexcept {
  return detail::given;
}

/// Takes it. Raises TypeError if something is missing or has no place here.
void set_python_side(const py::dict& x);

} // namespace hornbeam::pybridge
