#include "pybridge/values/fingerprint.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"
#include "runtime/table/sha256.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

/// Texts and arrays from here on are put down as their hash.
constexpr std::size_t long_blob = 1024;
/// Others may run meanwhile.
constexpr std::size_t slow_blob = 1 << 20;
/// What begins so is a hash of all, or of one text: no value begins so.
constexpr char hash_of_all = '#';
constexpr char hash_of_blob = '%';
constexpr std::size_t few_bytes = 48;

/// What is in a buffer, which can't be moved meanwhile.
class held_buffer {
public:
  explicit held_buffer(PyObject* x) {
    if (PyObject_GetBuffer(x, &view_, PyBUF_SIMPLE) != 0)
      throw py::error_already_set();
  }
  ~held_buffer() { PyBuffer_Release(&view_); }
  held_buffer(const held_buffer&) = delete;
  held_buffer& operator=(const held_buffer&) = delete;

  const char* data() const { return static_cast<const char*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.len); }

private:
  Py_buffer view_;
};

} // namespace

void fingerprint::add(py::handle x, const char* root) {
  auto begin = out_.size();
  if (put(x.ptr()))
    return;
  // What can't be put down is no term either, and that error has the place.
  auto whole = encode(to_term(x, root, true));
  out_.resize(begin);
  put_tag('~');
  put_blob('x', whole.data(), whole.size());
}

bool fingerprint::try_add(py::handle x) {
  return put(x.ptr());
}

void fingerprint::add_text(std::string_view x) {
  put_blob('k', x.data(), x.size());
}

std::string fingerprint::result() const {
  if (out_.size() <= few_bytes)
    return {out_.data(), out_.size()};
  auto hash = sha256({out_.data(), out_.size()});
  std::string out(1 + hash.size(), hash_of_all);
  std::copy(hash.begin(), hash.end(), out.begin() + 1);
  return out;
}

bool fingerprint::put(PyObject* x) {
  auto* type = Py_TYPE(x);
  if (type == &PyUnicode_Type) {
    put_str(x);
  } else if (type == &PyFloat_Type) {
    char raw[1 + sizeof(double)] = {'d'};
    auto value = PyFloat_AS_DOUBLE(x);
    std::memcpy(raw + 1, &value, sizeof value);
    put_raw(raw, sizeof raw);
  } else if (type == &PyLong_Type) {
    put_int(x);
  } else if (type == &PyBytes_Type) {
    put_blob('b', PyBytes_AS_STRING(x),
             static_cast<std::size_t>(PyBytes_GET_SIZE(x)));
  } else if (x == Py_None) {
    put_tag('n');
  } else if (type == &PyBool_Type) {
    put_tag(x == Py_True ? 't' : 'f');
  } else {
    if (depth_ >= max_depth)
      return false;
    ++depth_;
    auto done = put_other(x);
    --depth_;
    return done;
  }
  return true;
}

bool fingerprint::put_other(PyObject* x) {
  auto* type = Py_TYPE(x);
  if (type == &PyList_Type || type == &PyTuple_Type)
    return put_sequence(x);
  if (type == &PyDict_Type)
    return put_dict(x);
  if (type == &PySet_Type)
    return put_set(x);
  if (PyObject_CheckBuffer(x) != 0 && type != &PyByteArray_Type
      && python().encode != nullptr)
    return put_array(x);
  return put_term(x);
}

bool fingerprint::put_sequence(PyObject* x) {
  put_tag(PyList_CheckExact(x) ? '[' : '(');
  auto n = PySequence_Fast_GET_SIZE(x);
  put_size(static_cast<std::size_t>(n));
  auto i = put_floats(x, n);
  // The size is asked each time: what is put may run Python code.
  for (; i < PySequence_Fast_GET_SIZE(x); ++i) {
    auto item
      = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(x, i));
    if (!put(item.ptr()))
      return false;
  }
  return i == n;
}

Py_ssize_t fingerprint::put_floats(PyObject* x, Py_ssize_t n) {
  auto is_float = [&](Py_ssize_t i) {
    return i < n && PyFloat_CheckExact(PySequence_Fast_GET_ITEM(x, i));
  };
  Py_ssize_t i = 0;
  if (!is_float(0))
    return i;
  constexpr std::size_t each = 1 + sizeof(double);
  auto begin = out_.size();
  out_.resize(begin + static_cast<std::size_t>(n) * each,
              boost::container::default_init);
  auto* to = out_.data() + begin;
  for (; is_float(i); ++i, to += each) {
    auto value = PyFloat_AS_DOUBLE(PySequence_Fast_GET_ITEM(x, i));
    *to = 'd';
    std::memcpy(to + 1, &value, sizeof value);
  }
  out_.resize(static_cast<std::size_t>(to - out_.data()));
  return i;
}

