#include "pybridge/tables/function_identity.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/fingerprint.hpp"

namespace hornbeam::pybridge {

namespace {

cache_side given;

constexpr std::pair<const char*, PyObject * cache_side::*> members[] = {
  {"describe", &cache_side::describe}, {"token", &cache_side::token},
  {"tokens", &cache_side::tokens},     {"compute", &cache_side::compute},
  {"later", &cache_side::later},       {"partial", &cache_side::partial},
};

py::object borrowed(PyObject* x) {
  return py::reinterpret_borrow<py::object>(x);
}

/// Plain values: what they are can't change.
bool is_plain(PyObject* x) {
  auto* type = Py_TYPE(x);
  return x == Py_None || type == &PyUnicode_Type || type == &PyLong_Type
         || type == &PyFloat_Type || type == &PyBool_Type
         || type == &PyBytes_Type || type == &PyComplex_Type;
}

/// What a function's code says of it by name, or what no name can change.
bool counts_by_name(PyObject* x) {
  return PyType_Check(x) || PyFunction_Check(x) || PyCFunction_Check(x)
         || PyModule_Check(x);
}

std::uint64_t version_of(PyObject* dict) {
  return dict != nullptr ? version_of_dict(dict) : 0;
}

PyObject* cell_of(PyFunctionObject* fn, Py_ssize_t i) {
  return PyCell_GET(PyTuple_GET_ITEM(fn->func_closure, i));
}

Py_ssize_t cells_of(PyFunctionObject* fn) {
  return fn->func_closure != nullptr ? PyTuple_GET_SIZE(fn->func_closure) : 0;
}

} // namespace

const cache_side& inference_side() {
  return given;
}

void set_cache_side(const py::dict& x) {
  cache_side out;
  for (auto [name, to] : members) {
    if (!x.contains(name))
      throw py::type_error("the cache also needs " + std::string{name});
    out.*to = py::object(x[name]).release().ptr();
  }
  given = out;
}

/// All that an identity by content comes from, but for the code.
struct function_identity::parts {
  static parts of(PyFunctionObject* fn) {
    parts out{borrowed(fn->func_module),       borrowed(fn->func_qualname),
              borrowed(fn->func_defaults),     {},
              version_of(fn->func_kwdefaults), version_of(fn->func_globals)};
    for (Py_ssize_t i = 0; i < cells_of(fn); ++i)
      out.cells.push_back(borrowed(cell_of(fn, i)));
    return out;
  }

  bool are_those_of(PyFunctionObject* fn) const {
    if (module.ptr() != fn->func_module || name.ptr() != fn->func_qualname
        || defaults.ptr() != fn->func_defaults
        || named_defaults != version_of(fn->func_kwdefaults)
        || globals != version_of(fn->func_globals)
        || std::ssize(cells) != cells_of(fn))
      return false;
    for (Py_ssize_t i = 0; i < std::ssize(cells); ++i)
      if (cells[static_cast<std::size_t>(i)].ptr() != cell_of(fn, i))
        return false;
    return true;
  }

  /// Whether they are the same as long as they are the same objects. Then it is
  /// also no harm to hold on to them.
  bool are_plain(PyObject* kwdefaults) const {
    if (defaults)
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(defaults.ptr()); ++i)
        if (!is_plain(PyTuple_GET_ITEM(defaults.ptr(), i)))
          return false;
    Py_ssize_t at = 0;
    PyObject* value = nullptr;
    while (kwdefaults != nullptr
           && PyDict_Next(kwdefaults, &at, nullptr, &value) != 0)
      if (!is_plain(value))
        return false;
    return std::ranges::all_of(cells,
                               [](auto& x) { return !x || is_plain(x.ptr()); });
  }

  py::object module;
  py::object name;
  py::object defaults;
  std::vector<py::object> cells;
  std::uint64_t named_defaults = 0;
  std::uint64_t globals = 0;
};

/// What is known of the functions that have one code. It lives beside that.
struct function_identity::known {
  static known& of(PyObject* code) {
    static const auto index
      = extra_index([](void* x) { delete static_cast<known*>(x); });
    if (auto* x = extra_of(code, index))
      return *static_cast<known*>(x);
    auto made = std::make_unique<known>();
    auto told = py::reinterpret_steal<py::object>(
      into_python([&] { return PyObject_CallOneArg(given.describe, code); }));
    if (!told)
      throw py::error_already_set();
    made->hash = to_text(PyTuple_GET_ITEM(told.ptr(), 0), "hash");
    made->names = borrowed(PyTuple_GET_ITEM(told.ptr(), 1));
    if (auto* x = extra_of(code, index)) // another thread was faster
      return *static_cast<known*>(x);
    set_extra(code, index, made.get());
    return *made.release();
  }

  std::string hash;
  py::object names;
  /// The identity that was found last, if it can't change but with `parts`.
  parts of_last;
  bool has_last = false;
  std::string bytes;
  std::vector<py::object> tokens;
};

function_identity::function_identity(py::handle x) {
  auto* fn = x.ptr();
  if (PyFunction_Check(fn)) {
    of_function(reinterpret_cast<PyFunctionObject*>(fn));
  } else if (Py_TYPE(fn) == &PyMethod_Type) {
    // `model.encode` is a new object each time; its parts are not.
    by_token(PyMethod_GET_SELF(fn));
    by_token(PyMethod_GET_FUNCTION(fn));
  } else if (!builtin(fn)) {
    by_token(fn);
  }
}

