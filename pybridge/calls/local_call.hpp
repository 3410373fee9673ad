#pragma once

#include <memory>
#include <optional>
#include <string>

#include "actors/served_handler.hpp"
#include "pybridge/gil/gil.hpp"

// `execute` and `call` for handlers of this process: what they cost is what the
// interpreter itself takes for a call, so they are written against its C API.

namespace hornbeam::pybridge {

/// A Python handler of this process.
struct __attribute__((visibility("hidden"))) local_handler {
  std::shared_ptr<actors::served_handler> served;
  py::object handler; ///< `hornbeam._handlers.Handler`
  py::object target;
  bool by_method = false; ///< an action is the name of a method
};

/// `served` is a `local_handler` as Python holds it, or nothing.
void set_local_handler(const std::string& scope, const std::string& name,
                       const py::object& served);

/// A handler of this process, and what one of its actions calls.
struct __attribute__((visibility("hidden"))) plain_target {
  py::object keep; ///< the handler may be replaced meanwhile
  local_handler* handler = nullptr;
  py::object function;
  bool takes_action = false; ///< the action is the first argument
};

/// What is registered here under `name`, if nothing is special about it and the
/// action is there. `action` is null for functions. With Python's lock.
std::optional<plain_target> find_plain(bool is_hook, PyObject* name,
                                       PyObject* action);
/// Whether this process has a hook of that name.
bool has_hook(PyObject* name);
/// Whether the calling code is inside a deadline.
bool has_deadline();
/// The depth of a call from here; -1: it needs more care, or is too deep.
long depth_of_call();
bool is_awaitable(PyObject* x);

void bind_local_calls(py::module_& m);

} // namespace hornbeam::pybridge
