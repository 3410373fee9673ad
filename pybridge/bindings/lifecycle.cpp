#include <type_traits>

#include "actors/plugin.hpp"
#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/completions.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/option_dict.hpp"
#include "runtime/base/version.hpp"
#include "runtime/table_lmdb/files.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

[[noreturn]] void refuse(const std::string& key, const char* what,
                         const py::handle& x) {
  throw py::type_error(
    key + " " + what
    + py::cast<std::string>(py::type::handle_of(x).attr("__name__")));
}

std::int64_t to_number(const py::object& x, const std::string& key,
                       std::int64_t least, std::int64_t most) {
  if (py::isinstance<py::bool_>(x) || PyIndex_Check(x.ptr()) == 0)
    refuse(key, "must be an int, not ", x);
  auto number = py::reinterpret_steal<py::object>(PyNumber_Index(x.ptr()));
  if (!number)
    throw py::error_already_set();
  int beyond = 0;
  auto value = PyLong_AsLongLongAndOverflow(number.ptr(), &beyond);
  if (beyond != 0 || value < least || value > most)
    throw py::value_error(key + " must be " + bounds_text(least, most)
                          + ", not "
                          + (beyond == 0  ? std::to_string(value)
                             : beyond > 0 ? "more than 2**63"
                                          : "less than -2**63"));
  return value;
}

/// `name@host`, `name@host:port` or a dict with `name` and `address`.
peer_setting to_peer(const py::handle& x) {
  if (py::isinstance<py::str>(x))
    return split_target(to_text(x, "a peer"));
  if (!py::isinstance<py::dict>(x))
    refuse("peers:",
           "a peer is a str as 'name@host:port', or a dict with name and "
           "address, not ",
           x);
  peer_setting out;
  for (auto [k, v] : py::reinterpret_borrow<py::dict>(x)) {
    auto key = to_text(k, "a key of a peer");
    if (key == "name")
      out.name = to_text(v, "the name of a peer");
    else if (key == "address")
      out.address = v.is_none() ? "" : to_text(v, "the address of a peer");
    else
      throw py::type_error("peers: a peer has name and address, but no '" + key
                           + "'");
  }
  if (out.name.empty())
    throw py::type_error("peers: a peer needs a name");
  return out;
}

node_settings read_settings(const py::dict& d) {
  node_settings s;
  auto text = [&](const char* key, std::string& to) {
    if (d.contains(key))
      to = to_text(d[key], key);
  };
  auto flag = [&](const char* key, bool& to) {
    if (!d.contains(key))
      return;
    py::object x = d[key];
    if (!py::isinstance<py::bool_>(x))
      refuse(key, "must be True or False, not ", x);
    to = x.cast<bool>();
  };
  text("name", s.name);
  text("cluster", s.cluster);
  flag("listen", s.listen);
  text("host", s.host);
  text("advertise", s.advertise);
  text("secret", s.secret);
  flag("insecure_loopback_without_tls", s.insecure_loopback_without_tls);
  flag("remote_debug", s.remote_debug);
  flag("hidden", s.hidden);
  flag("serve", s.serve);
  each_node_number([&](auto option) {
    if (d.contains(option.name))
      s.*option.member
        = static_cast<std::remove_reference_t<decltype(s.*option.member)>>(
          to_number(d[option.name], option.name, option.least, option.most));
  });
  s.name = with_host(s.name, s.host);
  if (d.contains("tables")) {
    py::object all = d["tables"];
    if (!py::isinstance<py::dict>(all))
      refuse("tables", "is a dict of names with dicts of options, not ", all);
    for (auto [k, v] : py::reinterpret_borrow<py::dict>(all)) {
      auto name = to_text(k, "the name of a table");
      if (!py::isinstance<py::dict>(v))
        refuse("tables['" + name + "']", "must be a dict of options, not ", v);
      auto of = "tables['" + name + "']: ";
      try {
        s.tables.push_back(
          {name, to_table_options(py::reinterpret_borrow<py::dict>(v))});
      } catch (const py::type_error& e) {
        throw py::type_error(of + e.what());
      } catch (const py::value_error& e) {
        throw py::value_error(of + e.what());
      }
    }
  }
  if (d.contains("peers")) {
    py::object all = d["peers"];
    if (!py::isinstance<py::list>(all) && !py::isinstance<py::tuple>(all))
      refuse("peers", "is a list of peers, not ", all);
    for (auto p : all)
      s.peers.push_back(to_peer(p));
  }
  return s;
}

const char* name_of(member::role x) {
  switch (x) {
    case member::role::node:
      return "node";
    case member::role::worker:
      return "worker";
    case member::role::hidden:
      break;
  }
  return "hidden";
}

} // namespace

