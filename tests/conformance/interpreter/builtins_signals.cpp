#include <algorithm>

#include "interpreter/machine.hpp"

// Messages, exits, links, monitors, aliases.

namespace hornbeam::conformance {

namespace {

using kind = term::kind;
using runtime::alias_mode;
using args = const std::vector<term>&;

bool has(const term& options, const char* name) {
  auto xs = options.items();
  return std::any_of(xs.begin(), xs.end(),
                     [&](const term& x) { return x.is_atom(name); });
}

void needs_process(const term& what) {
  if (!what.is_atom("process"))
    raise("badarg");
}

term monitor(context& c, args xs) {
  needs_process(xs[0]);
  return c.me.monitor(xs[1]);
}

/// monitor(process, P, [{alias, Mode}])
term monitor_with_alias(context& c, args xs) {
  needs_process(xs[0]);
  auto options = xs[2].items();
  if (options.size() != 1 || options[0].items().size() != 2
      || !options[0].items()[0].is_atom("alias"))
    throw script_error("monitor/3 knows {alias, Mode} only");
  auto& mode = options[0].items()[1];
  return c.me.monitor(
    xs[1], mode.is_atom("explicit_unalias") ? alias_mode::explicit_unalias
           : mode.is_atom("demonitor")      ? alias_mode::demonitor
                                            : alias_mode::reply_demonitor);
}

term demonitor(context& c, args xs) {
  bool flush = xs.size() > 1 && has(xs[1], "flush");
  bool info = xs.size() > 1 && has(xs[1], "info");
  bool found = c.me.demonitor(xs[0], flush);
  return boolean(found || !info);
}

term alias(context& c, args xs) {
  return c.me.alias(!xs.empty() && has(xs[0], "reply"));
}

term process_flag(context& c, args xs) {
  if (!xs[0].is_atom("trap_exit"))
    throw script_error("process_flag knows trap_exit only");
  return boolean(c.me.trap_exit(is_true(xs[1])));
}

term send(context& c, args xs) {
  c.me.send(xs[0], xs[1]);
  return xs[1];
}

term exit_other(context& c, args xs) {
  c.me.exit(xs[0], xs[1]);
  return atom("true");
}

term monitor_node(context& c, args xs) {
  c.me.monitor_node(std::string{xs[0].text()}, is_true(xs[1]));
  return atom("true");
}

term monitor_nodes(context& c, args xs) {
  c.me.monitor_nodes(is_true(xs[0]));
  return atom("ok");
}

} // namespace

void add_signal_builtins(builtin_table& t) {
  auto plain = [&](const char* name, std::size_t arity, plain_builtin f) {
    t[{"erlang", name, arity}].plain = f;
  };
  plain("send", 2, send);
  plain("exit", 2, exit_other);
  plain("exit", 1,
        [](context&, args xs) -> term { throw runtime::exit_error{xs[0]}; });
  plain("error", 1,
        [](context&, args xs) -> term { throw runtime::erlang_error(xs[0]); });
  plain("throw", 1,
        [](context&, args xs) -> term { throw runtime::erlang_throw{xs[0]}; });
  plain("link", 1, [](context& c, args xs) {
    c.me.link(xs[0]);
    return atom("true");
  });
  plain("unlink", 1, [](context& c, args xs) {
    c.me.unlink(xs[0]);
    return atom("true");
  });
  plain("monitor", 2, monitor);
  plain("monitor", 3, monitor_with_alias);
  plain("demonitor", 1, demonitor);
  plain("demonitor", 2, demonitor);
  plain("alias", 0, alias);
  plain("alias", 1, alias);
  plain("unalias", 1,
        [](context& c, args xs) { return boolean(c.me.unalias(xs[0])); });
  plain("process_flag", 2, process_flag);
  plain("monitor_node", 2, monitor_node);
  plain("make_ref", 0,
        [](context& c, args) { return c.me.owner().make_ref(); });
  t[{"net_kernel", "monitor_nodes", 1}].plain = monitor_nodes;
}

} // namespace hornbeam::conformance
