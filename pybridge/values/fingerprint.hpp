#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "pybridge/gil/gil.hpp"

namespace hornbeam::pybridge {

/// Puts values down as bytes in which those of different classes or content
/// differ, in every process alike, and equal dicts and sets do not. No terms
/// are made of what is built in, and arrays and long texts are hashed where
/// they lie.
class fingerprint {
public:
  /// Raises Python's TypeError or ValueError for what can't be stored, with its
  /// place after `root`.
  void add(py::handle x, const char* root = "value");
  /// False, and no error is set, if it can't be stored. What was added of it
  /// stays.
  bool try_add(py::handle x);
  void add_text(std::string_view x);

  bool empty() const noexcept { return out_.empty(); }
  /// The bytes themselves if they are few, else a hash of them: never the same
  /// for different ones.
  std::string result() const;

private:
  using bytes = boost::container::small_vector<char, 512>;

  /// False: it is left to `to_term` to say what is wrong.
  bool put(PyObject* x);
  bool put_sequence(PyObject* x);
  /// The floats that the first `n` items begin with, as most of long ones are
  /// vectors; says how many.
  Py_ssize_t put_floats(PyObject* x, Py_ssize_t n);
  bool put_dict(PyObject* x);
  bool put_set(PyObject* x);
  bool put_other(PyObject* x);
  bool put_array(PyObject* x);
  bool put_term(PyObject* x);
  void put_int(PyObject* x);
  void put_str(PyObject* x);
  void put_blob(char tag, const char* data, std::size_t n);
  /// Puts the bytes from `begin` on, which consist of the `parts`, in an order
  /// that depends on nothing but them.
  void sort(std::size_t begin, const std::vector<std::size_t>& parts);

  void put_raw(const void* data, std::size_t n) {
    auto* from = static_cast<const char*>(data);
    out_.insert(out_.end(), from, from + n);
  }
  void put_tag(char tag) { out_.push_back(tag); }
  void put_size(std::size_t n) { put_raw(&n, sizeof n); }

  bytes out_;
  int depth_ = 0;
};

} // namespace hornbeam::pybridge
