#include "pybridge/tables/inference_cache.hpp"

#include <optional>
#include <string>

#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/tables/function_identity.hpp"
#include "pybridge/tables/handle.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/fingerprint.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

constexpr const char* default_prefix = "ml";

/// The table of the node that runs; one that was there before a fork is left
/// behind with its node.
const table_handle& cache() {
  static const table_handle* table = nullptr;
  static std::uint32_t made_in = 0;
  if (table == nullptr || made_in != fork_generation()) {
    auto* found = new table_handle{table_handle::find("ml_cache", "")};
    table = found; // with Python's lock, which finding it may give back
    made_in = fork_generation();
  }
  return *table;
}

bool is_default(py::handle prefix) {
  return !prefix
         || PyUnicode_CompareWithASCIIString(prefix.ptr(), default_prefix) == 0;
}

void require_text(py::handle x, const char* what) {
  if (PyUnicode_Check(x.ptr()))
    return;
  PyErr_Format(PyExc_TypeError, "%s must be a str, not %s", what,
               Py_TYPE(x.ptr())->tp_name);
  throw py::error_already_set();
}

/// Says of an input that can't be stored what to do.
void add_input(fingerprint& to, py::handle input) {
  try {
    to.add(input, "value");
  } catch (py::error_already_set& e) {
    if (!e.matches(PyExc_TypeError) && !e.matches(PyExc_ValueError))
      throw;
    auto text = "the input can't be hashed; pass a cache_key of your own ("
                + to_text(py::str(e.value()), "an error") + ")";
    set_error(e.matches(PyExc_TypeError) ? PyExc_TypeError : PyExc_ValueError,
              text);
    throw py::error_already_set();
  }
}

/// Keys that are made are tuples: they never meet explicit ones, which are
/// texts.
struct made_key {
  made_key(py::handle fn, py::handle input, py::handle prefix) {
    if (is_default(prefix))
      who.emplace(fn);
    fingerprint digest;
    add_input(digest, input);
    value = term::tuple_of(
      term::string(prefix ? to_text(prefix, "cache_prefix") : default_prefix),
      term::bytes(who ? who->bytes() : std::string{}),
      term::bytes(digest.result()));
  }

  py::tuple tokens() const {
    if (!who)
      return py::tuple{};
    py::tuple out{who->tokens().size()};
    for (std::size_t i = 0; i < who->tokens().size(); ++i)
      out[i] = who->tokens()[i];
    return out;
  }

  std::optional<function_identity> who;
  term value;
};

py::object pass_on(PyObject* to, py::handle fn, py::handle input,
                   const py::object& key, const py::object& tokens) {
  auto out = py::reinterpret_steal<py::object>(into_python([&] {
    return PyObject_CallFunctionObjArgs(to, fn.ptr(), input.ptr(), key.ptr(),
                                        tokens.ptr(), nullptr);
  }));
  if (!out)
    throw py::error_already_set();
  return out;
}

} // namespace

py::object cached_inference(py::handle fn, py::handle input, py::handle key,
                            py::handle prefix) {
  if (PyCallable_Check(fn.ptr()) == 0) {
    PyErr_Format(PyExc_TypeError, "fn must be callable, not %s",
                 Py_TYPE(fn.ptr())->tp_name);
    throw py::error_already_set();
  }
  if (prefix)
    require_text(prefix, "cache_prefix");
  std::optional<made_key> made;
  term given;
  if (key && !key.is_none()) {
    require_text(key, "cache_key");
    given = to_term(key, "cache_key");
  } else {
    made.emplace(fn, input, prefix);
  }
  auto& at = made ? made->value : given;
  auto& side = inference_side();
  auto* compute = side.compute;
  if (is_coroutine_function(fn)) {
    compute = side.later;
  } else if (auto here = cache().local()) {
    if (auto found = here->get(at)) {
      count_inference(true);
      return to_python(*found);
    }
  }
  return pass_on(compute, fn, input, to_python(at),
                 made ? made->tokens() : py::tuple{});
}

py::tuple inference_key(py::handle fn, py::handle input, py::handle prefix) {
  made_key made{fn, input, prefix};
  return py::make_tuple(to_python(made.value), made.tokens());
}

void count_inference(bool hit) {
  auto& counts = node().inference;
  auto& n = hit ? counts.hits : counts.misses;
  // All who count have Python's lock.
  n.store(n.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

} // namespace hornbeam::pybridge
