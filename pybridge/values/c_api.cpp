#include "pybridge/values/c_api.hpp"

#include <stdexcept>

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

PyObject* attributes_of(PyObject* x) noexcept {
  auto** at = _PyObject_GetDictPtr(x);
  if (at == nullptr)
    PyErr_Clear();
  return at != nullptr ? *at : nullptr;
}

PyObject* call_of_class(PyTypeObject* type) noexcept {
  static auto* name = PyUnicode_InternFromString("__call__");
  return _PyType_Lookup(type, name);
}

std::uint64_t version_of_dict(PyObject* dict) noexcept {
  return reinterpret_cast<PyDictObject*>(dict)->ma_version_tag;
}

void* extra_of(PyObject* code, Py_ssize_t index) noexcept {
  void* out = nullptr;
  if (_PyCode_GetExtra(code, index, &out) < 0)
    PyErr_Clear();
  return out;
}

void set_extra(PyObject* code, Py_ssize_t index, void* x) {
  if (_PyCode_SetExtra(code, index, x) < 0)
    throw py::error_already_set();
}

Py_ssize_t extra_index(void (*free)(void*)) {
  auto out = _PyEval_RequestCodeExtraIndex(free);
  if (out < 0)
    throw std::runtime_error("Python has no place beside code any more");
  return out;
}

int result_of_generator(PyObject** out) noexcept {
  return _PyGen_FetchStopIterationValue(out);
}

py::object new_dict(std::size_t size) {
  // Of few entries Python's own guess is right.
  return made(size <= 5 ? PyDict_New()
                        : _PyDict_NewPresized(static_cast<Py_ssize_t>(size)));
}

} // namespace hornbeam::pybridge