bool fingerprint::put_dict(PyObject* x) {
  put_tag('{');
  auto n = PyDict_GET_SIZE(x);
  put_size(static_cast<std::size_t>(n));
  auto begin = out_.size();
  std::vector<std::size_t> parts;
  Py_ssize_t i = 0;
  PyObject* k = nullptr;
  PyObject* v = nullptr;
  while (PyDict_Next(x, &i, &k, &v) != 0) {
    auto key = py::reinterpret_borrow<py::object>(k);
    auto value = py::reinterpret_borrow<py::object>(v);
    parts.push_back(out_.size());
    if (!put(key.ptr()) || !put(value.ptr()) || PyDict_GET_SIZE(x) != n)
      return false;
  }
  sort(begin, parts);
  return true;
}

bool fingerprint::put_set(PyObject* x) {
  put_tag('<');
  put_size(static_cast<std::size_t>(PySet_GET_SIZE(x)));
  auto begin = out_.size();
  std::vector<std::size_t> parts;
  for (auto item : py::reinterpret_borrow<py::object>(x)) {
    parts.push_back(out_.size());
    if (!put(item.ptr()))
      return false;
  }
  sort(begin, parts);
  return true;
}

void fingerprint::sort(std::size_t begin,
                       const std::vector<std::size_t>& parts) {
  if (parts.size() < 2)
    return;
  std::string raw{out_.data() + begin, out_.size() - begin};
  std::vector<std::string_view> all;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto from = parts[i] - begin;
    auto to = i + 1 < parts.size() ? parts[i + 1] - begin : raw.size();
    all.push_back(std::string_view{raw}.substr(from, to - from));
  }
  std::sort(all.begin(), all.end());
  out_.resize(begin);
  for (auto& part : all)
    put_raw(part.data(), part.size());
}

bool fingerprint::put_array(PyObject* x) {
  auto known = py::reinterpret_steal<py::object>(
    into_python([&] { return PyObject_CallOneArg(python().encode, x); }));
  if (!known) {
    PyErr_Clear();
    return false;
  }
  if (!PyTuple_Check(known.ptr()) || PyTuple_GET_SIZE(known.ptr()) != 2)
    return put_term(x);
  auto* tag = PyTuple_GET_ITEM(known.ptr(), 0);
  if (!PyUnicode_Check(tag)
      || PyUnicode_CompareWithASCIIString(tag, "ndarray") != 0)
    return put_term(x);
  // (dtype, shape, an object with the C-ordered bytes)
  auto* parts = PyTuple_GET_ITEM(known.ptr(), 1);
  put_tag('A');
  if (!put(PyTuple_GET_ITEM(parts, 0)) || !put(PyTuple_GET_ITEM(parts, 1)))
    return false;
  held_buffer data{PyTuple_GET_ITEM(parts, 2)};
  put_blob('b', data.data(), data.size());
  return true;
}

bool fingerprint::put_term(PyObject* x) {
  std::string encoded;
  try {
    encoded = encode(to_term(x, "value", true));
  } catch (py::error_already_set& e) {
    if (!e.matches(PyExc_TypeError) && !e.matches(PyExc_ValueError))
      throw;
    return false;
  }
  put_blob('x', encoded.data(), encoded.size());
  return true;
}

void fingerprint::put_int(PyObject* x) {
  int overflow = 0;
  auto small = PyLong_AsLongLongAndOverflow(x, &overflow);
  if (overflow == 0) {
    char raw[1 + sizeof small] = {'i'};
    std::memcpy(raw + 1, &small, sizeof small);
    put_raw(raw, sizeof raw);
    return;
  }
  auto big = bytes_of_int(x);
  put_tag(overflow < 0 ? '-' : '+');
  put_blob('b', reinterpret_cast<const char*>(big.data()), big.size());
}

void fingerprint::put_str(PyObject* x) {
  if (PyUnicode_READY(x) != 0)
    throw py::error_already_set();
  // A text has but one form: the narrowest that it fits into.
  auto kind = PyUnicode_KIND(x);
  constexpr char tags[] = {'?', 's', 'u', '?', 'U'};
  put_blob(tags[kind], static_cast<const char*>(PyUnicode_DATA(x)),
           static_cast<std::size_t>(PyUnicode_GET_LENGTH(x)) * kind);
}

void fingerprint::put_blob(char tag, const char* data, std::size_t n) {
  if (n < long_blob) {
    put_tag(tag);
    put_size(n);
    put_raw(data, n);
    return;
  }
  std::optional<without_gil> free;
  if (n >= slow_blob)
    free.emplace();
  auto hash = sha256({data, n});
  free.reset();
  put_tag(hash_of_blob);
  put_tag(tag);
  put_size(n);
  put_raw(hash.data(), hash.size());
}

} // namespace hornbeam::pybridge