void bind_lifecycle(py::module_& m) {
  using guard = py::call_guard<native_call>;
  m.def("version", &version);
  m.def("set_python_side", &set_python_side);
  m.def(
    "start",
    [](const py::dict& settings, std::int64_t task_keep_ms,
       std::size_t task_keep_count, std::size_t task_keep_bytes, bool join,
       bool worker) {
      // A file that can't be used is found before the node starts.
      std::vector<const actors::plugin_entry*> plugins;
      if (settings.contains("plugins")) {
        if (py::isinstance<py::str>(settings["plugins"]))
          throw py::type_error("plugins is a list of files, not a str");
        for (auto x : settings["plugins"])
          plugins.push_back(&actors::load_plugin(to_text(x, "a plug-in")));
      }
      auto& e = engine::get();
      auto read = read_settings(settings);
      read.join = join;
      read.worker = worker;
      if (!e.start(std::move(read),
                   {task_keep_ms, task_keep_count, task_keep_bytes}))
        return false;
      for (auto* x : plugins)
        actors::start_plugin(*x, *e.running());
      return true;
    },
    guard());
  m.def("to_number",
        [](const text& key, const py::object& x, std::int64_t least,
           std::int64_t most) { return to_number(x, key, least, most); });
  // Raises TypeError or ValueError for what no node can be started with.
  m.def("check_settings", [](const py::dict& settings) {
    auto x = read_settings(settings);
    require_settings(x);
    for (auto& t : x.tables)
      if (t.options.engine == table_engine::lmdb && t.options.path.empty())
        require_default_table_file(t.name);
  });
  m.def(
    "running", [] { return engine::get().running() != nullptr; }, guard());
  m.def(
    "start_networking",
    [] {
      auto& n = *node().node;
      without_gil free;
      n.start_networking();
    },
    guard());
  m.def(
    "join_host",
    [] {
      auto& n = *node().node;
      without_gil free;
      n.join_host();
    },
    guard());
  m.def(
    "when_joined",
    [](const std::shared_ptr<completions>& c, std::uint64_t key) {
      auto done = std::make_shared<responder>(c->responder_for(key));
      auto say = [done] { (*done)(term{true}); };
      if (!node().node->when_joined(say))
        say();
    },
    guard());
  m.def(
    "wait_until_joined", [] { wait_until_joined(); }, guard());
  m.def("leave", [] { engine::get().leave(); });
  m.def("after_fork_in_child",
        [] { return text_to_python(engine::get().take_leave_of_parent()); });
  // For a forked child: `x` is never finalized, not even at its exit.
  m.def("leak_after_fork", [](const py::object& x) { x.inc_ref(); });

  m.def(
    "name", [] { return text_to_python(node().node->name()); }, guard());
  m.def(
    "address", [] { return text_to_python(node().node->address()); }, guard());
  m.def(
    "nodes",
    [] {
      wait_until_joined();
      return list_of_text(node().node->peers());
    },
    guard());
  m.def(
    "members",
    [] {
      wait_until_joined();
      py::list out;
      for (auto& x : node().node->members()) {
        std::chrono::duration<double> since{x.since.time_since_epoch()};
        out.append(py::make_tuple(text_to_python(x.name), name_of(x.is),
                                  x.process, text_to_python(x.host),
                                  text_to_python(x.address), since.count()));
      }
      return out;
    },
    guard());
  m.def(
    "status", [] { return to_python(node().status()); }, guard());
  m.def(
    "full_name",
    [](const py::object& name) {
      auto text = to_text(name, "the name of a node");
      auto& n = *node().node;
      try {
        return text_to_python(n.full_name(text));
      } catch (bad_term& e) {
        set_error(PyExc_ValueError, e.what());
        throw py::error_already_set();
      }
    },
    guard());
  m.def(
    "connect",
    [](const text& target, const py::object& timeout_ms) {
      auto until = to_deadline(timeout_ms);
      auto& from = *node().node; // starts the node, which needs the lock
      return value_or_raise(ask(
        [&](responder reply) { from.connect(target, until, std::move(reply)); },
        until, "connect to " + target));
    },
    guard());
  m.def(
    "reload_secret",
    [] {
      auto& n = *node().node;
      without_gil free;
      n.reload_secret();
    },
    guard());
  m.def(
    "disconnect",
    [](const text& name) { return node().node->disconnect(name); }, guard());
  m.def(
    "connected", [](const text& name) { return node().node->connected(name); },
    guard());
  m.def(
    "make_ref", [] { return to_python(term{node().node->make_ref()}); },
    guard());

  py::class_<completions, std::shared_ptr<completions>>(m, "Completions")
    .def(py::init<>())
    .def("fileno", &completions::descriptor)
    .def("close", &completions::close)
    .def(
      "drain",
      [](completions& c) {
        py::list out;
        for (auto& x : c.take()) {
          py::object value = py::none();
          bool ok = x.value.ok();
          // One value that can't be read must not lose the others.
          try {
            if (x.local)
              value = holder_of(x.local);
            else
              value = ok ? to_python(*x.value) : to_exception(x.value.error());
          } catch (py::error_already_set& e) {
            ok = false;
            value = e.value();
          }
          out.append(py::make_tuple(x.key, ok, x.local != nullptr, value));
        }
        return out;
      },
      guard());
}

} // namespace hornbeam::pybridge
