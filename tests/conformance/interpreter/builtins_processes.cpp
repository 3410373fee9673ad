#include <chrono>

#include "interpreter/machine.hpp"
#include "runtime/term/wire.hpp"

// Starting processes; what is known of them; names, dictionary, timers.

namespace hornbeam::conformance {

namespace {

using kind = term::kind;
using args = const std::vector<term>&;

/// Erlang's booleans are atoms.
term erlang_term(const term& x) {
  return x.is(kind::boolean) ? boolean(x.as_bool()) : x;
}

term or_undefined(const std::optional<term>& x) {
  return x ? *x : atom("undefined");
}

std::string atom_text(const term& x) {
  if (!x.is(kind::atom))
    raise("badarg");
  return std::string{x.text()};
}

// -- spawn --------------------------------------------------------------------

/// A value as another node gets it: pids lose their short way to a process of
/// this program. That holds for what a fun has captured, too.
term carried(machine& m, const term& x) {
  auto [f, arity] = m.fun(x);
  if (f == nullptr)
    return runtime::decode(runtime::encode(x));
  auto captured = std::make_shared<bindings>();
  if (f->captured)
    *captured = *f->captured;
  captured->change_all([&](const term& value) { return carried(m, value); });
  return m.make_fun({f->clauses, std::move(captured)}, arity);
}

void carry(machine& m, start_of& s) {
  if (!s.fun.is_none())
    s.fun = carried(m, s.fun);
  for (auto& x : s.args)
    x = carried(m, x);
}

/// Of the arguments (Fun) or (Module, Function, Args), from `i` on.
start_of start_from(context& c, args xs, std::size_t i) {
  start_of s;
  if (xs.size() - i == 1) {
    if (c.m.fun(xs[i]).first == nullptr)
      raise("badarg");
    s.fun = xs[i];
  } else {
    s.from = atom_text(xs[i]);
    s.name = atom_text(xs[i + 1]);
    s.args = xs[i + 2].to_sequence();
  }
  return s;
}

/// (Node, ...) if the number of arguments is even.
runtime::processes& node_of(context& c, args xs) {
  if (xs.size() % 2 != 0)
    return c.me.owner();
  auto* on = c.m.outside().processes_of(atom_text(xs[0]));
  if (on == nullptr)
    throw script_error("spawn on a node that does not run: "
                       + std::string{xs[0].text()});
  return *on;
}

term spawn(context& c, args xs) {
  auto s = start_from(c, xs, xs.size() % 2 == 0);
  auto& on = node_of(c, xs);
  if (&on == &c.me.owner())
    return c.me.spawn(&run_process, &c.m, std::move(s));
  carry(c.m, s);
  return carried(c.m, on.spawn(&run_process, &c.m, std::move(s)));
}

/// On another node: the child waits until the link is under way to it.
term spawn_link(context& c, args xs) {
  auto s = start_from(c, xs, xs.size() % 2 == 0);
  auto& on = node_of(c, xs);
  if (&on == &c.me.owner())
    return c.me.spawn_link(&run_process, &c.m, std::move(s));
  carry(c.m, s);
  s.go = c.me.owner().make_ref();
  auto go = s.go;
  auto p = carried(c.m, on.spawn(&run_process, &c.m, std::move(s)));
  c.me.link(p);
  c.me.send(p, go);
  return p;
}

term spawn_monitor(context& c, args xs) {
  auto [p, r] = c.me.spawn_monitor(&run_process, &c.m, start_from(c, xs, 0));
  return tuple({p, r});
}

// -- what is known ------------------------------------------------------------

term info_of(context& c, const term& p, const term& item) {
  if (item.is_atom("messages") && p == c.me.pid())
    return tuple({item, term::list(c.me.messages())});
  auto x = c.me.owner().info(p, atom_text(item));
  if (!x)
    return atom("undefined");
  return tuple({item, erlang_term(*x)});
}

term process_info(context& c, args xs) {
  if (xs.size() == 1) {
    auto x = c.me.owner().info(xs[0], "links");
    if (x)
      throw script_error("process_info/1 of a living process");
    return atom("undefined");
  }
  if (!xs[1].is(kind::list)) {
    auto x = info_of(c, xs[0], xs[1]);
    bool no_name = xs[1].is_atom("registered_name") && x.is(kind::tuple)
                   && x.items()[1] == term::list({});
    return no_name ? term::list({}) : x;
  }
  std::vector<term> out;
  for (auto& item : xs[1].items()) {
    out.push_back(info_of(c, xs[0], item));
    if (out.back().is_atom("undefined"))
      return atom("undefined");
  }
  return term::list(std::move(out));
}

term processes(context& c, args) {
  return term::list(c.me.owner().all());
}

term is_process_alive(context& c, args xs) {
  return boolean(c.me.owner().alive(xs[0]));
}

term node_of_pid(context&, args xs) {
  return xs[0].is(kind::pid) ? atom(xs[0].as_pid().node->name())
                             : atom(xs[0].as_reference().node->name());
}

term other_nodes(context& c, args) {
  std::vector<term> out;
  for (auto& name : c.m.outside().nodes(std::string{c.me.node().text()}))
    out.push_back(atom(name));
  return term::list(std::move(out));
}

// -- names --------------------------------------------------------------------

term register_name(context& c, args xs) {
  c.me.register_name(atom_text(xs[0]), xs[1]);
  return atom("true");
}

term unregister_name(context& c, args xs) {
  c.me.unregister_name(atom_text(xs[0]));
  return atom("true");
}

term whereis(context& c, args xs) {
  return or_undefined(c.me.whereis(atom_text(xs[0])));
}

term registered(context& c, args) {
  std::vector<term> out;
  for (auto& name : c.me.owner().registered())
    out.push_back(atom(name));
  return term::list(std::move(out));
}

// -- the process dictionary ---------------------------------------------------

term::sequence dictionary(context& c) {
  return c.me.owner().info(c.me.pid(), "dictionary")->to_sequence();
}

term get_keys(context& c, args xs) {
  std::vector<term> out;
  for (auto& pair : dictionary(c))
    if (xs.empty() || pair.items()[1] == xs[0])
      out.push_back(pair.items()[0]);
  return term::list(std::move(out));
}

term erase_all(context& c, args) {
  auto all = dictionary(c);
  for (auto& pair : all)
    c.me.erase(pair.items()[0]);
  return term::list(std::move(all));
}

// -- timers -------------------------------------------------------------------

term or_false(const std::optional<std::int64_t>& ms) {
  return ms ? term{*ms} : atom("false");
}

term monotonic_time(context&, args xs) {
  if (!xs[0].is_atom("millisecond"))
    raise("badarg");
  using namespace std::chrono;
  auto now = steady_clock::now().time_since_epoch();
  return term{std::int64_t{duration_cast<milliseconds>(now).count()}};
}

} // namespace

void add_process_builtins(builtin_table& t) {
  auto plain = [&](const char* name, std::size_t arity, plain_builtin f) {
    t[{"erlang", name, arity}].plain = f;
  };
  for (std::size_t n : {1, 2, 3, 4}) {
    plain("spawn", n, spawn);
    plain("spawn_link", n, spawn_link);
  }
  plain("spawn_monitor", 1, spawn_monitor);
  plain("spawn_monitor", 3, spawn_monitor);
  plain("self", 0, [](context& c, args) { return c.me.pid(); });
  plain("node", 0, [](context& c, args) { return c.me.node(); });
  plain("node", 1, node_of_pid);
  plain("nodes", 0, other_nodes);
  plain("process_info", 1, process_info);
  plain("process_info", 2, process_info);
  plain("processes", 0, processes);
  plain("is_process_alive", 1, is_process_alive);
  plain("register", 2, register_name);
  plain("unregister", 1, unregister_name);
  plain("whereis", 1, whereis);
  plain("registered", 0, registered);
  plain("put", 2, [](context& c, args xs) {
    return or_undefined(c.me.put(xs[0], xs[1]));
  });
  plain("get", 1,
        [](context& c, args xs) { return or_undefined(c.me.get(xs[0])); });
  plain("erase", 1,
        [](context& c, args xs) { return or_undefined(c.me.erase(xs[0])); });
  plain("get", 0, [](context& c, args) { return term::list(dictionary(c)); });
  plain("get_keys", 0, get_keys);
  plain("get_keys", 1, get_keys);
  plain("erase", 0, erase_all);
  plain("send_after", 3, [](context& c, args xs) {
    return c.me.send_after(xs[0].as_int(), xs[1], xs[2]);
  });
  plain("start_timer", 3, [](context& c, args xs) {
    return c.me.start_timer(xs[0].as_int(), xs[1], xs[2]);
  });
  plain("cancel_timer", 1,
        [](context& c, args xs) { return or_false(c.me.cancel_timer(xs[0])); });
  plain("read_timer", 1,
        [](context& c, args xs) { return or_false(c.me.read_timer(xs[0])); });
  plain("monotonic_time", 1, monotonic_time);
}

} // namespace hornbeam::conformance
