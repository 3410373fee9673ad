#include "pybridge/bindings/module.hpp"

#include "pybridge/values/convert.hpp"
#include "runtime/base/log_queue.hpp"

// What hornbeam/_log.py uses: the log of the engine on its way to Python's, and
// what both have in common.

namespace hornbeam::pybridge {

namespace log = runtime::log;

namespace {

/// Where what the engine says waits for Python.
const std::shared_ptr<log::queue>& for_python() {
  static auto* one
    = new std::shared_ptr<log::queue>{std::make_shared<log::queue>()};
  return *one;
}

/// In a forked child nobody takes it until its own node starts.
[[maybe_unused]] const int stderr_in_children
  = runtime::at_fork(runtime::fork_stage::python_log,
                     {nullptr, nullptr, [] {
                        for_python()->after_fork_in_child();
                        log::logger::get().set_sinks({log::stderr_sink()});
                      }});

py::list to_python(const std::vector<log::record>& xs) {
  py::list out;
  for (auto& x : xs) {
    std::chrono::duration<double> at = x.at.time_since_epoch();
    out.append(py::make_tuple(static_cast<int>(x.level), x.part,
                              text_to_python(x.node), text_to_python(x.text),
                              at.count()));
  }
  return out;
}

} // namespace

void bind_log(py::module_& m) {
  using guard = py::call_guard<native_call>;

  // From here on what the engine says waits for `wait_for_log`.
  m.def(
    "open_log",
    [] {
      without_gil free;
      for_python()->open();
      log::logger::get().set_sinks({for_python()});
    },
    guard());
  m.def(
    "wait_for_log",
    [] {
      std::vector<log::record> found;
      {
        without_gil free;
        found = for_python()->wait();
      }
      return to_python(found);
    },
    guard());
  m.def("close_log", [] { for_python()->close(); });
  // The rest; what comes after it goes to stderr.
  m.def(
    "finish_log",
    [] {
      {
        without_gil free;
        log::logger::get().set_sinks({log::stderr_sink()});
      }
      return to_python(for_python()->take());
    },
    guard());
  m.def(
    "log_to_stderr",
    [](int level, const text& part, const text& node, const text& what) {
      static auto* to = new log::sink_ptr{log::stderr_sink()};
      log::record x{static_cast<log::level>(level), part, node, what,
                    std::chrono::system_clock::now()};
      without_gil free;
      runtime::lock_scope one_at_a_time{log::logger::get()};
      (*to)->write(x);
    },
    guard());

  m.def("log_is_on", [](int level) {
    return log::logger::get().on(static_cast<log::level>(level));
  });
  m.def(
    "log_due",
    [](const text& key) -> py::object {
      std::optional<std::uint64_t> left_out;
      {
        without_gil free;
        left_out = log::logger::get().due(key);
      }
      return left_out ? py::object(py::int_(*left_out)) : py::none();
    },
    guard());
  m.def("with_left_out", [](const text& what, std::uint64_t n) {
    return text_to_python(log::with_left_out(what, n));
  });
  m.def("configure_log", [](const text& level) {
    if (auto x = log::level_of(level))
      log::logger::get().configure(*x);
  });
}

} // namespace hornbeam::pybridge
