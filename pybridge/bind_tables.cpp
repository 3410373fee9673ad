#include "pybridge/convert.hpp"
#include "pybridge/module.hpp"

// Tables from Python. A bounded operation on a table of this node keeps
// Python's lock: to give it back and take it again costs more than the
// operation. No Python code runs while a shard is locked.

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

table& state() {
  auto* t = engine::get().state();
  if (t == nullptr) {
    node();
    t = engine::get().state();
  }
  return *t;
}

py::object get(table& t, const py::object& key, py::object fallback) {
  auto found = t.get(to_term(key, "key"));
  return found ? to_python(*found) : std::move(fallback);
}

void set(table& t, const py::object& key, const py::object& value) {
  t.set(to_term(key, "key"), to_term(value));
}

py::object incr(table& t, const py::object& key, const py::object& delta,
                bool down) {
  auto by = to_term(delta, "delta");
  if (down && by.is_any_integer())
    by = term{big_integer{-by.as_big()}};
  return to_python(t.update_counter(to_term(key, "key"), by));
}

py::object get_multi(table& t, const py::object& keys) {
  py::dict out;
  py::dict asked; // key to the object that stands for it, for the error
  for (auto k : keys) {
    auto key = py::reinterpret_borrow<py::object>(k);
    auto name = to_term(key, "keys");
    if (PyObject_Hash(key.ptr()) == -1)
      throw py::error_already_set();
    if (out.contains(key) && !(to_term(asked[key], "keys") == name)) {
      PyErr_Format(PyExc_ValueError,
                   "%R and %R are two keys here but one in the dict that "
                   "would be returned: ask for them one by one",
                   py::object(asked[key]).ptr(), key.ptr());
      throw py::error_already_set();
    }
    auto found = t.get(name);
    out[key] = found ? to_python(*found) : py::none();
    asked[key] = key;
  }
  return out;
}

py::object keys(table& t, const py::object& prefix) {
  std::vector<term> found;
  if (prefix.is_none()) {
    without_gil free;
    found = t.keys();
  } else {
    auto text = to_text(prefix, "prefix");
    without_gil free;
    found = t.keys(text);
  }
  py::list out;
  for (auto& k : found)
    out.append(to_python(k));
  return out;
}

} // namespace

void bind_tables(py::module_& m) {
  using guard = py::call_guard<native_call>;
  auto none = py::none();
  m.def(
    "state_get",
    [](const py::object& key, py::object fallback) {
      return get(state(), key, std::move(fallback));
    },
    py::arg("key"), py::arg("default") = none, guard());
  m.def(
    "state_set",
    [](const py::object& key, const py::object& value) {
      set(state(), key, value);
    },
    py::arg("key"), py::arg("value"), guard());
  m.def(
    "state_delete",
    [](const py::object& key) { state().erase(to_term(key, "key")); },
    py::arg("key"), guard());
  m.def(
    "state_incr",
    [](const py::object& key, const py::object& delta) {
      return incr(state(), key, delta, false);
    },
    py::arg("key"), py::arg("delta") = 1, guard());
  m.def(
    "state_decr",
    [](const py::object& key, const py::object& delta) {
      return incr(state(), key, delta, true);
    },
    py::arg("key"), py::arg("delta") = 1, guard());
  m.def(
    "state_get_multi",
    [](const py::object& keys) { return get_multi(state(), keys); },
    py::arg("keys"), guard());
  m.def(
    "state_keys",
    [](const py::object& prefix) { return keys(state(), prefix); },
    py::arg("prefix") = none, guard());

  py::class_<table, table_ptr>(m, "Table")
    .def_property_readonly("name", &table::name)
    .def("get", &get, py::arg("key"), py::arg("default") = none, guard())
    .def(
      "contains",
      [](table& t, const py::object& key) {
        return t.contains(to_term(key, "key"));
      },
      guard())
    .def("set", &set, guard())
    .def(
      "insert_new",
      [](table& t, const py::object& key, const py::object& value) {
        return t.insert_new(to_term(key, "key"), to_term(value));
      },
      guard())
    .def(
      "delete",
      [](table& t, const py::object& key) {
        return t.erase(to_term(key, "key"));
      },
      guard())
    .def(
      "take",
      [](table& t, const py::object& key, py::object fallback) {
        auto found = t.take(to_term(key, "key"));
        return found ? to_python(*found) : std::move(fallback);
      },
      py::arg("key"), py::arg("default") = none, guard())
    .def(
      "incr",
      [](table& t, const py::object& key, const py::object& delta) {
        return incr(t, key, delta, false);
      },
      py::arg("key"), py::arg("delta") = 1, guard())
    .def("get_multi", &get_multi, guard())
    .def("keys", &keys, py::arg("prefix") = none, guard())
    .def("size", &table::size, guard())
    .def("clear", &table::clear, guard());
  m.def(
    "table", [](const text& name) { return node().table(name); }, guard());
}

} // namespace hornbeam::pybridge
