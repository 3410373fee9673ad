#include "runtime/otp/groups.hpp"
#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/python_mailbox.hpp"
#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

/// A scope or a group: where Erlang has an atom, a str stands for it.
term to_name(const py::object& x, const char* what) {
  auto out = to_term(x, what);
  return out.is(term::kind::string) ? term::atom(out.text()) : out;
}

std::vector<term> to_pids(const py::list& xs) {
  std::vector<term> out;
  for (auto x : xs) {
    auto pid = to_term(py::reinterpret_borrow<py::object>(x), "pids");
    if (!pid.is(term::kind::pid)) {
      PyErr_Format(PyExc_TypeError, "members of a group are Pids, not %s",
                   Py_TYPE(x.ptr())->tp_name);
      throw py::error_already_set();
    }
    out.push_back(std::move(pid));
  }
  return out;
}

py::list to_list(const std::vector<term>& xs) {
  py::list out;
  for (auto& x : xs)
    out.append(to_python(x));
  return out;
}

void join(const py::object& scope, const py::object& group,
          const py::list& pids) {
  auto s = to_name(scope, "scope");
  auto g = to_name(group, "group");
  auto who = to_pids(pids);
  auto& at = *node().node;
  for (auto& pid : who)
    if (!at.processes().is_local(pid.as_pid())) {
      set_error(PyExc_ValueError,
                to_string(pid)
                  + " is a process of another node: only its own node can have "
                    "it join a group");
      throw py::error_already_set();
    }
  at.groups().join(s, g, who);
}

} // namespace

void bind_groups(py::module_& m) {
  using guard = py::call_guard<native_call>;
  m.def("group_join", join, guard());
  m.def(
    "group_leave",
    [](const py::object& scope, const py::object& group, const py::list& pids) {
      return node().node->groups().leave(
        to_name(scope, "scope"), to_name(group, "group"), to_pids(pids));
    },
    guard());
  m.def(
    "group_members",
    [](const py::object& scope, const py::object& group, bool local) {
      auto s = to_name(scope, "scope");
      auto g = to_name(group, "group");
      auto& all = node().node->groups();
      if (local)
        return to_list(all.local_members(s, g));
      wait_until_joined();
      return to_list(all.members(s, g));
    },
    guard());
  m.def(
    "group_names",
    [](const py::object& scope) {
      auto s = to_name(scope, "scope");
      wait_until_joined();
      return to_list(node().node->groups().which(s));
    },
    guard());
  // (ref, members); without a group, (ref, members of each).
  m.def(
    "group_monitor",
    [](const py::object& scope, const py::object& group,
       const python_mailbox& who) {
      auto s = to_name(scope, "scope");
      wait_until_joined();
      auto& all = node().node->groups();
      std::optional<term> g;
      if (!group.is(py::ellipsis()))
        g = to_name(group, "group");
      auto [ref, now] = all.monitor(s, g ? &*g : nullptr, who.pid());
      return py::make_tuple(to_python(ref), to_python(now));
    },
    guard());
  m.def(
    "group_demonitor",
    [](const py::object& scope, const py::object& ref) {
      auto what = to_term(ref, "ref");
      return node().node->groups().demonitor(to_name(scope, "scope"), what);
    },
    guard());
}

} // namespace hornbeam::pybridge