bool function_identity::builtin(PyObject* fn) {
  if (Py_TYPE(fn) != &PyCFunction_Type)
    return false;
  auto* f = reinterpret_cast<PyCFunctionObject*>(fn);
  if (f->m_self == nullptr || PyModule_Check(f->m_self)) {
    if (f->m_module != nullptr && PyUnicode_Check(f->m_module))
      bytes_ = to_text(f->m_module, "a module");
    bytes_.append(1, '.').append(f->m_ml->ml_name);
    return true;
  }
  by_token(f->m_self);
  bytes_.append(1, '.').append(f->m_ml->ml_name);
  return true;
}

void function_identity::of_function(PyFunctionObject* fn) {
  auto* code = fn->func_code;
  // Python code may run meanwhile, and drop the function and its code.
  auto held = borrowed(reinterpret_cast<PyObject*>(fn));
  auto held_code = borrowed(code);
  auto& all = known::of(code);
  if (all.has_last && all.of_last.are_those_of(fn)) {
    bytes_ = all.bytes;
    tokens_ = all.tokens;
    return;
  }
  auto from = parts::of(fn);
  if (by_content(fn, all)) {
    if (from.are_those_of(fn) && from.are_plain(fn->func_kwdefaults)) {
      // What was there goes last: its end may run code that comes here again.
      std::swap(all.of_last, from);
      all.has_last = true;
      all.bytes = bytes_;
      auto old = std::exchange(all.tokens, tokens_);
    }
    return;
  }
  bytes_.clear(); // it closes over what can't be stored
  tokens_.clear();
  by_token(held.ptr());
}

/// What it uses of its module counts as well: plain values by content, modules,
/// classes and functions by name, other objects, as a model, as that very
/// object. False if a default or a variable that it closes over can't be
/// stored.
bool function_identity::by_content(PyFunctionObject* fn, known& code) {
  auto module = fn->func_module != nullptr ? py::str(borrowed(fn->func_module))
                                           : py::str{"None"};
  bytes_ = to_text(module, "a module");
  bytes_.append(1, '.').append(to_text(fn->func_qualname, "a name"));
  bytes_.append(1, ':').append(code.hash);
  fingerprint used;
  auto names = code.names;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names.ptr()); ++i) {
    auto* name = PyTuple_GET_ITEM(names.ptr(), i);
    auto value = borrowed(PyDict_GetItemWithError(fn->func_globals, name));
    if (!value) {
      if (PyErr_Occurred() != nullptr)
        throw py::error_already_set();
    } else if (is_plain(value.ptr())) {
      used.add(name);
      used.add(value);
    } else if (!counts_by_name(value.ptr())) {
      bytes_.append(1, ':').append(to_text(name, "a name"));
      by_token(value.ptr());
    }
  }
  auto add = [&](PyObject* x) {
    return x == nullptr || used.try_add(borrowed(x));
  };
  if (fn->func_defaults != nullptr || fn->func_kwdefaults != nullptr
      || fn->func_closure != nullptr) {
    used.add_text("defaults");
    if (!add(fn->func_defaults))
      return false;
    used.add_text("by name");
    if (!add(fn->func_kwdefaults))
      return false;
    for (Py_ssize_t i = 0; i < cells_of(fn); ++i) {
      used.add_text("cell"); // it may have nothing yet
      if (!add(cell_of(fn, i)))
        return false;
    }
  }
  if (!used.empty())
    bytes_.append(1, ':').append(used.result());
  return true;
}

void function_identity::by_token(PyObject* x) {
  auto id = made(PyLong_FromVoidPtr(x));
  auto token = borrowed(PyDict_GetItemWithError(given.tokens, id.ptr()));
  if (!token) {
    if (PyErr_Occurred() != nullptr)
      throw py::error_already_set();
    token = py::reinterpret_steal<py::object>(
      into_python([&] { return PyObject_CallOneArg(given.token, x); }));
    if (!token)
      throw py::error_already_set();
  }
  bytes_ += to_text(token, "a token");
  tokens_.push_back(std::move(token));
}

bool is_coroutine_function(py::handle x) {
  auto* fn = x.ptr();
  // However often it is wrapped.
  for (int i = 0; i < 100; ++i) {
    if (PyFunction_Check(fn)) {
      auto* code = reinterpret_cast<PyCodeObject*>(PyFunction_GET_CODE(fn));
      return (code->co_flags & (CO_COROUTINE | CO_ITERABLE_COROUTINE)) != 0;
    }
    auto* type = Py_TYPE(fn);
    if (type == &PyCFunction_Type || PyType_Check(fn))
      return false;
    if (type == &PyMethod_Type) {
      fn = PyMethod_GET_FUNCTION(fn);
    } else if (reinterpret_cast<PyObject*>(type) == given.partial) {
      // The object itself keeps it alive.
      auto inner = made(PyObject_GetAttrString(fn, "func"));
      fn = inner.ptr();
    } else {
      auto* call = call_of_class(type);
      if (call == nullptr || !PyFunction_Check(call))
        return false;
      fn = call;
    }
  }
  return false;
}

} // namespace hornbeam::pybridge
