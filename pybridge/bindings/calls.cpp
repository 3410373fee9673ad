#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/completions.hpp"
#include "pybridge/values/convert.hpp"

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

} // namespace

void bind_calls(py::module_& m) {
  using guard = py::call_guard<native_call>;

  m.def(
    "request",
    [](const text& to, const text& service, const text& name,
       const py::object& args, const py::object& timeout_ms,
       std::uint32_t depth) {
      auto until = to_deadline(timeout_ms);
      auto op = make_request(name, args);
      auto& from = *node().node; // starts the node, which needs the lock
      return value_or_raise(ask(
        [&](responder reply) {
          from.request(to, service, op, until, depth, std::move(reply));
        },
        until, service + " on " + to));
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
}

} // namespace hornbeam::pybridge
