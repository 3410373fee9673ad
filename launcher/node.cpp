// Python.h comes first: it sets macros that system headers look at.
#include <Python.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>

#include "config/json.hpp"
#include "config/load.hpp"
#include "launcher/commands.hpp"

namespace hornbeam::launcher {

namespace {

/// An owned reference; raises whatever Python has raised as text.
class object {
public:
  explicit object(PyObject* p) : p_(p) {}
  ~object() { Py_XDECREF(p_); }
  object(const object&) = delete;
  object& operator=(const object&) = delete;
  PyObject* get() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }

private:
  PyObject* p_;
};

void check(PyStatus status) {
  if (PyStatus_Exception(status))
    throw std::runtime_error(std::string{"Python does not start: "}
                             + (status.err_msg ? status.err_msg : "?"));
}

/// Our packages first, then whatever the user has in PYTHONPATH.
std::string python_path() {
  const char* ours = std::getenv("HORNBEAM_PYTHONPATH");
  std::string out = ours && *ours ? ours : HORNBEAM_PYTHON_DIR;
  if (const char* users = std::getenv("PYTHONPATH"); users && *users)
    out += std::string{":"} + users;
  return out;
}

/// Starts the interpreter as if `HORNBEAM_PYTHON` had been called, so that
/// the packages installed for it are found.
void start_python(const std::string& script) {
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.parse_argv = 0;
  auto set = [&](wchar_t** field, const std::string& text) {
    check(PyConfig_SetBytesString(&config, field, text.c_str()));
  };
  try {
    set(&config.program_name, HORNBEAM_PYTHON);
    set(&config.pythonpath_env, python_path());
    auto argv = script.empty() ? std::string{"hornbeam"} : script;
    char* args[] = {argv.data()};
    check(PyConfig_SetBytesArgv(&config, 1, args));
    check(Py_InitializeFromConfig(&config));
  } catch (...) {
    PyConfig_Clear(&config);
    throw;
  }
  PyConfig_Clear(&config);
}

/// `hornbeam._node.main(config_json, script)`. Exceptions are printed;
/// SystemExit ends this process as it would in Python.
int call_main(const std::string& json, const std::string& script) {
  object module{PyImport_ImportModule("hornbeam._node")};
  object result{
    module ? PyObject_CallMethod(module.get(), "main", "sz", json.c_str(),
                                 script.empty() ? nullptr : script.c_str())
           : nullptr};
  if (!result) {
    PyErr_Print();
    return 1;
  }
  if (result.get() == Py_None)
    return 0;
  auto code = PyLong_AsLong(result.get());
  if (code == -1 && PyErr_Occurred()) {
    PyErr_Print();
    return 1;
  }
  return static_cast<int>(code & 0xff);
}

} // namespace

int run_node(const node_options& opts) {
  auto settings = opts.name.empty()
                    ? config::load_node(opts.config)
                    : config::find_node(config::load(opts.config), opts.name);
  if (!opts.script.empty() && !std::filesystem::exists(opts.script))
    throw config::config_error("hornbeam: there is no script " + opts.script);
  for (auto& x : opts.plugins)
    settings.plugins.push_back(std::filesystem::absolute(x).string());
  start_python(opts.script);
  auto code = call_main(config::to_json(settings), opts.script);
  // -1: what was printed last could not be written.
  return Py_FinalizeEx() < 0 && code == 0 ? 120 : code;
}

} // namespace hornbeam::launcher
