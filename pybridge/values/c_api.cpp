#include "pybridge/values/c_api.hpp"

namespace hornbeam::pybridge {

py::object made(PyObject* x) {
  if (x == nullptr)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(x);
}

std::vector<unsigned char> bytes_of_int(PyObject* x) {
  auto bits = _PyLong_NumBits(x);
  if (bits == static_cast<std::size_t>(-1) && PyErr_Occurred() != nullptr)
    throw py::error_already_set();
  std::vector<unsigned char> out(bits / 8 + 1);
  if (_PyLong_AsByteArray(reinterpret_cast<PyLongObject*>(x), out.data(),
                          out.size(), 1, 1)
      < 0)
    throw py::error_already_set();
  return out;
}

py::object int_of_bytes(const std::vector<unsigned char>& raw) {
  return made(_PyLong_FromByteArray(raw.data(), raw.size(), 1, 0));
}

py::object new_dict(std::size_t size) {
  // Of few entries Python's own guess is right.
  return made(size <= 5 ? PyDict_New()
                        : _PyDict_NewPresized(static_cast<Py_ssize_t>(size)));
}

} // namespace hornbeam::pybridge
