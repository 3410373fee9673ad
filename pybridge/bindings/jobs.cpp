#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/permit.hpp"
#include "pybridge/calls/plain_jobs.hpp"
#include "pybridge/values/convert.hpp"

// What the pool's threads (hornbeam/_pool.py) use.

namespace hornbeam::pybridge {

using namespace runtime;

void bind_jobs(py::module_& m) {
  using guard = py::call_guard<native_call>;

  // What a job of the parent is told in a forked child is told to nobody.
  static constexpr auto ours = [](const job& x) {
    return x.created_in == fork_generation();
  };
  using holder = std::unique_ptr<job, leak_after_fork<job>>;
  py::class_<job, holder>(m, "Job")
    .def_readonly("kind", &job::kind)
    .def_property_readonly("name",
                           [](job& x) { return text_to_python(x.call.target); })
    .def_property_readonly("action",
                           [](job& x) { return text_to_python(x.call.action); })
    .def_property_readonly(
      "args", [](job& x) { return to_python(term::list(x.call.args)); },
      guard())
    .def_property_readonly(
      "kwargs", [](job& x) { return to_python(term::map(x.call.kwargs)); },
      guard())
    // What is called: a `hornbeam._handlers.Handler`, or None of a module.
    .def_property_readonly("handler",
                           [](job& x) {
                             auto* found = x.by ? x.by->self() : nullptr;
                             return py::reinterpret_borrow<py::object>(
                               found != nullptr ? found : Py_None);
                           })
    .def_property_readonly("sender",
                           [](job& x) { return text_to_python(x.call.from); })
    .def_property_readonly("depth", [](job& x) { return x.call.depth; })
    .def_property_readonly("left_ms",
                           [](job& x) -> py::object {
                             auto left = x.call.until.left_ms();
                             return left < 0 ? py::object(py::none())
                                             : py::int_(left);
                           })
    // Its permit in a bounded handler, for a coroutine that releases it; or
    // None.
    .def_property_readonly(
      "permit",
      [](job& x) -> py::object {
        if (!x.call.permit)
          return py::none();
        return py::cast(
          std::unique_ptr<held_permit, leak_after_fork<held_permit>>{
            new held_permit{x.call.permit}});
      },
      guard())
    .def_property_readonly("task", &task_of)
    .def_property_readonly("source_id", [](job& x) { return x.source->id(); })
    .def(
      "reply",
      [](job& x, const py::object& value) {
        auto result = to_term(value, "result");
        if (ours(x) && x.reply)
          job_queue::get().answer(
            [to = x.reply, result = std::move(result)] { (*to)(result); });
      },
      guard())
    .def(
      "fail",
      [](job& x, int code, const text& message, const text& type,
         const text& traceback) {
        if (!ours(x))
          return;
        failure f{static_cast<error_code>(code), message,
                  engine::get().running()->node->name(), type, traceback};
        job_queue::get().answer(
          [source = x.source, to = x.reply, f = std::move(f)] {
            if (source)
              source->sink().fail(f);
            else if (to)
              (*to)(f);
          });
      },
      guard())
    .def(
      "take_credit", [](job& x) { return ours(x) && x.source->take_credit(); },
      guard())
    .def(
      "closed", [](job& x) { return !ours(x) || x.source->closed(); }, guard())
    .def(
      "chunk", [](job& x, const py::object& value) { send_chunk(x, value); },
      guard())
    .def(
      "end", [](job& x) { end_stream(x); }, guard());

  // Runs calls of plain handlers itself, and returns what is none of those.
  // None: nothing came in time, or such a handler has forked and this is the
  // child.
  m.def(
    "next_job",
    [](std::int64_t timeout_ms) -> py::object {
      auto& queue = job_queue::get();
      auto before = fork_generation();
      for (;;) {
        std::optional<job> x;
        {
          without_gil free;
          x = queue.next(clock::now() + std::chrono::milliseconds(timeout_ms));
        }
        drop_unused();
        if (!x)
          return py::none();
        // Another thread must wait for the next job beside this one.
        if (queue.idle() == 0 || !run_plain(*x))
          return py::cast(*std::move(x));
        if (fork_generation() != before)
          return py::none();
        x.reset();
        queue.done();
      }
    },
    guard());
  // False if the node has ended.
  m.def(
    "submit_call",
    [](const text& number) {
      actors::invocation x;
      x.target = number;
      return job_queue::get().push({"call", std::move(x), nullptr, nullptr});
    },
    guard());
  m.def("fork_generation", &fork_generation);
  m.def(
    "job_done", [] { job_queue::get().done(); }, guard());
  m.def(
    "set_pool_limit", [](std::size_t n) { job_queue::get().set_limit(n); },
    guard());
  m.def(
    "idle_threads", [] { return job_queue::get().idle(); }, guard());
}

} // namespace hornbeam::pybridge
