#include "pybridge/calls/call_helpers.hpp"

#include <cmath>

#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/convert.hpp"
#include "runtime/net/event_loop.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

actors::services& node() {
  auto& e = engine::get();
  if (e.running() == nullptr) {
    auto* done
      = into_python([] { return PyObject_CallNoArgs(python().ensure); });
    if (done == nullptr)
      throw py::error_already_set();
    Py_DECREF(done);
    if (e.running() == nullptr)
      throw std::runtime_error("the node of this process did not start");
  }
  return *e.running();
}

deadline to_deadline(const py::object& timeout_ms) {
  if (timeout_ms.is_none())
    return {};
  if (PyBool_Check(timeout_ms.ptr())
      || (!PyLong_Check(timeout_ms.ptr()) && !PyFloat_Check(timeout_ms.ptr())
          && !PyIndex_Check(timeout_ms.ptr()))) {
    PyErr_Format(PyExc_TypeError,
                 "a timeout is a number of milliseconds or None, not %s",
                 Py_TYPE(timeout_ms.ptr())->tp_name);
    throw py::error_already_set();
  }
  auto ms = PyFloat_AsDouble(timeout_ms.ptr());
  if (PyErr_Occurred() != nullptr) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError) == 0)
      throw py::error_already_set();
    PyErr_Clear();
    return timeout_ms > py::int_(0) ? deadline{} : deadline::in(0);
  }
  if (std::isnan(ms)) {
    PyErr_SetString(PyExc_ValueError, "a timeout can't be NaN");
    throw py::error_already_set();
  }
  if (ms > 1e15)
    return {};
  return deadline::in(ms <= 0 ? 0 : static_cast<std::int64_t>(std::ceil(ms)));
}

bool wait_until_ready(const std::function<bool(clock::time_point)>& wait,
                      deadline until, const std::function<void()>& first) {
  constexpr auto slice = std::chrono::milliseconds(50);
  bool begun = !first;
  job_queue::pause pause;
  for (;;) {
    bool ready = false;
    {
      without_gil guard{without_gil::baton::keep};
      baton_waiter here;
      if (!std::exchange(begun, true))
        first();
      // Only the main thread has something else to look for.
      auto at = until.at;
      if (is_main_thread())
        at = std::min(at, clock::now() + slice);
      asleep_scope asleep;
      ready = wait(at);
    }
    if (ready)
      return true;
    if (shutting_down()) // an exit hook calls: nothing comes any more
      raise(node_ended());
    if (PyErr_CheckSignals() != 0)
      throw py::error_already_set();
    if (until.expired())
      return false;
  }
}

outcome wait_for(const reply_slot_ptr& slot, deadline until,
                 const std::string& what, const std::function<void()>& first) {
  auto send = [&] {
    std::optional<event_loop::batch_sends_scope> here;
    if (wakeup_baton::get().has_waiting()) // the next thread sends this as well
      here.emplace();
    first();
  };
  auto ready = wait_until_ready([&](auto at) { return slot->wait_until(at); },
                                until,
                                first ? std::function<void()>{send} : nullptr);
  if (ready)
    return slot->take();
  return no_answer(what);
}

outcome ask(const std::function<void(responder)>& send, deadline until,
            const std::string& what) {
  auto slot = std::make_shared<reply_slot>();
  return wait_for(slot, until, what, [&] { send(responder{slot}); });
}

namespace {

bool runs_event_loop() {
  auto* loop
    = into_python([] { return PyObject_CallNoArgs(python().running_loop); });
  if (loop == nullptr)
    throw py::error_already_set();
  Py_DECREF(loop);
  return loop != Py_None;
}

} // namespace

bool wait_until_joined() {
  auto& n = *node().node; // starts it
  auto slot = std::make_shared<reply_slot>();
  if (!n.when_joined([slot] { slot->set(term{true}); }))
    return true;
  if (runs_event_loop())
    return false;
  static_cast<void>(wait_for(slot, {}, "the start of this node", nullptr));
  return true;
}

void wait_until_known(actors::directory& from) {
  wait_until_joined(); // those that are about to be connected are to know, too
  if (!from.has_peers())
    return;
  // Who does not answer in time is not waited for: no error.
  static_cast<void>(
    ask([&](responder reply) { from.when_known(std::move(reply)); },
        deadline::in(actors::directory::patience.count()), "the other nodes"));
}

term::sequence to_sequence(const py::object& xs, const char* root) {
  return to_term(xs, root).to_sequence();
}

term::entries to_entries(const py::dict& xs, const char* root) {
  return to_term(xs, root).pairs();
}

actors::invocation make_invocation(const std::string& name,
                                   const std::string& action,
                                   const py::object& args,
                                   const py::dict& kwargs, deadline until,
                                   std::uint32_t depth) {
  return {
    name,  action, to_sequence(args, "args"), to_entries(kwargs, "kwargs"), {},
    until, depth};
}

py::object list_of_text(const std::vector<std::string>& xs) {
  py::list out;
  for (auto& x : xs)
    out.append(text_to_python(x));
  return out;
}

} // namespace hornbeam::pybridge
