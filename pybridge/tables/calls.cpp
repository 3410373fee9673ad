#include "pybridge/tables/calls.hpp"

#include <cmath>

#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge::table_calls {

using namespace runtime;
using effort = table_handle::effort;

namespace {

/// An argument that may have been left out.
py::object given(py::handle x) {
  return py::reinterpret_borrow<py::object>(x ? x : py::handle{Py_None});
}

term key_of(py::handle x) {
  return to_term(x, "key");
}

/// A whole number of an argument.
std::int64_t whole(py::handle x, const char* what) {
  auto n = to_term(x, what);
  if (!n.is(term::kind::integer)) {
    PyErr_Format(PyExc_TypeError, "%s must be an integer, not %R", what,
                 x.ptr());
    throw py::error_already_set();
  }
  return n.as_int();
}

} // namespace

py::object milliseconds_of(py::handle ttl, py::handle ttl_ms) {
  if (ttl_ms && !ttl_ms.is_none())
    throw py::type_error("ttl and ttl_ms are the same: give one of them");
  if (!PyFloat_Check(ttl.ptr()) && !PyLong_Check(ttl.ptr())) {
    PyErr_Format(PyExc_TypeError, "ttl must be a number of seconds, not %s",
                 Py_TYPE(ttl.ptr())->tp_name);
    throw py::error_already_set();
  }
  auto seconds = PyFloat_AsDouble(ttl.ptr());
  if (PyErr_Occurred() != nullptr)
    throw py::error_already_set();
  if (!(seconds >= 0) || seconds > 1e12)
    throw py::value_error(
      "ttl must be a number of seconds from 0, for ever, to 1e12");
  return py::int_(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

namespace {

std::int64_t life(py::handle ttl_ms) {
  if (!ttl_ms || ttl_ms.is_none())
    return table::default_ttl;
  auto ms = whole(ttl_ms, "ttl_ms");
  if (ms < 0)
    throw py::value_error("ttl_ms can't be negative; 0 is for ever");
  return ms;
}

/// `[x]`, a list of one value or none, as operations answer it.
py::object one_or(const term& found, py::handle fallback) {
  auto xs = found.items();
  return xs.empty() ? given(fallback) : to_python(xs.front());
}

/// The values that keys have, in the order of the keys.
std::vector<std::optional<term>> get_all(const table_handle& t,
                                         term::sequence keys) {
  if (auto here = t.local())
    return here->get_many(keys);
  std::vector<std::optional<term>> out;
  out.reserve(keys.size());
  auto answer = t.ask("get_many", {term::list(std::move(keys))});
  for (auto& x : answer.items())
    out.push_back(x.items().empty() ? std::nullopt
                                    : std::optional{x.items().front()});
  return out;
}

/// A list of `xs`, of our own: code that converting runs can't change it.
/// `what` must be `kind`, says the error if it can't be one.
py::object list_of(py::handle xs, const char* what,
                   const char* kind = "a list") {
  auto out = py::reinterpret_steal<py::object>(
    into_python([&] { return PySequence_List(xs.ptr()); }));
  if (out)
    return out;
  if (PyErr_ExceptionMatches(PyExc_TypeError) != 0 && !PyIter_Check(xs.ptr()))
    PyErr_Format(PyExc_TypeError, "%s must be %s, not %s", what, kind,
                 Py_TYPE(xs.ptr())->tp_name);
  throw py::error_already_set();
}

term::sequence keys_of(const py::object& list) {
  auto n = PyList_GET_SIZE(list.ptr());
  term::sequence out;
  out.reserve(static_cast<std::size_t>(n));
  for (Py_ssize_t i = 0; i < n; ++i)
    out.push_back(to_term(PyList_GET_ITEM(list.ptr(), i), "keys"));
  return out;
}

/// Finds keys that are one in a dict and two in a table.
class ambiguous_keys {
public:
  /// The `i`-th of `keys` was in the dict already when it came.
  void met(PyObject* keys, Py_ssize_t i) {
    if (!first_)
      first_ = py::dict{};
    for (; next_ <= i; ++next_)
      look_at(PyList_GET_ITEM(keys, next_));
  }

private:
  void look_at(PyObject* key) {
    auto* first = PyDict_SetDefault(first_.ptr(), key, key);
    if (first == nullptr)
      throw py::error_already_set();
    if (first == key || to_term(first, "keys") == to_term(key, "keys"))
      return;
    PyErr_Format(PyExc_ValueError,
                 "%R and %R are two keys here but one in the dict that would "
                 "be returned: ask for them one by one",
                 first, key);
    throw py::error_already_set();
  }

  py::object first_; ///< each key that a dict can tell apart, to itself
  Py_ssize_t next_ = 0;
};

/// Appends a time to live unless it is the table's own.
term::sequence with_life(term::sequence args, py::handle ttl_ms) {
  if (auto ms = life(ttl_ms); ms != table::default_ttl)
    args.emplace_back(ms);
  return args;
}

/// Entries from a dict or an iterable of pairs: a list of tuples.
term entries_of(py::handle xs) {
  if (!PyDict_Check(xs.ptr()))
    return to_term(list_of(xs, "entries", "a dict or pairs of key and value"),
                   "entries");
  term::sequence out;
  auto all = to_term(xs, "entries");
  for (auto& [k, v] : all.pairs())
    out.push_back(term::tuple_of(k, v));
  return term::list(std::move(out));
}

term maybe(py::handle x, const char* what) {
  return x.ptr() == python().missing ? term::list({})
                                     : term::list({to_term(x, what)});
}

term pid_of(py::handle x, const char* what) {
  auto pid = to_term(x, what);
  if (!pid.is(term::kind::pid)) {
    PyErr_Format(PyExc_TypeError, "%s must be a pid, not %R", what, x.ptr());
    throw py::error_already_set();
  }
  return pid;
}

std::string path_of(py::handle x) {
  PyObject* bytes = nullptr;
  auto ok
    = into_python([&] { return PyUnicode_FSConverter(x.ptr(), &bytes) != 0; });
  if (!ok)
    throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(bytes);
}

} // namespace

py::object get(const table_handle& t, py::handle key, py::handle fallback,
               bool copy) {
  if (auto here = t.local()) {
    auto found = here->get(key_of(key));
    return found ? to_python(*found, copy) : given(fallback);
  }
  auto found = t.ask("get", {key_of(key)});
  return found.items().empty() ? given(fallback)
                               : to_python(found.items().front(), copy);
}

py::object set(const table_handle& t, py::handle key, py::handle value,
               py::handle ttl_ms) {
  auto ms = life(ttl_ms);
  auto k = key_of(key);
  auto v = to_term(value, "value");
  if (auto here = t.local()) {
    release_gil_if_blocking wait{t};
    here->set(k, std::move(v), ms);
  } else if (ms == table::default_ttl) {
    t.ask("set", {std::move(k), std::move(v)});
  } else {
    t.ask("set", {std::move(k), std::move(v), term{ms}});
  }
  return py::none();
}

bool erase(const table_handle& t, py::handle key) {
  auto k = key_of(key);
  if (auto here = t.local()) {
    release_gil_if_blocking wait{t};
    return here->erase(k);
  }
  return t.ask("delete", {std::move(k)}).as_bool();
}

bool contains(const table_handle& t, py::handle key) {
  if (auto here = t.local())
    return here->contains(key_of(key));
  return t.ask("contains", {key_of(key)}).as_bool();
}

py::object count(const table_handle& t, py::handle key, py::handle delta,
                 bool down, py::handle ttl_ms) {
  auto by = delta ? to_term(delta, "delta") : term{1};
  if (down && by.is_any_integer())
    by = term{big_integer{-by.as_big()}};
  auto k = key_of(key);
  auto ms = life(ttl_ms);
  if (auto here = t.local()) {
    auto sum = [&] {
      release_gil_if_blocking wait{t};
      return here->update_counter(k, by, ms);
    }();
    return to_python(sum);
  }
  term::sequence args{std::move(k), std::move(by)};
  if (ms != table::default_ttl)
    args.emplace_back(ms);
  return to_python(t.ask("incr", std::move(args)));
}

py::object get_multi(const table_handle& t, py::handle keys) {
  auto asked = list_of(keys, "keys");
  auto found = get_all(t, keys_of(asked));
  auto out = new_dict(found.size());
  ambiguous_keys ambiguous;
  for (Py_ssize_t i = 0; i < std::ssize(found); ++i) {
    auto& x = found[static_cast<std::size_t>(i)];
    auto value = x ? to_python(*x) : py::none();
    auto size = PyDict_GET_SIZE(out.ptr());
    if (PyDict_SetItem(out.ptr(), PyList_GET_ITEM(asked.ptr(), i), value.ptr())
        != 0)
      throw py::error_already_set();
    if (PyDict_GET_SIZE(out.ptr()) == size)
      ambiguous.met(asked.ptr(), i);
  }
  return out;
}

py::object get_many(const table_handle& t, py::handle keys,
                    py::handle fallback) {
  py::list out;
  for (auto& x : get_all(t, keys_of(list_of(keys, "keys"))))
    out.append(x ? to_python(*x) : given(fallback));
  return out;
}

py::object keys(const table_handle& t, py::handle prefix, py::handle limit) {
  term::sequence args;
  if (prefix && !prefix.is_none()) {
    args.push_back(term::string(to_text(prefix, "prefix")));
    if (limit && !limit.is_none())
      args.emplace_back(whole(limit, "limit"));
  } else if (limit && !limit.is_none()) {
    throw py::value_error("a limit needs a prefix; scan() gives some of all");
  }
  return to_python(t.ask("keys", std::move(args), effort::large));
}

py::object insert_new(const table_handle& t, py::handle key, py::handle value,
                      py::handle ttl_ms) {
  return to_python(t.ask(
    "insert_new", with_life({key_of(key), to_term(value, "value")}, ttl_ms)));
}

py::object take(const table_handle& t, py::handle key, py::handle fallback) {
  return one_or(t.ask("take", {key_of(key)}), fallback);
}

py::object swap(const table_handle& t, py::handle key, py::handle value,
                py::handle fallback, py::handle ttl_ms) {
  auto args = with_life({key_of(key), to_term(value, "value")}, ttl_ms);
  return one_or(t.ask("swap", std::move(args)), fallback);
}

py::object compare_and_swap(const table_handle& t, py::handle key,
                            py::handle expected, py::handle value,
                            py::handle ttl_ms) {
  auto args = with_life(
    {key_of(key), maybe(expected, "expected"), maybe(value, "value")}, ttl_ms);
  return to_python(t.ask("compare_and_swap", std::move(args)).items().front());
}

py::object update_counter(const table_handle& t, py::handle key,
                          py::handle steps, py::handle initial,
                          py::handle ttl_ms) {
  auto all = list_of(steps, "steps");
  term::sequence ops;
  auto given_steps = to_term(all, "steps");
  for (auto& x : given_steps.items())
    ops.push_back(x.is_any_integer() ? term::tuple({term{0}, x}) : x);
  auto args = with_life({key_of(key), term::list(std::move(ops)),
                         initial ? to_term(initial, "initial") : term{0}},
                        ttl_ms);
  return to_python(t.ask("update_counter", std::move(args)));
}

py::object scan(const table_handle& t, py::handle from, py::handle limit) {
  return to_python(t.ask("scan",
                         {from ? to_term(from, "from_") : term{},
                          limit ? term{whole(limit, "limit")} : term{1000}},
                         effort::large));
}

py::object set_many(const table_handle& t, py::handle entries,
                    py::handle ttl_ms) {
  t.ask("set_many", with_life({entries_of(entries)}, ttl_ms), effort::large);
  return py::none();
}

py::object insert_new_many(const table_handle& t, py::handle entries,
                           py::handle ttl_ms) {
  return to_python(t.ask("insert_new_many",
                         with_life({entries_of(entries)}, ttl_ms),
                         effort::large));
}

py::object delete_object(const table_handle& t, py::handle key,
                         py::handle value) {
  return to_python(
    t.ask("delete_object", {key_of(key), to_term(value, "value")}));
}

py::object expire(const table_handle& t, py::handle key, py::handle ttl_ms) {
  return to_python(t.ask("expire", {key_of(key), term{life(ttl_ms)}}));
}

py::object left_ms(const table_handle& t, py::handle key) {
  return one_or(t.ask("left_ms", {key_of(key)}), {});
}

py::object size(const table_handle& t) {
  return to_python(t.ask("size"));
}

py::object clear(const table_handle& t) {
  t.ask("clear", {}, effort::large);
  return py::none();
}

py::object info(const table_handle& t) {
  return to_python(t.ask("info"));
}

namespace {

/// How many entries `move` has written to a file, or read.
template <class F>
py::object with_file(const table_handle& t, const char* what, py::handle path,
                     F move) {
  auto here = t.only_local(what);
  auto file = path_of(path);
  std::size_t n = 0;
  {
    without_gil free;
    n = move(*here, file);
  }
  return py::int_(n);
}

} // namespace

py::object save(const table_handle& t, py::handle path) {
  return with_file(t, "save", path,
                   [](table& x, auto& file) { return x.save(file); });
}

py::object load(const table_handle& t, py::handle path) {
  return with_file(t, "load", path,
                   [](table& x, auto& file) { return x.load(file); });
}

// -- owners -------------------------------------------------------------------

term heir_of(const std::string& name, py::handle x) {
  if (!x || x.is_none())
    return {};
  auto pid = pid_of(x, "heir");
  if (!node().node->processes().is_local(pid.as_pid()))
    raise({error_code::bad_value, "the heir of the table '" + name
                                    + "' is a process of this node, which "
                                    + to_string(pid) + " is not"});
  return pid;
}

py::object owner(const table_handle& t) {
  if (auto here = t.local())
    return to_python(here->owner());
  auto info = t.ask("info");
  auto* pid = info.find(term::atom("owner"));
  return pid != nullptr ? to_python(*pid) : py::none();
}

py::object give_away(const table_handle& t, py::handle to, py::handle data) {
  t.only_local("give_away");
  auto whom = pid_of(to, "to");
  auto gift = to_term(given(data), "data");
  auto& all = node().node->tables();
  caller_scope as{{calling_process(), {}, 0}};
  {
    without_gil free;
    all.give_away(t.name(), whom, std::move(gift));
  }
  return py::none();
}

py::object set_heir(const table_handle& t, py::handle heir, py::handle data) {
  t.only_local("set_heir");
  auto whom = heir_of(t.name(), heir);
  auto legacy = to_term(given(data), "data");
  auto& all = node().node->tables();
  caller_scope as{{calling_process(), {}, 0}};
  {
    without_gil free;
    all.set_heir(t.name(), whom, std::move(legacy));
  }
  return py::none();
}

} // namespace hornbeam::pybridge::table_calls
