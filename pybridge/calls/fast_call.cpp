#include "pybridge/calls/fast_call.hpp"

#include <cxxabi.h>

#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

namespace {

bool wrong(const char* format, const char* function, const std::string& what) {
  PyErr_Format(PyExc_TypeError, format, function, what.c_str());
  return false;
}

std::string in_quotes(std::string_view name) {
  return "'" + std::string{name} + "'";
}

} // namespace

bool bind_arguments(const char* function, std::span<const fast_parameter> to,
                    PyObject* const* args, Py_ssize_t n, PyObject* names,
                    PyObject** bound) {
  auto by_place
    = std::ranges::count_if(to, [](auto& x) { return !x.by_name_only; });
  if (n > by_place) {
    PyErr_Format(PyExc_TypeError,
                 "%s() takes at most %zd arguments by place "
                 "(%zd given)",
                 function, by_place, n);
    return false;
  }
  std::copy_n(args, n, bound);
  auto named = names != nullptr ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    auto name = to_text(PyTuple_GET_ITEM(names, i), "a name");
    auto at = std::ranges::find(to, name, &fast_parameter::name) - to.begin();
    if (at == std::ssize(to))
      return wrong("%s() has no parameter %s", function, in_quotes(name));
    if (bound[at] != nullptr)
      return wrong("%s() got %s twice", function, in_quotes(name));
    bound[at] = args[n + i];
  }
  for (auto& x : to)
    if (!x.optional && bound[&x - to.data()] == nullptr)
      return wrong("%s() needs %s", function, in_quotes(x.name));
  return true;
}

std::string fast_docstring(const char* name, bool is_method,
                           const char* parameters, const char* doc) {
  std::string out{name};
  out += is_method ? "($self, /" : "($module, /";
  if (*parameters != '\0')
    out.append(", ").append(parameters);
  return out.append(")\n--\n\n").append(doc);
}

void add_method(py::object& module, PyMethodDef& def) {
  auto* made = PyCFunction_NewEx(&def, module.ptr(),
                                 module.attr("__name__").ptr());
  if (made == nullptr)
    throw py::error_already_set();
  module.attr(def.ml_name) = py::reinterpret_steal<py::object>(made);
}

py::object take_error() {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr)
    PyException_SetTraceback(value, trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return py::reinterpret_steal<py::object>(value);
}

void set_current_error() noexcept {
  try {
    throw;
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const py::builtin_exception& e) {
    e.set_error();
  } catch (const runtime::bad_term& e) {
    set_error(PyExc_TypeError, e.what());
  } catch (const runtime::failed& e) {
    try {
      raise(e.why);
    } catch (py::error_already_set& x) {
      x.restore();
    }
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& e) {
    set_error(PyExc_RuntimeError, e.what());
  } catch (abi::__forced_unwind&) {
    park(); // Python ends this thread, see gil.hpp
  } catch (...) {
    set_error(PyExc_RuntimeError, "a C++ exception of unknown type");
  }
}

} // namespace hornbeam::pybridge
