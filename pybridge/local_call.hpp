#pragma once

#include <memory>
#include <string>

#include "actors/served_handler.hpp"
#include "pybridge/gil.hpp"

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

void bind_local_calls(py::module_& m);

} // namespace hornbeam::pybridge
