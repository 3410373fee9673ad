#pragma once

#include "pybridge/visit.hpp"

namespace hornbeam::pybridge {

// The parts of the module.
void bind_lifecycle(py::module_& m);
void bind_tables(py::module_& m);
void bind_calls(py::module_& m);
void bind_handlers(py::module_& m);
void bind_jobs(py::module_& m);
void bind_mailboxes(py::module_& m);
void bind_streams(py::module_& m);
void bind_tasks(py::module_& m);

/// The task of a job as Python has it, or None.
py::object task_of(const job& x);

} // namespace hornbeam::pybridge
