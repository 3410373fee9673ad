#include <cmath>

#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/calls/python_mailbox.hpp"
#include "pybridge/values/convert.hpp"
#include "runtime/term/atoms.hpp"

// What the code of a process does with others. The process is the mailbox that
// each function takes first; those that take none are for anybody.

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

processes& all_processes() {
  return node().node->processes();
}

/// For what no process does.
template <class F>
auto from_outside(F f) {
  try {
    return f();
  } catch (const erlang_error& e) {
    raise_mistake(e);
  }
}

term to_pid(py::handle x, const char* what) {
  auto out = to_term(x, what);
  if (!out.is(term::kind::pid)) {
    PyErr_Format(PyExc_TypeError, "%s must be a Pid, not %s", what,
                 Py_TYPE(x.ptr())->tp_name);
    throw py::error_already_set();
  }
  return out;
}

term to_ref(py::handle x, const char* what) {
  auto out = to_term(x, what);
  if (!out.is(term::kind::reference)) {
    PyErr_Format(PyExc_TypeError, "%s must be a Ref, not %s", what,
                 Py_TYPE(x.ptr())->tp_name);
    throw py::error_already_set();
  }
  return out;
}

alias_mode to_alias_mode(const std::string& x) {
  if (x == "explicit_unalias")
    return alias_mode::explicit_unalias;
  if (x == "demonitor")
    return alias_mode::demonitor;
  if (x == "reply_demonitor")
    return alias_mode::reply_demonitor;
  set_error(PyExc_ValueError,
            "alias must be 'explicit_unalias', 'demonitor' or "
            "'reply_demonitor', not '"
              + x + "'");
  throw py::error_already_set();
}

std::int64_t to_ms(const py::object& x) {
  auto until = to_deadline(x); // refuses what is no time
  if (until.infinite()) {
    PyErr_Format(PyExc_ValueError, "a timer's time is not %R", x.ptr());
    throw py::error_already_set();
  }
  if (x < py::int_(0)) {
    PyErr_Format(PyExc_ValueError, "a timer's time is not negative: %R",
                 x.ptr());
    throw py::error_already_set();
  }
  return std::max<std::int64_t>(
    0, static_cast<std::int64_t>(std::ceil(PyFloat_AsDouble(x.ptr()))));
}

py::object or_none(const std::optional<term>& x) {
  return x ? to_python(*x) : py::none();
}

py::object or_none(std::optional<std::int64_t> ms) {
  return ms ? py::object(py::int_(*ms)) : py::none();
}

/// Whom a timer may send to.
term timer_target(const py::object& to) {
  auto x = address(to, "to");
  if (x.is(term::kind::pid) || x.is(term::kind::atom))
    return x;
  PyErr_Format(PyExc_TypeError,
               "a timer's message goes to a pid or a name of this node, not to "
               "%R",
               to.ptr());
  throw py::error_already_set();
}

python_mailbox& to_mailbox(py::handle x) {
  return py::cast<python_mailbox&>(x);
}

py::object link(py::handle me, py::handle to) {
  auto other = to_pid(to, "link takes what");
  to_mailbox(me).act([&](self x) { return x.link(other), true; });
  return py::none();
}

py::object unlink(py::handle me, py::handle to) {
  auto other = to_pid(to, "unlink takes what");
  to_mailbox(me).act([&](self x) { return x.unlink(other), true; });
  return py::none();
}

py::object monitor(py::handle me, py::handle what, py::handle alias) {
  auto whom = address(what, "what is monitored");
  auto& box = to_mailbox(me);
  if (alias.is_none())
    return to_python(box.act([&](self x) { return x.monitor(whom); }));
  auto mode = to_alias_mode(to_text(alias, "alias"));
  return to_python(
    box.act_alone([&](self x) { return x.monitor(whom, mode); }));
}

py::object demonitor(py::handle me, py::handle monitor, py::handle flush) {
  auto ref = to_ref(monitor, "a monitor");
  auto yes = PyObject_IsTrue(flush.ptr());
  if (yes < 0)
    throw py::error_already_set();
  return py::bool_(to_mailbox(me).act_alone(
    [&](self x) { return x.demonitor(ref, yes == 1); }));
}

