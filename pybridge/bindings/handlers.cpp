#include "pybridge/bindings/module.hpp"

#include <set>

#include "pybridge/calls/completions.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/calls/local_call.hpp"
#include "pybridge/calls/permit.hpp"
#include "pybridge/calls/plain_jobs.hpp"
#include "pybridge/values/convert.hpp"

// Hooks and functions: their registration in this process, their permits if
// they are bounded, what is known of them, and calls of them, wherever they
// are.

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

actors::named_handlers& handlers(const std::string& scope) {
  return scope == "hook" ? node().hooks : node().functions;
}

std::unique_ptr<held_permit> wait_for_permit(local_handler& h,
                                             const py::object& timeout_ms) {
  auto until = to_deadline(timeout_ms);
  auto slot = std::make_shared<reply_slot>();
  auto out = std::make_unique<held_permit>(h.served,
                                           [slot] { slot->set(outcome{}); });
  auto ready
    = slot->ready()
      || wait_until_ready([&](auto at) { return slot->wait_until(at); }, until);
  if (!ready)
    raise(too_late());
  return out;
}

/// The `hornbeam._handlers.Handler`. Each call that is not plain asks for it:
/// without pybind11, which takes longer than all the rest.
PyObject* handler_of(PyObject*, PyObject* self) {
  auto get = [](local_handler& h) {
    return py::reinterpret_borrow<py::object>(h.by->self());
  };
  try {
    return subject_of<local_handler>::call(get, self).release().ptr();
  } catch (...) {
    set_current_error();
    return nullptr;
  }
}

/// Where a task is to run. A node whose link has ended is known for a moment
/// more: what is sent there, goes lost.
std::optional<std::string> pick_connected(const actors::named_handlers& from,
                                          const std::string& name) {
  auto& me = *node().node;
  auto where = from.pick(name);
  std::set<std::string> gone;
  while (where && *where != me.name() && !me.connected(*where)) {
    gone.insert(*where);
    auto next = from.pick_elsewhere(name, gone);
    where = next ? std::optional{next->node} : std::nullopt;
  }
  return where;
}

} // namespace

void bind_handlers(py::module_& m) {
  using guard = py::call_guard<native_call>;

  using permit_holder
    = std::unique_ptr<held_permit, leak_after_fork<held_permit>>;
  py::class_<held_permit, permit_holder>(m, "Permit")
    // Around code of this thread that runs in it: when it waits for another
    // call, it releases the permit.
    .def(
      "hold", [](held_permit& x) { job_queue::hold(x.permit()); }, guard())
    .def(
      "let_go", [](held_permit&) { job_queue::let_go(); }, guard())
    .def("end", &held_permit::end, guard())
    .def(
      "release", [](held_permit& x) { x.permit()->release(); }, guard())
    .def(
      "reacquire", [](held_permit& x) { x.permit()->reacquire(); }, guard());

  using holder = std::unique_ptr<local_handler, leak_after_fork<local_handler>>;
  py::class_<local_handler, holder> served(m, "Served");
  static PyMethodDef handler{"handler", handler_of, METH_O, nullptr};
  served.attr("handler")
    = py::module_::import("builtins")
        .attr("property")(py::reinterpret_steal<py::object>(
          PyCFunction_New(&handler, nullptr)));
  served
    .def(
      "acquire",
      [](local_handler& h, const py::object& timeout_ms) {
        return permit_holder{wait_for_permit(h, timeout_ms).release()};
      },
      guard())
    .def(
      "ask",
      [](local_handler& h, const std::shared_ptr<completions>& c,
         std::uint64_t key) {
        return permit_holder{new held_permit{h.served, [c, key] {
                                               c->add({key, term{}, nullptr});
                                             }}};
      },
      guard())
    .def(
      "count",
      [](local_handler& h, bool ok, double seconds) {
        h.served->stats().count(ok);
        h.served->stats().add(
          std::chrono::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)});
      },
      guard());

  m.def(
    "register_handler",
    [](const text& scope, const text& name, const py::object& code,
       const py::object& target, bool by_method, std::size_t concurrency,
       std::size_t queue, bool retry) {
      auto by = std::make_shared<python_handler>(scope, code, target,
                                                 by_method);
      auto added = handlers(scope).add(name, by, {concurrency, queue, retry});
      return holder{new local_handler{std::move(added), std::move(by)}};
    },
    guard());
  m.def(
    "unregister_handler",
    [](const text& scope, const text& name) {
      return handlers(scope).remove(name);
    },
    guard());
  auto directory_of = [](const std::string& scope) -> actors::directory& {
    return scope == "topic" ? node().topics.directory()
                            : handlers(scope).directory();
  };
  m.def(
    "wait_until_known",
    [=](const text& scope) { wait_until_known(directory_of(scope)); }, guard());
  m.def(
    "when_known",
    [=](const std::shared_ptr<completions>& c, std::uint64_t key,
        const text& scope) {
      directory_of(scope).when_known(c->responder_for(key));
    },
    guard());
  m.def(
    "drop_unused", [] { drop_unused(); }, guard());
  m.def(
    "handler_info",
    [](const text& scope) { return to_python(handlers(scope).info()); },
    guard());
  m.def(
    "handler_names",
    [](const text& scope) {
      wait_until_joined();
      return list_of_text(handlers(scope).names());
    },
    guard());
  // Where a task is to run. That of this node waits for the join by itself,
  // where this thread must not.
  m.def(
    "pick",
    [](const text& scope, const text& name) -> py::object {
      auto where = pick_connected(handlers(scope), name);
      if (!where)
        where = wait_until_joined() ? pick_connected(handlers(scope), name)
                                    : std::optional{node().node->name()};
      return where ? text_to_python(*where) : py::none();
    },
    guard());
  m.def(
    "providers",
    [](const text& scope, const text& name) {
      wait_until_joined();
      std::vector<std::string> out;
      if (handlers(scope).local(name))
        out.push_back(node().node->name());
      for (auto& x : handlers(scope).directory().remote(name))
        out.push_back(x.node);
      return list_of_text(out);
    },
    guard());
  m.def(
    "invoke",
    [](const text& scope, const text& name, const text& action,
       const py::object& args, const py::dict& kwargs,
       const py::object& timeout_ms, std::uint32_t depth) {
      auto until = to_deadline(timeout_ms);
      auto x = make_invocation(name, action, args, kwargs, until, depth);
      auto& to = handlers(scope); // starts the node, which needs the lock
      return value_or_raise(
        ask([&](responder reply) { to.invoke(std::move(x), std::move(reply)); },
            until, scope + " " + name));
    },
    guard());
  m.def(
    "invoke_async",
    [](const std::shared_ptr<completions>& c, std::uint64_t key,
       const text& scope, const text& name, const text& action,
       const py::object& args, const py::dict& kwargs,
       const py::object& timeout_ms, std::uint32_t depth) {
      handlers(scope).invoke(make_invocation(name, action, args, kwargs,
                                             to_deadline(timeout_ms), depth),
                             c->responder_for(key));
    },
    guard());
  m.def(
    "cast_handler",
    [](const text& scope, const text& name, const text& action,
       const py::object& args, const py::dict& kwargs) {
      return handlers(scope).cast(
        make_invocation(name, action, args, kwargs, {}, 0));
    },
    guard());
  bind_local_calls(m);
}

} // namespace hornbeam::pybridge
