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
}

} // namespace hornbeam::pybridge
