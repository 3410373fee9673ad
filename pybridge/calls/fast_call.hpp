#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "pybridge/gil/gil.hpp"

// Functions that Python's vector call enters straight, for those that do less
// than what pybind11 takes to find out what it was given (0.1 µs). They stand
// beside pybind11's in the same module and classes. One line makes one:
//
//     py::object get(table& t, py::handle key, py::handle fallback);
//     ...
//     def_fast<get, "get", "key, default=None">(cls, "The value of `key`.");
//
// The text of the parameters is what `help()` and `inspect.signature` show as
// well as what arguments are bound by, so the two can't differ.

namespace hornbeam::pybridge {

/// A text as a template argument.
template <std::size_t N>
struct literal {
  char text[N];
  consteval literal(const char (&x)[N]) { std::copy_n(x, N, text); }
  constexpr std::string_view view() const { return {text, N - 1}; }
};

/// A parameter of a fast function. One that is left out is a null handle: the
/// function knows its default.
struct fast_parameter {
  std::string_view name;
  bool optional = false;
  bool by_name_only = false;
};

/// Reads "key, default=None, *, ttl_ms=None". Calls `f(fast_parameter)`.
template <class F>
constexpr void each_parameter(std::string_view rest, F f) {
  bool by_name_only = false;
  while (!rest.empty()) {
    auto end = std::min(rest.find(", "), rest.size());
    auto one = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    auto equals = one.find('=');
    if (one == "*")
      by_name_only = true;
    else
      f(fast_parameter{one.substr(0, equals), equals != one.npos,
                       by_name_only});
  }
}

template <literal Text>
struct fast_parameters {
  static constexpr std::size_t size = [] {
    std::size_t n = 0;
    each_parameter(Text.view(), [&](const fast_parameter&) { ++n; });
    return n;
  }();
  static constexpr auto all = [] {
    std::array<fast_parameter, size> out;
    auto* next = out.data();
    each_parameter(Text.view(), [&](const fast_parameter& x) { *next++ = x; });
    return out;
  }();
  /// With fewer an argument is missing; with more one is left over.
  static constexpr auto least = std::ranges::count_if(
    all, [](auto& x) { return !x.optional && !x.by_name_only; });
  static constexpr auto most
    = std::ranges::count_if(all, [](auto& x) { return !x.by_name_only; });
  static constexpr bool needs_names = std::ranges::any_of(
    all, [](auto& x) { return !x.optional && x.by_name_only; });
};

/// Binds what was given by name, or finds what is wrong: then false, and
/// Python's error is set.
bool bind_arguments(const char* function, std::span<const fast_parameter> to,
                    PyObject* const* args, Py_ssize_t n, PyObject* names,
                    PyObject** bound);

/// "name($self, /, key)", a line that Python takes for the signature, and
/// `doc`.
std::string fast_docstring(const char* name, bool is_method,
                           const char* parameters, const char* doc);

/// Takes the error that is set, as an exception object.
py::object take_error();

/// What stands in a PyMethodDef for such a function,
inline PyCFunction as_method(_PyCFunctionFastWithKeywords f) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}
/// and what makes it one of the module. `def` lives for ever.
void add_method(py::object& module, PyMethodDef& def);

/// Sets Python's error to the C++ exception that is being handled.
void set_current_error() noexcept;

/// A function of the module is about nothing,
struct no_subject {
  static py::object call(auto f, PyObject*, auto... args) { return f(args...); }
};

/// a method about an object of a class that pybind11 made.
template <class T>
struct subject_of {
  static py::object call(auto f, PyObject* self, auto... args) {
    auto* object = reinterpret_cast<py::detail::instance*>(self);
    auto* x = object->get_value_and_holder().value_ptr<T>();
    if (x == nullptr) // `Table.__new__(Table)`
      throw py::type_error("this object was not made by its class");
    return f(*x, args...);
  }
};

/// What the interpreter calls.
template <auto F, literal Name, literal Parameters, class Subject>
PyObject* fast_entry(PyObject* self, PyObject* const* args, Py_ssize_t n,
                     PyObject* names) {
  using parameters = fast_parameters<Parameters>;
  std::array<PyObject*, parameters::size> bound{};
  if (names == nullptr && n >= parameters::least && n <= parameters::most
      && !parameters::needs_names)
    std::copy_n(args, n, bound.begin());
  else if (!bind_arguments(Name.text, parameters::all, args, n, names,
                           bound.data()))
    return nullptr;
  native_call guard;
  try {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return Subject::call(F, self, py::handle{bound[I]}...);
    }
    (std::make_index_sequence<parameters::size>{}).release().ptr();
  } catch (...) {
    set_current_error();
    return nullptr;
  }
}

/// `type` is null for a function of the module.
template <auto F, literal Name, literal Parameters, class Subject>
void add_fast(py::object& scope, PyTypeObject* type, const char* doc) {
  static const auto text = fast_docstring(Name.text, type != nullptr,
                                          Parameters.text, doc);
  static PyMethodDef def{Name.text,
                         as_method(&fast_entry<F, Name, Parameters, Subject>),
                         METH_FASTCALL | METH_KEYWORDS, text.c_str()};
  if (type == nullptr) {
    add_method(scope, def);
    return;
  }
  auto* made = PyDescr_NewMethod(type, &def);
  if (made == nullptr)
    throw py::error_already_set();
  scope.attr(Name.text) = py::reinterpret_steal<py::object>(made);
}

/// Makes `F` a function of the module. It takes a handle for each parameter.
template <auto F, literal Name, literal Parameters>
void def_fast(py::module_& m, const char* doc) {
  add_fast<F, Name, Parameters, no_subject>(m, nullptr, doc);
}

/// Makes `F` a method. It takes a `T&` and a handle for each parameter.
template <auto F, literal Name, literal Parameters, class T, class... Options>
void def_fast(py::class_<T, Options...>& c, const char* doc) {
  add_fast<F, Name, Parameters, subject_of<T>>(
    c, reinterpret_cast<PyTypeObject*>(c.ptr()), doc);
}

} // namespace hornbeam::pybridge
