#pragma once

#include <string>
#include <vector>

#include "pybridge/gil/gil.hpp"

namespace hornbeam::pybridge {

/// What the cache of inference asks Python for (hornbeam_ml.py). Read with
/// Python's lock; left behind at exit, on purpose.
struct cache_side {
  PyObject* describe = nullptr; ///< (code) -> (hash, the names that it uses)
  PyObject* token = nullptr;    ///< (object) -> its token, made if it has none
  PyObject* tokens = nullptr;   ///< dict of id -> token
  PyObject* compute = nullptr;  ///< (fn, input, key, tokens) -> value
  PyObject* later = nullptr;    ///< the same for a coroutine function
  PyObject* partial = nullptr;  ///< the class `functools.partial`
};

const cache_side& inference_side();
void set_cache_side(const py::dict& x);

/// Which function it is, for a key of the cache: one that consists of what can
/// be stored, by content, which is the same in all processes that run the same
/// code; of all others that very object. With `tokens` of the objects that it
/// depends on.
class function_identity {
public:
  explicit function_identity(py::handle fn);

  const std::string& bytes() const noexcept { return bytes_; }
  const std::vector<py::object>& tokens() const noexcept { return tokens_; }

private:
  struct parts;
  struct known;

  void of_function(PyFunctionObject* fn);
  bool by_content(PyFunctionObject* fn, known& code);
  void by_token(PyObject* x);
  bool builtin(PyObject* fn);

  std::string bytes_;
  std::vector<py::object> tokens_;
};

/// Whether calling it makes a coroutine.
bool is_coroutine_function(py::handle fn);

} // namespace hornbeam::pybridge
