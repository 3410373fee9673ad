#include "actors/task.hpp"

#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/completions.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/memory_of.hpp"
#include "runtime/net/event_loop.hpp"

// Tasks. What asks for them wherever they are goes through `request`; here is
// what knows that task and caller are in one process.

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

/// A task as its handler has it.
struct python_task {
  /// In a forked child, the parent's tasks are nobody's.
  bool ours() const noexcept { return created_in == fork_generation(); }

  actors::task_ptr task;
  std::uint32_t created_in = fork_generation();
};
using task_holder = std::unique_ptr<python_task, leak_after_fork<python_task>>;

} // namespace

py::object task_of(const job& x) {
  if (!x.call.task)
    return py::none();
  return py::cast(task_holder{new python_task{x.call.task, x.created_in}});
}

void submit_local_task(actors::services& at, const std::string& id,
                       const std::string& hook, const std::string& action) {
  actors::invocation x;
  x.target = id;
  x.task = at.tasks.start(id, hook, action);
  if (!job_queue::get().push({"local", std::move(x), nullptr, nullptr}))
    at.tasks.finish(id, {node_ended(), nullptr});
}

outcome wait_for_task(actors::services& at, const std::string& id,
                      deadline until, actors::local_result_ptr& local) {
  auto slot = std::make_shared<reply_slot>();
  auto found = std::make_shared<actors::local_result_ptr>();
  at.tasks.await_here(id, until, [slot, found](const actors::task_result& r) {
    *found = r.local;
    slot->set(r.local ? outcome{} : r.value);
  });
  auto out = slot->ready() ? slot->take() : wait_for(slot, until, "task " + id);
  if (out) // else it may still be written
    local = *found;
  return out;
}

void bind_tasks(py::module_& m) {
  using guard = py::call_guard<native_call>;

  py::class_<python_task, task_holder>(m, "Task")
    .def(
      "begin", [](python_task& x) { return x.ours() && x.task->begin(); },
      guard())
    .def(
      "cancelled",
      [](python_task& x) { return x.ours() && x.task->cancelled(); }, guard())
    .def(
      "progress",
      [](python_task& x, const py::object& value) {
        auto t = to_term(value, "progress");
        if (!x.ours())
          return;
        without_gil free;
        event_loop::send_now_scope here;
        x.task->progress(std::move(t));
      },
      guard())
    // Answers when the task is cancelled, if it is.
    .def(
      "notify_cancel",
      [](python_task& x, const std::shared_ptr<completions>& c,
         std::uint64_t key) {
        if (x.ours())
          x.task->on_cancel([c, key] { c->add({key, term{}, nullptr}); });
      },
      guard());

  m.def(
    "make_task_id",
    [](const text& where) {
      return text_to_python(node().tasks.make_id(where));
    },
    guard());
  m.def(
    "task_node", [](const text& id) { return actors::tasks::node_of(id); },
    guard());
  m.def(
    "submit_local_task",
    [](const text& id, const text& hook, const text& action) {
      submit_local_task(node(), id, hook, action);
    },
    guard());
  m.def(
    "finish_local_task",
    [](const text& id, bool ok, const py::object& value) {
      job_queue::get().answer(
        [&to = node().tasks, id, ok, bytes = memory_of(value)] {
          to.finish(id, {{}, std::make_shared<python_result>(id, bytes), !ok});
        });
    },
    guard());
  m.def(
    "submit_task",
    [](const text& id, const text& name, const text& action,
       const py::object& args, const py::dict& kwargs,
       const py::object& timeout_ms, std::uint32_t depth) {
      node().tasks.submit(id, make_invocation(name, action, args, kwargs,
                                              to_deadline(timeout_ms), depth));
    },
    guard());
  m.def(
    "await_local_task",
    [](const text& id, const py::object& timeout_ms) {
      actors::local_result_ptr local;
      auto x = wait_for_task(node(), id, to_deadline(timeout_ms), local);
      return local ? py::make_tuple(true, holder_of(std::move(local)))
                   : py::make_tuple(false, value_or_raise(x));
    },
    guard());
  m.def(
    "await_local_task_async",
    [](const std::shared_ptr<completions>& c, std::uint64_t key, const text& id,
       const py::object& timeout_ms) {
      node().tasks.await_here(
        id, to_deadline(timeout_ms), [c, key](const actors::task_result& r) {
          c->add({key, r.local ? outcome{} : r.value, r.local});
        });
    },
    guard());
}

} // namespace hornbeam::pybridge
