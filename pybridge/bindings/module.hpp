#pragma once

#include "pybridge/calls/call_helpers.hpp"

namespace hornbeam::pybridge {

// The parts of the module.
void bind_lifecycle(py::module_& m);
void bind_log(py::module_& m);
void bind_tables(py::module_& m);
void bind_cache(py::module_& m);
void bind_calls(py::module_& m);
void bind_groups(py::module_& m);
void bind_handlers(py::module_& m);
void bind_jobs(py::module_& m);
void bind_mailboxes(py::module_& m);
void bind_processes(py::module_& m);
void bind_supervisors(py::module_& m);
void bind_scheduler(py::module_& m);
void bind_streams(py::module_& m);
void bind_tasks(py::module_& m);
void bind_plain_jobs(py::module_& m);

/// What `to` means to `processes::send`: a str is a name, two of them are a
/// name and a node. `what` names it in errors.
runtime::term address(py::handle to, const char* what);
/// The reason of an exit: what is an atom in Erlang may be a str.
runtime::term exit_reason(const py::object& x);
/// The task of a job as Python has it, or None.
py::object task_of(const job& x);
/// Has the pool run a call that Python keeps under `id` as a task.
void submit_local_task(actors::services& at, const std::string& id,
                       const std::string& hook, const std::string& action);
/// Waits for a task of this node. If its result is `local`, Python keeps it, as
/// long as that is kept.
runtime::outcome wait_for_task(actors::services& at, const std::string& id,
                               runtime::deadline until,
                               actors::local_result_ptr& local);

} // namespace hornbeam::pybridge
