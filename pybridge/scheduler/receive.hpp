#pragma once

#include "pybridge/scheduler/coroutine_process.hpp"

namespace hornbeam::pybridge {

/// Whether a coroutine of `p` has yielded a receive of its own; then until when
/// that waits.
std::optional<runtime::clock::time_point> waits_for_message(
  PyObject* yielded, const coroutine_process& p) noexcept;

void bind_receive(py::module_& m);

} // namespace hornbeam::pybridge
