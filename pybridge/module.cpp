#include "pybridge/module.hpp"

#include <cmath>

#include "pybridge/completions.hpp"
#include "pybridge/convert.hpp"
#include "runtime/wire.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

PyObject* ensure = nullptr; ///< left behind at exit, on purpose

} // namespace

void set_ensure(py::object f) {
  ensure = f.release().ptr();
}

actors::services& node() {
  auto& e = engine::get();
  if (e.running() == nullptr) {
    auto* done = into_python([] { return PyObject_CallNoArgs(ensure); });
    if (done == nullptr)
      throw py::error_already_set();
    Py_DECREF(done);
    if (e.running() == nullptr)
      throw std::runtime_error("the node of this process did not start");
  }
  return *e.running();
}

deadline to_deadline(const py::object& timeout_ms) {
  if (timeout_ms.is_none())
    return {};
  if (PyBool_Check(timeout_ms.ptr())
      || (!PyLong_Check(timeout_ms.ptr()) && !PyFloat_Check(timeout_ms.ptr())
          && !PyIndex_Check(timeout_ms.ptr()))) {
    PyErr_Format(PyExc_TypeError,
                 "a timeout is a number of milliseconds or None, not %s",
                 Py_TYPE(timeout_ms.ptr())->tp_name);
    throw py::error_already_set();
  }
  auto ms = PyFloat_AsDouble(timeout_ms.ptr());
  if (PyErr_Occurred() != nullptr) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError) == 0)
      throw py::error_already_set();
    PyErr_Clear();
    return timeout_ms > py::int_(0) ? deadline{} : deadline::in(0);
  }
  if (std::isnan(ms)) {
    PyErr_SetString(PyExc_ValueError, "a timeout can't be NaN");
    throw py::error_already_set();
  }
  if (ms > 1e15)
    return {};
  return deadline::in(ms <= 0 ? 0 : static_cast<std::int64_t>(std::ceil(ms)));
}

bool wait_in_slices(const std::function<bool(clock::time_point)>& wait,
                    deadline until) {
  constexpr auto slice = std::chrono::milliseconds(50);
  job_queue::pause pause;
  for (;;) {
    bool ready = false;
    {
      without_gil guard;
      ready = wait(std::min(until.at, clock::now() + slice));
    }
    if (ready)
      return true;
    if (gate_closed()) // an exit hook calls: nothing comes any more
      raise(job_queue::ended());
    if (PyErr_CheckSignals() != 0)
      throw py::error_already_set();
    if (until.expired())
      return false;
  }
}

std::pair<reply_slot_ptr, responder> make_reply() {
  auto slot = std::make_shared<reply_slot>();
  return {slot, responder{[slot](outcome x) { slot->set(std::move(x)); }}};
}

outcome wait_for(const reply_slot_ptr& slot, deadline until,
                 const std::string& what) {
  auto ready = wait_in_slices([&](auto at) { return slot->wait_until(at); },
                              until);
  if (ready)
    return slot->take();
  return failure{error_code::timeout, what + ": no answer in time", {}, {},
                 {}};
}

term::sequence to_sequence(const py::object& xs, const char* root) {
  return to_term(xs, root).items();
}

term::entries to_entries(const py::dict& xs, const char* root) {
  return to_term(xs, root).pairs();
}

py::object list_of_text(const std::vector<std::string>& xs) {
  py::list out;
  for (auto& x : xs)
    out.append(text_to_python(x));
  return out;
}

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
  m.def("set_python_types", [](const py::dict& x) {
    set_python_types(x);
    set_ensure(x["ensure"]);
  });
  m.def(
    "start",
    [](const py::dict& settings, std::int64_t task_keep_ms,
       std::size_t task_keep_count) {
      return engine::get().start(read_settings(settings),
                                 {task_keep_ms, task_keep_count});
    },
    guard());
  m.def("running", [] { return engine::get().running() != nullptr; }, guard());
  m.def(
    "open_doors",
    [] {
      auto& n = *node().node;
      without_gil free;
      n.open_doors();
    },
    guard());
  m.def("leave", [] { engine::get().leave(); });
  m.def("after_fork_in_child",
        [] { return text_to_python(engine::get().take_leave_of_parent()); });
  // For a forked child: `x` is never finalized, not even at its exit.
  m.def("leave_to_parent", [](const py::object& x) { x.inc_ref(); });

  m.def("name", [] { return text_to_python(node().node->name()); }, guard());
  m.def("address", [] { return text_to_python(node().node->address()); },
        guard());
  m.def("nodes", [] { return list_of_text(node().node->peers()); }, guard());
  m.def("status", [] { return to_python(node().status()); }, guard());
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
      auto [slot, reply] = make_reply();
      auto& from = *node().node; // starts the node, which needs the lock
      {
        without_gil free; // opening the listener may take a while
        from.connect(target, until, std::move(reply));
      }
      return value_or_raise(wait_for(slot, until, "connect to " + target));
    },
    guard());
  m.def(
    "disconnect",
    [](const text& name) { return node().node->disconnect(name); },
    guard());
  m.def(
    "connected",
    [](const text& name) { return node().node->connected(name); },
    guard());
  m.def("make_ref", [] { return to_python(term{node().node->make_ref()}); },
        guard());
  m.def("encode", [](const py::object& x) {
    return py::bytes(encode(to_term(x)));
  }, guard());
  m.def("decode", [](const py::bytes& x) {
    return to_python(decode(std::string_view{x}));
  }, guard());

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

PYBIND11_MODULE(_native, m) {
  namespace pb = hornbeam::pybridge;
  m.doc() = "The engine under the package hornbeam; not for direct use.";
  pybind11::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p)
        std::rethrow_exception(p);
    } catch (const hornbeam::runtime::bad_term& e) {
      pb::set_error(PyExc_TypeError, e.what());
    }
  });
  pb::bind_lifecycle(m);
  pb::bind_tables(m);
  pb::bind_calls(m);
  pb::bind_jobs(m);
  pb::bind_mailboxes(m);
  pb::bind_streams(m);
}
