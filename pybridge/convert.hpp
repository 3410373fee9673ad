#pragma once

#include <string>
#include <vector>

#include "pybridge/gil.hpp"
#include "runtime/outcome.hpp"
#include "runtime/term.hpp"

namespace hornbeam::pybridge {

/// A Python value as a term. Raises Python's TypeError or ValueError, with
/// the place of the culprit: `value['user']['model']: ...`. `root` is what
/// the place starts with.
runtime::term to_term(py::handle x, const char* root = "value");
py::object to_python(const runtime::term& x);

/// `str` as UTF-8, surrogates included. Raises TypeError that names `what`.
std::string to_text(py::handle x, const char* what);
py::object text_to_python(const std::string& utf8);

/// The exception object that stands for `f`.
py::object to_exception(const runtime::failure& f);
/// Throws it as a Python error.
[[noreturn]] void raise(const runtime::failure& f);
/// The value, or the exception.
py::object value_or_raise(const runtime::outcome& x);

/// Takes what the Python package provides: the classes Atom, Pid and Ref, the
/// functions for extensions and exceptions.
void set_python_types(const py::dict& types);

} // namespace hornbeam::pybridge
