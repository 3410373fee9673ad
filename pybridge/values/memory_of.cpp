#include "pybridge/values/memory_of.hpp"

#include <algorithm>

#include "pybridge/values/c_api.hpp"

namespace hornbeam::pybridge {

namespace {

class estimate {
public:
  std::size_t of(PyObject* x) {
    if (depth_ == most_deep || visits_ == 0)
      return 0;
    --visits_;
    ++depth_;
    auto bytes = own(x) + inside(x);
    --depth_;
    return bytes;
  }

private:
  static constexpr int most_deep = 16;
  static constexpr Py_ssize_t most_items = 100;

  static std::size_t own(PyObject* x) {
    auto* type = Py_TYPE(x);
    if (type == &PyFloat_Type || x == Py_None)
      return static_cast<std::size_t>(type->tp_basicsize);
    if (PyObject_CheckBuffer(x) != 0) {
      Py_buffer view;
      if (PyObject_GetBuffer(x, &view, PyBUF_FULL_RO) == 0) {
        auto n = static_cast<std::size_t>(view.len);
        PyBuffer_Release(&view);
        return n + static_cast<std::size_t>(type->tp_basicsize);
      }
      PyErr_Clear(); // an array of dates, say
    }
    for (auto* how : {"nbytes", "__sizeof__"})
      if (auto n = asked(x, how))
        return n;
    return static_cast<std::size_t>(type->tp_basicsize);
  }

  /// What a class, not an object, has under this name; 0: nothing that is a
  /// number.
  static std::size_t asked(PyObject* x, const char* how) {
    auto* type = reinterpret_cast<PyObject*>(Py_TYPE(x));
    auto in_class = py::reinterpret_steal<py::object>(
      into_python([&] { return PyObject_GetAttrString(type, how); }));
    auto value = in_class ? py::reinterpret_steal<py::object>(
                   into_python([&] { return PyObject_GetAttrString(x, how); }))
                          : py::object{};
    if (value && PyCallable_Check(value.ptr()) != 0)
      value = py::reinterpret_steal<py::object>(
        into_python([&] { return PyObject_CallNoArgs(value.ptr()); }));
    std::size_t n
      = value && PyLong_Check(value.ptr()) ? PyLong_AsSize_t(value.ptr()) : 0;
    if (PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      return 0;
    }
    return n;
  }

  std::size_t inside(PyObject* x) {
    if (PyList_Check(x) || PyTuple_Check(x)) {
      // No code of the items runs but `own`, which may change a list.
      auto n = PySequence_Fast_GET_SIZE(x);
      auto some = std::min(n, most_items);
      std::size_t sum = 0;
      for (Py_ssize_t i = 0; i < some && i < PySequence_Fast_GET_SIZE(x); ++i) {
        auto item
          = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(x, i));
        sum += of(item.ptr());
      }
      return scaled(sum, some, n);
    }
    if (PyDict_Check(x))
      return of_dict(x);
    if (PyAnySet_Check(x))
      return of_set(x);
    if (auto* attributes = attributes_of(x); attributes != nullptr)
      return of(attributes);
    return 0;
  }

  std::size_t of_dict(PyObject* x) {
    auto n = PyDict_GET_SIZE(x);
    Py_ssize_t at = 0;
    Py_ssize_t some = 0;
    std::size_t sum = 0;
    PyObject* k = nullptr;
    PyObject* v = nullptr;
    while (some < most_items && PyDict_Next(x, &at, &k, &v) != 0) {
      auto key = py::reinterpret_borrow<py::object>(k);
      auto value = py::reinterpret_borrow<py::object>(v);
      sum += of(key.ptr()) + of(value.ptr());
      ++some;
    }
    return scaled(sum, some, n);
  }

  std::size_t of_set(PyObject* x) {
    auto n = PySet_Size(x);
    Py_ssize_t some = 0;
    std::size_t sum = 0;
    auto all = py::reinterpret_steal<py::object>(PyObject_GetIter(x));
    while (all && some < most_items) {
      auto item = py::reinterpret_steal<py::object>(PyIter_Next(all.ptr()));
      if (!item)
        break;
      sum += of(item.ptr());
      ++some;
    }
    PyErr_Clear();
    return scaled(sum, some, n);
  }

  static std::size_t scaled(std::size_t sum, Py_ssize_t some, Py_ssize_t all) {
    if (some >= all || some == 0)
      return sum;
    return static_cast<std::size_t>(static_cast<double>(sum)
                                    * static_cast<double>(all)
                                    / static_cast<double>(some));
  }

  int depth_ = 0;
  int visits_ = 10'000;
};

} // namespace

std::size_t memory_of(py::handle x) noexcept {
  return estimate{}.of(x.ptr());
}

} // namespace hornbeam::pybridge
