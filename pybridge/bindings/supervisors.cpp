#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/python_mailbox.hpp"
#include "pybridge/values/convert.hpp"
#include "runtime/otp/supervisor.hpp"
#include "runtime/term/atoms.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

/// What one of a few words stands for.
template <class T, std::size_t N>
T one_of(const std::string& given, const char* what,
         const std::pair<const char*, T> (&all)[N]) {
  std::string known;
  for (auto& [word, value] : all) {
    if (given == word)
      return value;
    known += (known.empty() ? "'" : ", '") + std::string{word} + "'";
  }
  set_error(PyExc_ValueError, std::string{what} + " must be one of " + known
                                + ", not '" + given + "'");
  throw py::error_already_set();
}

restart_strategy to_strategy(const py::object& x) {
  static constexpr std::pair<const char*, restart_strategy> all[]
    = {{"one_for_one", restart_strategy::one_for_one},
       {"one_for_all", restart_strategy::one_for_all},
       {"rest_for_one", restart_strategy::rest_for_one},
       {"simple_one_for_one", restart_strategy::simple_one_for_one}};
  return one_of(to_text(x, "strategy"), "strategy", all);
}

auto_shutdown to_auto_shutdown(const py::object& x) {
  static constexpr std::pair<const char*, auto_shutdown> all[]
    = {{"never", auto_shutdown::never},
       {"any_significant", auto_shutdown::any_significant},
       {"all_significant", auto_shutdown::all_significant}};
  return one_of(to_text(x, "auto_shutdown"), "auto_shutdown", all);
}

/// The process that calls the Python functions which start children. It gets
/// `{start, Ref, Supervisor, Key, Extra}` and answers `{Ref, Result}`.
task<term> start_by(self me, term python, term key, term::sequence extra) {
  auto ref = me.monitor(python);
  me.send(python, term::tuple({term::atom("start"), ref, me.pid(), key,
                               term::list(std::move(extra))}));
  auto got = co_await me.receive(match(ref, any)
                                 | match(atoms::down, ref, any, any, any));
  if (got.items().size() != 2)
    co_return term::tuple({atoms::error, got.items()[4]});
  me.demonitor(ref, true);
  auto result = got.items()[1];
  // A child that its starter has not linked would end unnoticed.
  if (match(atoms::ok, any_pid)(result))
    me.link(result.items()[1]);
  co_return result;
}

/// (id, key, restart, shutdown_ms, is_supervisor, significant), checked by
/// `hornbeam.supervisor`.
child_spec to_spec(const py::tuple& x, const term& python) {
  static constexpr std::pair<const char*, restart_type> restarts[]
    = {{"permanent", restart_type::permanent},
       {"transient", restart_type::transient},
       {"temporary", restart_type::temporary}};
  child_spec out;
  out.id = to_term(x[0], "id");
  out.start = [python, key = to_term(x[1], "key")](self me,
                                                   term::sequence extra) {
    return start_by(me, python, key, std::move(extra));
  };
  out.restart = one_of(to_text(x[2], "restart"), "restart", restarts);
  if (!x[3].is_none())
    out.shutdown = x[3].cast<std::int64_t>();
  out.is_supervisor = x[4].cast<bool>();
  out.significant = x[5].cast<bool>();
  return out;
}

} // namespace

void bind_supervisors(py::module_& m) {
  using guard = py::call_guard<native_call>;
  // Its pid. `to` gets (ack, tag, result) when its children have started.
  m.def(
    "spawn_supervisor",
    [](const py::object& strategy, std::int64_t intensity,
       std::int64_t period_ms, const py::object& ends, const py::list& children,
       const py::object& python, const py::object& name,
       const py::object& parent, const py::object& to, const py::object& tag) {
      supervisor_flags flags;
      flags.strategy = to_strategy(strategy);
      flags.intensity = intensity;
      flags.period_ms = period_ms;
      flags.auto_shutdown = to_auto_shutdown(ends);
      auto starter = to_term(python, "python");
      std::vector<child_spec> specs;
      for (auto x : children)
        specs.push_back(to_spec(py::cast<py::tuple>(x), starter));
      return to_python(spawn_supervisor(
        node().node->processes(), flags, std::move(specs),
        to_text(name, "name"),
        {to_term(parent, "parent"), to_term(to, "to"), to_term(tag, "tag")}));
    },
    guard());
  // What a call `start_child` carries.
  m.def(
    "hand_over_child",
    [](const py::tuple& child, const py::object& python) {
      return to_python(hand_over(node().node->processes(),
                                 to_spec(child, to_term(python, "python"))));
    },
    guard());
}

} // namespace hornbeam::pybridge
