#include <type_traits>

#include "actors/plugin.hpp"
#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/completions.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/option_dict.hpp"
#include "runtime/base/version.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

node_settings read_settings(const py::dict& d) {
  node_settings s;
  auto text = [&](const char* key, std::string& to) {
    if (d.contains(key))
      to = to_text(d[key], key);
  };
  auto number = [&](const char* key, auto& to) {
    if (d.contains(key))
      to = py::cast<std::remove_reference_t<decltype(to)>>(d[key]);
  };
  text("name", s.name);
  text("cluster", s.cluster);
  number("listen", s.listen);
  text("host", s.host);
  number("port", s.port);
  text("secret", s.secret);
  number("insecure_loopback_without_tls", s.insecure_loopback_without_tls);
  number("hidden", s.hidden);
  number("workers", s.workers);
  number("heartbeat_ms", s.heartbeat_ms);
  number("detection_ms", s.detection_ms);
  number("connect_ms", s.connect_ms);
  number("flush_ms", s.flush_ms);
  number("join_ms", s.join_ms);
  number("handshake_ms", s.handshake_ms);
  number("link_buffer_bytes", s.link_buffer_bytes);
  if (d.contains("tables"))
    for (auto [k, v] : py::cast<py::dict>(d["tables"])) {
      auto name = to_text(k, "the name of a table");
      s.tables.push_back({name, to_table_options(py::cast<py::dict>(v))});
    }
  if (d.contains("peers"))
    for (auto p : d["peers"]) {
      auto peer = py::reinterpret_borrow<py::dict>(p);
      s.peers.push_back(
        {to_text(peer["name"], "peer name"),
         peer.contains("address") ? to_text(peer["address"], "address") : ""});
    }
  return s;
}

} // namespace

void bind_lifecycle(py::module_& m) {
  using guard = py::call_guard<native_call>;
  m.def("version", &version);
  m.def("set_python_side", &set_python_side);
  m.def(
    "start",
    [](const py::dict& settings, std::int64_t task_keep_ms,
       std::size_t task_keep_count, bool join) {
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
      if (!e.start(std::move(read), {task_keep_ms, task_keep_count}))
        return false;
      for (auto* x : plugins)
        actors::start_plugin(*x, *e.running());
      return true;
    },
    guard());
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
    "status", [] { return to_python(node().status()); }, guard());
  m.def(
    "full_name",
    [](const py::object& name) {
      auto text = to_text(name, "the name of a node");
      auto self = node().node->name();
      try {
        return text_to_python(full_node_name(text, self));
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
    "reload_secret", [] { node().node->reload_secret(); }, guard());
  m.def(
    "disconnect",
    [](const text& name) { return node().node->disconnect(name); }, guard());
  m.def(
    "connected", [](const text& name) { return node().node->connected(name); },
    guard());
  m.def(
    "make_ref", [] { return to_python(term{node().node->make_ref()}); },
    guard());
  m.def(
    "encode_exactly",
    [](const py::object& x) {
      return py::bytes(encode(to_term(x, "value", true)));
    },
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
            if (!x.local)
              value = ok ? to_python(*x.value) : to_exception(x.value.error());
          } catch (py::error_already_set& e) {
            ok = false;
            value = e.value();
          }
          out.append(py::make_tuple(x.key, ok, x.local, value));
        }
        return out;
      },
      guard());
}

} // namespace hornbeam::pybridge
