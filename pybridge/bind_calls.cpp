#include "pybridge/completions.hpp"
#include "pybridge/convert.hpp"
#include "pybridge/module.hpp"

// Requests to services here and on other nodes, in two forms: one that waits,
// and one that answers to an event loop through `Completions`.

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

using completions_ptr = std::shared_ptr<completions>;

term make_request(const std::string& name, const py::object& args) {
  auto items = to_sequence(args, "args");
  items.insert(items.begin(), term::atom(name));
  return term::tuple(std::move(items));
}

actors::named_handlers& handlers(const std::string& scope) {
  return scope == "hook" ? node().hooks : node().functions;
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

actors::tasks::callback task_done(const reply_slot_ptr& slot,
                                  const std::shared_ptr<bool>& local) {
  return [slot, local](const actors::task_result& r) {
    *local = r.local != nullptr;
    slot->set(r.local ? outcome{} : r.value);
  };
}

} // namespace

void bind_calls(py::module_& m) {
  using guard = py::call_guard<native_call>;

  m.def(
    "request",
    [](const text& to, const text& service, const text& name,
       const py::object& args, const py::object& timeout_ms,
       std::uint32_t depth) {
      auto until = to_deadline(timeout_ms);
      auto [slot, reply] = make_reply();
      auto op = make_request(name, args);
      auto& from = *node().node; // starts the node, which needs the lock
      {
        without_gil free; // a large value takes a while to encode
        from.request(to, service, op, until, depth, std::move(reply));
      }
      return value_or_raise(wait_for(slot, until, service + " on " + to));
    },
    guard());
  m.def(
    "request_async",
    [](const completions_ptr& c, std::uint64_t key, const text& to,
       const text& service, const text& name, const py::object& args,
       const py::object& timeout_ms, std::uint32_t depth) {
      node().node->request(to, service, make_request(name, args),
                           to_deadline(timeout_ms), depth,
                           c->responder_for(key));
    },
    guard());
  m.def(
    "cast",
    [](const text& to, const text& service, const text& name,
       const py::object& args) {
      return node().node->cast(to, service, make_request(name, args));
    },
    guard());

  // -- hooks and functions ----------------------------------------------------

  m.def(
    "handler_names",
    [](const text& scope) { return list_of_text(handlers(scope).names()); },
    guard());
  m.def(
    "pick",
    [](const text& scope, const text& name) -> py::object {
      auto where = handlers(scope).pick(name);
      return where ? text_to_python(*where) : py::none();
    },
    guard());
  m.def(
    "providers",
    [](const text& scope, const text& name) {
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
      auto [slot, reply] = make_reply();
      auto x = make_invocation(name, action, args, kwargs, until, depth);
      auto& to = handlers(scope); // starts the node, which needs the lock
      {
        without_gil free;
        to.invoke(std::move(x), std::move(reply));
      }
      return value_or_raise(wait_for(slot, until, scope + " " + name));
    },
    guard());
  m.def(
    "invoke_async",
    [](const completions_ptr& c, std::uint64_t key, const text& scope,
       const text& name, const text& action, const py::object& args,
       const py::dict& kwargs, const py::object& timeout_ms,
       std::uint32_t depth) {
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

  // -- tasks ------------------------------------------------------------------

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
    [](const text& id) {
      node().tasks.start(id);
      actors::invocation x;
      x.target = id;
      if (!job_queue::get().push({"local", std::move(x), nullptr, nullptr}))
        node().tasks.finish(id, {job_queue::ended(), nullptr});
    },
    guard());
  m.def(
    "finish_local_task",
    [](const text& id) {
      job_queue::get().answer([&to = node().tasks, id] {
        to.finish(id, {{}, std::make_shared<python_result>(id)});
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
      auto until = to_deadline(timeout_ms);
      auto slot = std::make_shared<reply_slot>();
      auto local = std::make_shared<bool>(false);
      node().tasks.await_here(id, until, task_done(slot, local));
      auto x = wait_for(slot, until, "task " + id);
      return py::make_tuple(*local, *local ? py::object(py::none())
                                           : value_or_raise(x));
    },
    guard());
  m.def(
    "await_local_task_async",
    [](const completions_ptr& c, std::uint64_t key, const text& id,
       const py::object& timeout_ms) {
      node().tasks.await_here(
        id, to_deadline(timeout_ms), [c, key](const actors::task_result& r) {
          c->add({key, r.local ? outcome{} : r.value, r.local != nullptr});
        });
    },
    guard());
}

} // namespace hornbeam::pybridge
