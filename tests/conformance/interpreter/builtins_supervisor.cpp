#include "interpreter/machine.hpp"
#include "runtime/otp/supervisor.hpp"

// supervisor: the runtime's supervisor with children that the scenario starts.

namespace hornbeam::conformance {

namespace {

using runtime::child_spec;
using runtime::restart_strategy;
using runtime::restart_type;

template <class T>
T named(const term& x, std::initializer_list<std::pair<const char*, T>> names) {
  for (auto& [name, value] : names)
    if (x.is_atom(name))
      return value;
  throw script_error("the runtime's supervisor has no such setting: "
                     + runtime::to_string(x));
}

/// The value of a key, if the map has it.
const term* setting(const term& map, const char* key) {
  return map.find(atom(key));
}

runtime::supervisor_flags flags_of(const term& x) {
  using runtime::auto_shutdown;
  runtime::supervisor_flags out;
  if (auto* s = setting(x, "strategy"))
    out.strategy = named<restart_strategy>(
      *s, {{"one_for_one", restart_strategy::one_for_one},
           {"one_for_all", restart_strategy::one_for_all},
           {"rest_for_one", restart_strategy::rest_for_one},
           {"simple_one_for_one", restart_strategy::simple_one_for_one}});
  if (auto* s = setting(x, "intensity"))
    out.intensity = s->as_int();
  if (auto* s = setting(x, "period"))
    out.period_ms = 1000 * s->as_int();
  if (auto* s = setting(x, "auto_shutdown"))
    out.auto_shutdown = named<auto_shutdown>(
      *s, {{"never", auto_shutdown::never},
           {"any_significant", auto_shutdown::any_significant},
           {"all_significant", auto_shutdown::all_significant}});
  return out;
}

task<term> start_by(machine* m, self me, term mfa, term::sequence extra) {
  context c{*m, me};
  auto args = mfa.items()[2].to_sequence();
  args.insert(args.end(), extra.begin(), extra.end());
  term x;
  try {
    x = co_await apply_named(c, place{}, std::string{mfa.items()[0].text()},
                             std::string{mfa.items()[1].text()},
                             std::move(args));
  } catch (const script_error& e) {
    m->outside().fail(e.what());
  }
  co_return x;
}

child_spec spec_of(machine& m, const term& x) {
  child_spec out;
  out.id = *setting(x, "id");
  if (auto* mfa = setting(x, "start")) {
    out.start = [m = &m, mfa = *mfa](self me, term::sequence extra) {
      return start_by(m, me, mfa, std::move(extra));
    };
    out.modules = term::list({mfa->items()[0]});
  }
  if (auto* s = setting(x, "restart"))
    out.restart = named<restart_type>(*s,
                                      {{"permanent", restart_type::permanent},
                                       {"transient", restart_type::transient},
                                       {"temporary", restart_type::temporary}});
  if (auto* s = setting(x, "significant"))
    out.significant = is_true(*s);
  if (auto* s = setting(x, "type"))
    out.is_supervisor = s->is_atom("supervisor");
  if (auto* s = setting(x, "shutdown"))
    out.shutdown = s->is_atom("brutal_kill") ? child_spec::brutal_kill
                   : s->is_atom("infinity")  ? child_spec::infinity
                                             : s->as_int();
  if (auto* s = setting(x, "modules"))
    out.modules = *s;
  return out;
}

/// ([{local, Name},] Module, Argument). Module:init is called here, as the
/// runtime's supervisor takes flags and children, not a function.
task<term> start_link(context& c, std::vector<term> xs) {
  runtime::server_options o;
  if (xs.size() == 3) {
    o.name = xs[0].at(1).text();
    xs.erase(xs.begin());
  }
  std::vector<term> argument(1, xs[1]);
  auto init = co_await apply_named(c, place{}, std::string{xs[0].text()},
                                   "init", std::move(argument));
  bool good = init.is(term::kind::tuple) && init.items().size() == 2
              && init.items()[0].is_atom("ok");
  if (!good)
    throw script_error("the runtime's supervisor has no init that returns "
                       + runtime::to_string(init));
  auto& parts = init.items()[1];
  std::vector<child_spec> children;
  for (auto& x : parts.at(1).items())
    children.push_back(spec_of(c.m, x));
  auto x = co_await runtime::start_supervisor(
    c.me, flags_of(parts.at(0)), std::move(children), std::move(o));
  co_return x;
}

task<term> start_child(context& c, std::vector<term> xs) {
  if (xs[1].is(term::kind::list))
    return runtime::start_child(c.me, xs[0], xs[1].to_sequence());
  return runtime::start_child(c.me, xs[0], spec_of(c.m, xs[1]));
}

using operation_on_child = task<term> (*)(self, term, term);

template <operation_on_child F>
task<term> on_child(context& c, std::vector<term> xs) {
  return F(c.me, xs[0], xs[1]);
}

using question = task<term> (*)(self, term);

template <question F>
task<term> asked(context& c, std::vector<term> xs) {
  return F(c.me, xs[0]);
}

} // namespace

void add_supervisor_builtins(builtin_table& t) {
  auto add = [&](const char* name, std::size_t arity, waiting_builtin f) {
    t[{"supervisor", name, arity}].waiting = f;
  };
  add("start_link", 2, start_link);
  add("start_link", 3, start_link);
  add("start_child", 2, start_child);
  add("terminate_child", 2, on_child<runtime::terminate_child>);
  add("restart_child", 2, on_child<runtime::restart_child>);
  add("delete_child", 2, on_child<runtime::delete_child>);
  add("get_childspec", 2, on_child<runtime::get_childspec>);
  add("which_children", 1, asked<runtime::which_children>);
  add("count_children", 1, asked<runtime::count_children>);
}

} // namespace hornbeam::conformance
