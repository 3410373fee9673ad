#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pybridge/gil/gil.hpp"
#include "runtime/call/outcome.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::pybridge {

/// A Python value as a term. Raises Python's TypeError or ValueError, with
/// the place of the culprit: `value['user']['model']: ...`. `root` is what
/// the place starts with. `exact`: values of different classes become different
/// terms, and are not to be read back.
runtime::term to_term(py::handle x, const char* root = "value",
                      bool exact = false);
py::object to_python(const runtime::term& x);
/// The same, but unless `copy` arrays are read-only views of what the term
/// holds, which they keep alive.
py::object to_python(const runtime::term& x, bool copy);

/// `str` as UTF-8, surrogates included. Raises TypeError that names `what`.
std::string to_text(py::handle x, const char* what);
py::object text_to_python(std::string_view utf8);

/// Sets Python's error. `message` may hold what is no UTF-8: a name that was
/// cut, say.
void set_error(PyObject* type, const std::string& message);

/// A parameter that takes a `str` as `to_text` does: pybind11's own caster
/// refuses surrogates and words its refusal in C++.
struct text : std::string {};

/// The exception object that stands for `f`.
py::object to_exception(const runtime::failure& f);
/// Throws it as a Python error.
[[noreturn]] void raise(const runtime::failure& f);
/// The value, or the exception.
py::object value_or_raise(const runtime::outcome& x);

void bind_values(py::module_& m);

} // namespace hornbeam::pybridge

namespace pybind11::detail {

template <>
struct type_caster<hornbeam::pybridge::text> {
  PYBIND11_TYPE_CASTER(hornbeam::pybridge::text, const_name("str"));

  bool load(handle x, bool) {
    value.assign(hornbeam::pybridge::to_text(x, "a name"));
    return true;
  }
};

} // namespace pybind11::detail