void bind_relations(py::module_& m) {
  using guard = py::call_guard<native_call>;
  def_fast<link, "link", "me, to">(m, "See `hornbeam.process`.");
  def_fast<unlink, "unlink", "me, to">(m, "See `hornbeam.process`.");
  def_fast<monitor, "monitor", "me, what, alias">(m, "See `hornbeam.process`.");
  def_fast<demonitor, "demonitor", "me, monitor, flush">(
    m, "See `hornbeam.process`.");
  m.def(
    "alias",
    [](python_mailbox& x, bool once) {
      return to_python(x.act_alone([&](self me) { return me.alias(once); }));
    },
    guard());
  m.def(
    "unalias",
    [](python_mailbox& x, const py::object& alias) {
      auto ref = to_ref(alias, "an alias");
      return x.act_alone([&](self me) { return me.unalias(ref); });
    },
    guard());
  m.def(
    "exit",
    [](python_mailbox& x, const py::object& to, const py::object& reason) {
      auto whom = to_pid(to, "exit takes whom");
      auto why = exit_reason(reason);
      x.act([&](self me) { return me.exit(whom, why), true; });
    },
    guard());
  m.def(
    "trap_exit",
    [](python_mailbox& x, bool on) {
      return x.act([&](self me) { return me.trap_exit(on); });
    },
    guard());
  m.def(
    "monitor_nodes",
    [](python_mailbox& x, bool on) {
      x.act([&](self me) { return me.monitor_nodes(on), true; });
    },
    guard());
}

void bind_names(py::module_& m) {
  using guard = py::call_guard<native_call>;
  m.def(
    "register_name",
    [](const py::object& name, const py::object& pid) {
      auto text = to_text(name, "a name");
      auto whom = to_pid(pid, "who gets a name");
      from_outside(
        [&] { return all_processes().register_name(text, whom), true; });
    },
    guard());
  m.def(
    "unregister_name",
    [](const py::object& name) {
      auto text = to_text(name, "a name");
      from_outside([&] { return all_processes().unregister_name(text), true; });
    },
    guard());
  m.def(
    "whereis",
    [](const py::object& name) {
      return or_none(all_processes().whereis(to_text(name, "a name")));
    },
    guard());
  m.def(
    "registered", [] { return list_of_text(all_processes().registered()); },
    guard());
  m.def(
    "processes",
    [] {
      py::list out;
      for (auto& x : all_processes().all())
        out.append(to_python(x));
      return out;
    },
    guard());
  m.def(
    "abandoned",
    [] {
      py::list out;
      for (auto& x : all_processes().abandoned())
        out.append(to_python(x));
      return out;
    },
    guard());
  m.def(
    "process_info",
    [](const py::object& pid, const py::object& item) {
      auto whom = to_pid(pid, "process_info takes whom");
      auto what = to_text(item, "item");
      return or_none(
        from_outside([&] { return all_processes().info(whom, what); }));
    },
    guard());
}

void bind_timers(py::module_& m) {
  using guard = py::call_guard<native_call>;
  m.def(
    "send_after",
    [](python_mailbox& x, const py::object& ms, const py::object& to,
       const py::object& message, bool tagged) {
      auto time = to_ms(ms);
      auto whom = timer_target(to);
      auto what = to_term(message, "message");
      return to_python(x.act([&](self me) {
        return tagged ? me.start_timer(time, whom, what)
                      : me.send_after(time, whom, what);
      }));
    },
    guard());
  m.def(
    "cancel_timer",
    [](const py::object& timer) {
      auto ref = to_ref(timer, "a timer");
      return or_none(
        from_outside([&] { return all_processes().cancel_timer(ref); }));
    },
    guard());
  m.def(
    "read_timer",
    [](python_mailbox& x, const py::object& timer) {
      auto ref = to_ref(timer, "a timer");
      return or_none(x.act([&](self me) { return me.read_timer(ref); }));
    },
    guard());
}

void bind_dictionary(py::module_& m) {
  using guard = py::call_guard<native_call>;
  m.def(
    "process_put",
    [](python_mailbox& x, const py::object& key, const py::object& value) {
      auto k = to_term(key, "key");
      auto v = to_term(value, "value");
      return or_none(x.act([&](self me) { return me.put(k, v); }));
    },
    guard());
  m.def(
    "process_get",
    [](python_mailbox& x, const py::object& key, const py::object& fallback) {
      auto k = to_term(key, "key");
      auto found = x.act([&](self me) { return me.get(k); });
      return found ? to_python(*found) : fallback;
    },
    guard());
  m.def(
    "process_erase",
    [](python_mailbox& x, const py::object& key) {
      auto k = to_term(key, "key");
      return or_none(x.act([&](self me) { return me.erase(k); }));
    },
    guard());
}

} // namespace

term exit_reason(const py::object& x) {
  auto as_atom = [](const term& t) {
    return t.is(term::kind::string) ? term::atom(t.text()) : t;
  };
  auto out = as_atom(to_term(x, "reason"));
  if (!out.is(term::kind::tuple) || out.items().empty())
    return out;
  auto items = out.to_sequence();
  items[0] = as_atom(items[0]); // {shutdown, Why}
  return term::tuple(std::move(items));
}

void bind_processes(py::module_& m) {
  bind_relations(m);
  bind_names(m);
  bind_timers(m);
  bind_dictionary(m);
}

} // namespace hornbeam::pybridge
