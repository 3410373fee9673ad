#include "interpreter/machine.hpp"
#include "runtime/otp/groups.hpp"

// pg, and what scenarios have of their own.

namespace hornbeam::conformance {

namespace {

using args = const std::vector<term>&;

runtime::groups& groups_of(context& c) {
  return *c.m.outside().groups_of(std::string{c.me.node().text()});
}

std::vector<term> one_or_many(const term& x) {
  return x.is(term::kind::list) ? x.to_sequence() : std::vector<term>{x};
}

/// The runtime's scopes need no process and are always there.
term start(context& c, args) {
  return tuple({atom("ok"), c.me.pid()});
}

term join(context& c, args xs) {
  groups_of(c).join(xs[0], xs[1], one_or_many(xs[2]));
  return atom("ok");
}

term leave(context& c, args xs) {
  bool was_there = groups_of(c).leave(xs[0], xs[1], one_or_many(xs[2]));
  return atom(was_there ? "ok" : "not_joined");
}

term get_members(context& c, args xs) {
  return term::list(groups_of(c).members(xs[0], xs[1]));
}

term get_local_members(context& c, args xs) {
  return term::list(groups_of(c).local_members(xs[0], xs[1]));
}

term which_groups(context& c, args xs) {
  return term::list(groups_of(c).which(xs[0]));
}

term monitor(context& c, args xs) {
  auto [ref, now]
    = groups_of(c).monitor(xs[0], xs.size() > 1 ? &xs[1] : nullptr, c.me.pid());
  return tuple({ref, now});
}

term demonitor(context& c, args xs) {
  return atom(groups_of(c).demonitor(xs[0], xs[1]) ? "ok" : "false");
}

// -- the harness --------------------------------------------------------------

term trace(context& c, args xs) {
  c.m.outside().trace("", xs[0]);
  return atom("ok");
}

term trace_any(context& c, args xs) {
  c.m.outside().trace(std::string{xs[0].text()}, xs[1]);
  return atom("ok");
}

term start_node(context& c, args xs) {
  return atom(c.m.outside().start_node(std::string{xs[0].text()}));
}

term stop_node(context& c, args xs) {
  c.m.outside().stop_node(std::string{xs[0].text()});
  return atom("ok");
}

term disconnect_node(context& c, args xs) {
  c.m.outside().disconnect_node(std::string{xs[0].text()});
  return atom("ok");
}

} // namespace

void add_group_builtins(builtin_table& t) {
  auto add = [&](const char* name, std::size_t arity, plain_builtin f) {
    t[{"pg", name, arity}].plain = f;
  };
  add("start", 1, start);
  add("start_link", 1, start);
  add("join", 3, join);
  add("leave", 3, leave);
  add("get_members", 2, get_members);
  add("get_local_members", 2, get_local_members);
  add("which_groups", 1, which_groups);
  add("monitor", 2, monitor);
  add("monitor_scope", 1, monitor);
  add("demonitor", 2, demonitor);
}

void add_harness_builtins(builtin_table& t) {
  auto add = [&](const char* name, std::size_t arity, plain_builtin f) {
    t[{"erlang", name, arity}].plain = f;
  };
  add("trace", 1, trace);
  add("trace_any", 2, trace_any);
  add("start_node", 1, start_node);
  add("stop_node", 1, stop_node);
  add("disconnect_node", 1, disconnect_node);
}

} // namespace hornbeam::conformance
