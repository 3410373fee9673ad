#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/calls/python_mailbox.hpp"
#include "pybridge/gil/engine.hpp"
#include "pybridge/tables/calls.hpp"
#include "pybridge/tables/watch.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/option_dict.hpp"

namespace hornbeam::pybridge {

using namespace runtime;
using namespace table_calls;

namespace {

bool truth(py::handle x) {
  auto yes = into_python([&] { return PyObject_IsTrue(x.ptr()); });
  if (yes < 0)
    throw py::error_already_set();
  return yes != 0;
}

const table_handle& state() {
  auto* t = engine::get().state();
  if (t == nullptr) {
    node();
    t = engine::get().state();
  }
  return *t;
}

void bind_state(py::module_& m) {
  def_fast<[](py::handle key, py::handle fallback) {
    return get(state(), key, fallback);
  },
           "state_get", "key, default=None">(
    m, "The value of `key` in the table `state`, or `default`.");
  def_fast<[](py::handle key, py::handle value, py::handle ttl,
              py::handle ttl_ms) {
    if (!ttl || ttl.is_none())
      return set(state(), key, value, ttl_ms);
    return set(state(), key, value, milliseconds_of(ttl, ttl_ms));
  },
           "state_set", "key, value, *, ttl=None, ttl_ms=None">(
    m, "Store `value` under `key` in the table `state`.\n\n"
       "It lives for `ttl` seconds or `ttl_ms` milliseconds; 0 is for ever, "
       "None as long\nas the table says.\n\n"
       "Raises TypeError or ValueError, which say where in it the culprit is, "
       "for what\ncan't be stored (see docs/terms.md).");
  def_fast<[](py::handle key) -> py::object {
    erase(state(), key);
    return py::none();
  },
           "state_delete", "key">(
    m, "Remove `key` from the table `state`; without it nothing happens.");
  def_fast<[](py::handle key, py::handle delta) {
    return count(state(), key, delta, false);
  },
           "state_incr", "key, delta=1">(
    m, "Add `delta` to a counter, atomically, and return the sum.\n\n"
       "A missing key counts as 0. Raises TypeError, and changes nothing, if "
       "the value\nor `delta` is no integer.");
  def_fast<[](py::handle key, py::handle delta) {
    return count(state(), key, delta, true);
  },
           "state_decr", "key, delta=1">(
    m, "Subtract `delta` from a counter, as `state_incr` adds.");
  def_fast<[](py::handle keys) { return get_multi(state(), keys); },
           "state_get_multi", "keys">(
    m, "A dict of all `keys` and their values, None for those that are "
       "missing.\n\n"
       "Raises TypeError for a key that can't be in a dict, and ValueError for "
       "two that\na dict can't tell apart, such as 1 and True.");
  def_fast<[](py::handle prefix) { return keys(state(), prefix, {}); },
           "state_keys", "prefix=None">(
    m, "All keys of the table `state`; with `prefix`, the strings that start "
       "with it, in\nkey order.");
}

void bind_table_class(py::module_& m) {
  py::class_<table_handle> c(m, "Table");
  c.def(py::init([](const text& name, const text& node) {
          return table_handle::find(name, node);
        }),
        py::arg("name"), py::arg("node") = "", py::call_guard<native_call>());
  c.def_property_readonly(
    "name", [](const table_handle& t) { return text_to_python(t.name()); });
  c.def_property_readonly(
    "owner", py::cpp_function(owner, py::call_guard<native_call>()));
  c.def_property_readonly("node", [](const table_handle& t) {
    return text_to_python(t.node().empty() ? node().node->name() : t.node());
  });

  def_fast<[](const table_handle& t, py::handle key, py::handle fallback,
              py::handle copy) {
    return get(t, key, fallback, !copy || truth(copy));
  },
           "get", "key, default=None, *, copy=True">(
    c, "The value of `key`, or `default`.\n\n"
       "With `copy=False` arrays are read-only and share their memory with the "
       "table\nwhere that is in this process; all else is the same.");
  def_fast<[](const table_handle& t, py::handle key) -> py::object {
    return py::bool_(contains(t, key));
  },
           "contains", "key">(c, "Whether `key` is there.");
  def_fast<[](const table_handle& t, py::handle key) -> py::object {
    return py::bool_(contains(t, key));
  },
           "__contains__", "key">(c, "Whether `key` is there.");
  def_fast<set, "set", "key, value, *, ttl_ms=None">(
    c, "Store `value` under `key`.\n\n"
       "It lives for `ttl_ms` milliseconds; 0 is for ever, None as long as the "
       "table was\ndeclared with. Of a bag, add one value.");
  def_fast<set_many, "set_many", "entries, *, ttl_ms=None">(
    c, "Store all of a dict or of pairs of key and value, or, if that can't be "
       "done, none.");
  def_fast<insert_new, "insert_new", "key, value, *, ttl_ms=None">(
    c, "Store `value` unless `key` is there; says whether it did.");
  def_fast<insert_new_many, "insert_new_many", "entries, *, ttl_ms=None">(
    c, "Store all of a dict or of pairs, unless one of the keys is there: then "
       "none.\nSays whether it did.");
  def_fast<[](const table_handle& t, py::handle key) -> py::object {
    return py::bool_(erase(t, key));
  },
           "delete", "key">(c, "Remove `key`; says whether it was there.");
  def_fast<delete_object, "delete_object", "key, value">(
    c, "Remove one value of `key`, which in a bag may have others. Returns how "
       "many\nthere were.");
  def_fast<take, "take", "key, default=None">(
    c, "Remove `key` and return its value, or `default`: of several callers "
       "one gets it.");
  def_fast<swap, "swap", "key, value, default=None, *, ttl_ms=None">(
    c, "Store `value` and return what was there, or `default`.");
  def_fast<compare_and_swap, "compare_and_swap",
           "key, expected, value, *, ttl_ms=None">(
    c, "Store `value` if `key` is exactly `expected`; says whether it did.\n\n"
       "`hornbeam.tables.MISSING` stands for a key that is not there: as "
       "`expected` and as\n`value`, which removes the key.");
  def_fast<[](const table_handle& t, py::handle key, py::handle delta,
              py::handle ttl_ms) {
    return count(t, key, delta, false, ttl_ms);
  },
           "incr", "key, delta=1, *, ttl_ms=None">(
    c, "Add `delta` to a counter and return the sum.\n\n"
       "A missing key counts as 0 and gets `ttl_ms`; the time of one that is "
       "there goes on.\nRaises TypeError, and changes nothing, if the value or "
       "`delta` is no integer.");
  def_fast<[](const table_handle& t, py::handle key, py::handle delta,
              py::handle ttl_ms) { return count(t, key, delta, true, ttl_ms); },
           "decr", "key, delta=1, *, ttl_ms=None">(
    c, "Subtract `delta` from a counter, as `incr` adds.");
  def_fast<update_counter, "update_counter",
           "key, steps, initial=0, *, ttl_ms=None">(
    c, "Several steps on a counter, one after the other; returns the result of "
       "each.\n\n"
       "A step is a delta, (position, delta) or (position, delta, threshold, "
       "reset), as\n`ets:update_counter` has them: the position in a tuple or "
       "list counts from 1, 0 is\nthe value itself; a result beyond the "
       "threshold becomes `reset`. A missing key\ncounts as `initial`.");
  def_fast<expire, "expire", "key, ttl_ms">(
    c, "Let `key` live for `ttl_ms` milliseconds from now, 0: for ever. False "
       "if it is not\nthere.");
  def_fast<left_ms, "left_ms", "key">(
    c, "Milliseconds that `key` has left, 0: it lives for ever, None: it is "
       "not there.");
  def_fast<get_multi, "get_multi", "keys">(
    c, "A dict of all `keys` and their values, None for those that are "
       "missing.");
  def_fast<get_many, "get_many", "keys, default=None">(
    c, "A list of the values of `keys`, in one operation.");
  def_fast<keys, "keys", "prefix=None, limit=None">(
    c, "All keys; with `prefix`, the strings that start with it, in key order, "
       "the first\n`limit` of them.");
  def_fast<scan, "scan", "from_=None, limit=1000">(
    c, "About `limit` pairs of key and value, and where to go on: None at the "
       "end.\n\n"
       "What is there during the whole walk comes exactly once, whatever is "
       "written\nmeanwhile.");
  def_fast<size, "size", "">(c, "How many entries there are.");
  def_fast<size, "__len__", "">(c, "How many entries there are.");
  def_fast<clear, "clear", "">(c, "Remove all entries.");
  def_fast<info, "info", "">(
    c, "What the table is and holds, as a dict (see docs/tables.md).");
  def_fast<save, "save", "path">(
    c, "Write all entries to a file, as they are at one moment; returns how "
       "many.\n\n"
       "The file is written beside and renamed: a crash leaves the old or the "
       "new one.");
  def_fast<load, "load", "path">(
    c, "Replace all entries by those of a file that `save` has written; "
       "returns how many.\n\n"
       "A damaged file raises HornbeamError and leaves the table as it was.");
  def_fast<give_away, "give_away", "to, data=None">(
    c,
    "Give the table to another process of this node, which gets the message\n"
    "('ETS-TRANSFER', name, pid of who gave it, data). Only for its owner.");
  def_fast<set_heir, "set_heir", "heir, data=None">(
    c,
    "Name the process of this node that gets the table, and `data`, when its "
    "owner\nends; None: nobody. Only for its owner.");
}

void bind_watches(py::module_& m) {
  using guard = py::call_guard<native_call>;
  py::class_<table_watch>(m, "TableWatch")
    // One key, or else the string keys that start with `prefix`; "": all.
    .def(py::init([](const table_handle& t, python_mailbox& to,
                     std::int64_t number, const py::object& key,
                     const py::object& prefix) {
           auto what = prefix.is_none()
                         ? table_interest::in_key(to_term(key, "key"))
                         : table_interest::in_prefix(to_text(prefix, "prefix"));
           return std::make_unique<table_watch>(t, what, number, to.pid());
         }),
         guard())
    .def_property_readonly("number", &table_watch::number)
    .def("close", &table_watch::close, guard());
}

} // namespace

void bind_tables(py::module_& m) {
  bind_state(m);
  bind_table_class(m);
  bind_watches(m);
  // Says how a table of this node is made when it is first asked for.
  m.def(
    "declare_table",
    [](const text& name, const py::dict& options) {
      node().declare_table(name, to_table_options(options));
    },
    py::call_guard<native_call>());
  m.def(
    "new_table",
    [](const text& name, const py::dict& options, python_mailbox& owner,
       const py::object& heir, const py::object& heir_data) {
      auto how = to_table_options(options);
      table_ownership whose{owner.pid(), heir_of(name, heir),
                            to_term(heir_data, "heir_data")};
      auto& services = node();
      without_gil free; // a file may have to wait for another process
      services.new_table(name, how, whose);
    },
    py::call_guard<native_call>());
}

} // namespace hornbeam::pybridge
