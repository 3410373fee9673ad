#pragma once

#include <cstddef>
#include <vector>

#include "pybridge/gil/gil.hpp"

// What we use of the interpreter's C API beyond pybind11, and all of it that is
// private: another version of Python is met here.

namespace hornbeam::pybridge {

/// What a function of the C API has made, as a new reference. Throws the
/// exception that it has set if it has made nothing.
py::object made(PyObject* x);

/// The two's complement of an `int`, the lowest byte first, without a call of
/// what its class says of its operators.
std::vector<unsigned char> bytes_of_int(PyObject* x);

/// The `int` that is not negative and has these bytes, the lowest first.
py::object int_of_bytes(const std::vector<unsigned char>& raw);

/// An empty `dict` with room for `size` entries.
py::object new_dict(std::size_t size);

} // namespace hornbeam::pybridge
