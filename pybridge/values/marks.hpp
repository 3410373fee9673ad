#pragma once

#include "pybridge/gil/gil.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::pybridge {

/// A pid or a reference as `hornbeam.Pid` or `hornbeam.Ref`: a new reference.
PyObject* new_mark(const runtime::term& x);
/// What a `Pid` or `Ref` stands for; null if it is neither.
const runtime::term* find_mark(PyObject* x) noexcept;

void bind_marks(py::module_& m);

} // namespace hornbeam::pybridge
