#pragma once

#include <cstddef>
#include <cstdint>
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

/// The dict of an object's attributes, borrowed; null if it has none.
PyObject* attributes_of(PyObject* x) noexcept;

/// What a class, or one above it, has as `__call__`, borrowed; null: nothing.
PyObject* call_of_class(PyTypeObject* type) noexcept;

/// A number that no two states of any dicts share.
std::uint64_t version_of_dict(PyObject* dict) noexcept;

/// What `set_extra` has put beside the code of a function; null: nothing yet.
void* extra_of(PyObject* code, Py_ssize_t index) noexcept;
/// It is given to the function that `index` was made with when the code goes.
void set_extra(PyObject* code, Py_ssize_t index, void* x);
Py_ssize_t extra_index(void (*free)(void*));

/// After a call of `throw` that has returned nothing: 0 and what the generator
/// has returned, or -1 with what it has raised.
int result_of_generator(PyObject** out) noexcept;

/// An empty `dict` with room for `size` entries.
py::object new_dict(std::size_t size);

} // namespace hornbeam::pybridge
