#pragma once

#include <memory>
#include <optional>
#include <string>

#include "actors/served_handler.hpp"
#include "pybridge/calls/jobs.hpp"
#include "pybridge/gil/gil.hpp"

// `execute` and `call` for handlers of this process: what they cost is what the
// interpreter itself takes for a call, so they are written against its C API.

namespace hornbeam::pybridge {

/// A Python handler of this process, as Python keeps it under its name
/// (`hornbeam._handlers.Registry.local`).
struct local_handler {
  std::shared_ptr<actors::served_handler> served;
  std::shared_ptr<python_handler> by;
};

/// What Python keeps under `name`, borrowed; null if that is nothing.
PyObject* find_local(bool is_hook, PyObject* name);
local_handler& to_local_handler(PyObject* x);

/// What an action of a handler calls.
struct __attribute__((visibility("hidden"))) plain_target {
  py::object function;
  bool takes_action = false; ///< the action is the first argument
};

/// None if the action is not there, or more is to be said of it. `action` is
/// null for functions. With Python's lock.
std::optional<plain_target> find_plain(const python_handler& h,
                                       PyObject* action);
/// Whether the calling code is inside a deadline.
bool has_deadline();
/// Whether calls without a timeout of their own have none.
bool no_default_timeout();
/// The depth of a call from here; -1: it needs more care, or is too deep.
long depth_of_call();
bool is_awaitable(PyObject* x);

/// Arguments as the interpreter passes them.
struct __attribute__((visibility("hidden"))) given_arguments {
  py::tuple args;
  py::dict kwargs;
};
/// Those behind the first `skip`.
given_arguments collect(PyObject* const* args, Py_ssize_t n, PyObject* names,
                        Py_ssize_t skip);

void bind_local_calls(py::module_& m);

} // namespace hornbeam::pybridge
