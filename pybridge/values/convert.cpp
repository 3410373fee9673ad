#include "pybridge/values/convert.hpp"

#include <algorithm>
#include <map>

#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/marks.hpp"

// Raw C API: this is the hot path of everything, and an `isinstance` ladder
// through pybind11's casters costs several times as much.

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

PyTypeObject* type_of(PyObject* given) {
  return reinterpret_cast<PyTypeObject*>(given);
}

/// Something that can't be a term; the place is filled in on the way up.
struct not_a_term {
  PyObject* exception_type;
  std::string place;
  std::string why;
};

std::string type_name(PyObject* x) {
  return Py_TYPE(x)->tp_name;
}

std::string short_repr(PyObject* x) {
  auto r = py::reinterpret_steal<py::object>(PyObject_Repr(x));
  if (!r) {
    PyErr_Clear();
    return "<" + type_name(x) + ">";
  }
  auto text = to_text(r, "repr");
  return text.size() <= 40 ? text : text.substr(0, 37) + "...";
}

std::string_view bytes_view(PyObject* x) {
  return {PyBytes_AS_STRING(x), static_cast<std::size_t>(PyBytes_GET_SIZE(x))};
}

/// What `f` makes of the UTF-8 of a `str`, which `f` must not keep.
template <class F>
auto with_utf8(PyObject* x, F f) {
  if (PyUnicode_IS_COMPACT_ASCII(x))
    return f(
      std::string_view{static_cast<const char*>(PyUnicode_DATA(x)),
                       static_cast<std::size_t>(PyUnicode_GET_LENGTH(x))});
  Py_ssize_t n = 0;
  if (const char* p = PyUnicode_AsUTF8AndSize(x, &n))
    return f(std::string_view{p, static_cast<std::size_t>(n)});
  PyErr_Clear(); // lone surrogates
  auto raw = made(PyUnicode_AsEncodedString(x, "utf-8", "surrogatepass"));
  return f(bytes_view(raw.ptr()));
}

std::string utf8(PyObject* x) {
  return with_utf8(x, [](std::string_view text) { return std::string{text}; });
}

term from_int(PyObject* x) {
  int overflow = 0;
  auto small = PyLong_AsLongLongAndOverflow(x, &overflow);
  if (overflow == 0)
    return term{static_cast<std::int64_t>(small)};
  auto raw = bytes_of_int(x);
  bool negative = overflow < 0;
  if (negative) // -x is what is left of it with all bits turned, and 1
    for (auto& byte : raw)
      byte = static_cast<unsigned char>(~byte);
  big_integer big;
  import_bits(big, raw.begin(), raw.end(), 8, false);
  if (negative)
    big = -big - 1;
  return term{std::move(big)};
}

py::object big_to_python(const big_integer& x) {
  std::vector<unsigned char> raw;
  export_bits(x, std::back_inserter(raw), 8, false);
  auto magnitude = int_of_bytes(raw);
  return x < 0 ? made(PyNumber_Negative(magnitude.ptr())) : magnitude;
}

/// The name of its class, with the module.
std::string class_name(PyObject* x) {
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(x));
  auto module = made(PyObject_GetAttrString(type, "__module__"));
  auto name = made(PyType_GetQualName(Py_TYPE(x)));
  return utf8(py::str(module).ptr()) + "." + utf8(name.ptr());
}

class converter {
public:
  /// `exact`: values of different classes become different terms.
  explicit converter(bool exact) : exact_(exact) {}

  term convert(PyObject* x) {
    if (x == Py_None)
      return {};
    auto* type = Py_TYPE(x);
    if (type == &PyUnicode_Type)
      return with_utf8(x, term::string);
    if (type == &PyLong_Type)
      return from_int(x);
    if (type == &PyFloat_Type)
      return term{PyFloat_AS_DOUBLE(x)};
    if (type == &PyBool_Type)
      return term{x == Py_True};
    if (type == &PyBytes_Type)
      return term::bytes(bytes_view(x));
    if (type == &PyList_Type)
      return term::list(sequence(x));
    if (type == &PyTuple_Type)
      return term::tuple(sequence(x));
    if (type == &PyDict_Type)
      return map(x);
    if (type == &PySet_Type)
      return term::set(iterated(x));
    if (type == type_of(python().atom))
      return with_utf8(x, term::atom);
    if (auto* mark = find_mark(x))
      return *mark;
    return exact_ ? term::extension(class_name(x), convert_other(x))
                  : convert_other(x);
  }

private:
  /// Of all classes but those that every term is made of.
  term convert_other(PyObject* x) {
    if (auto special = extension(x))
      return *std::move(special);
    // Subclasses of the builtin types are taken as those.
    if (PyUnicode_Check(x))
      return with_utf8(x, term::string);
    if (PyLong_Check(x))
      return from_int(x);
    if (PyFloat_Check(x))
      return term{PyFloat_AS_DOUBLE(x)};
    if (PyBytes_Check(x))
      return term::bytes(bytes_view(x));
    if (PyList_Check(x))
      return term::list(sequence(x));
    if (PyTuple_Check(x))
      return term::tuple(sequence(x));
    if (PyDict_Check(x))
      return map(x);
    if (PySet_Check(x))
      return term::set(iterated(x));
    throw not_a_term{PyExc_TypeError,
                     {},
                     "a value of type " + type_name(x)
                       + " can't be stored or sent; convert it to plain data "
                         "first, or see hornbeam.register_type"};
  }

  /// Entering a container; cycles and deep nesting end here.
  class level {
  public:
    level(converter& c, PyObject* x) : converter_(c) {
      auto& above = c.above_;
      // An empty one is as deep as a number.
      auto limit = static_cast<std::size_t>(max_depth) - 1;
      if (above.size() > limit || (above.size() == limit && !is_empty(x))) {
        bool cycle = std::find(above.begin(), above.end(), x) != above.end();
        throw not_a_term{PyExc_ValueError,
                         {},
                         cycle ? "the value contains itself"
                               : "nesting deeper than "
                                   + std::to_string(max_depth)};
      }
      above.push_back(x);
    }
    ~level() { converter_.above_.pop_back(); }

  private:
    static bool is_empty(PyObject* x) {
      auto size = PyObject_Size(x);
      PyErr_Clear();
      return size == 0;
    }

    converter& converter_;
  };

  /// Adds the place to an error that comes from below.
  template <class Place>
  term at(PyObject* x, Place place) {
    try {
      return convert(x);
    } catch (not_a_term& e) {
      // Of a very deep place only the first steps help.
      if (e.place.size() < 400)
        e.place = place() + e.place;
      else
        e.place = place() + "...";
      throw;
    }
  }

  term::sequence sequence(PyObject* x) {
    level guard{*this, x};
    term::sequence out;
    out.reserve(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(x)));
    // The size is asked each time: converting may run Python code.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(x); ++i) {
      auto item
        = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(x, i));
      out.push_back(
        at(item.ptr(), [&] { return "[" + std::to_string(i) + "]"; }));
    }
    return out;
  }

  term::sequence iterated(PyObject* x) {
    level guard{*this, x};
    term::sequence out;
    for (auto item : py::reinterpret_borrow<py::object>(x))
      out.push_back(
        at(item.ptr(), [&] { return "{" + short_repr(item.ptr()) + "}"; }));
    if (exact_) // equal ones are the same
      std::sort(out.begin(), out.end());
    return out;
  }

  term map(PyObject* x) {
    level guard{*this, x};
    term::entries out;
    out.reserve(static_cast<std::size_t>(PyDict_Size(x)));
    Py_ssize_t i = 0;
    PyObject* k = nullptr;
    PyObject* v = nullptr;
    auto size = PyDict_Size(x);
    while (PyDict_Next(x, &i, &k, &v)) {
      auto key = py::reinterpret_borrow<py::object>(k);
      auto value = py::reinterpret_borrow<py::object>(v);
      auto place = [&] { return "[" + short_repr(key.ptr()) + "]"; };
      auto key_term = at(key.ptr(),
                         [&] { return " key " + short_repr(key.ptr()); });
      out.emplace_back(std::move(key_term), at(value.ptr(), place));
      if (PyDict_Size(x) != size)
        throw not_a_term{
          PyExc_ValueError, {}, "the dict changed while it was read"};
    }
    if (exact_ && PyDict_CheckExact(x)) // equal ones are the same
      std::sort(out.begin(), out.end(),
                [](auto& a, auto& b) { return a.first < b.first; });
    auto count = out.size();
    auto result = term::map(std::move(out));
    if (result.pairs().size() != count)
      throw not_a_term{PyExc_ValueError,
                       {},
                       "two keys of the dict would become one, and an entry be "
                       "lost (two NaN, say)"};
    return result;
  }

  /// What the Python package knows about this type: arrays, dates, enums,
  /// registered classes.
  std::optional<term> extension(PyObject* x) {
    if (python().encode == nullptr)
      return std::nullopt;
    auto known = py::reinterpret_steal<py::object>(
      into_python([&] { return PyObject_CallOneArg(python().encode, x); }));
    if (!known) {
      // Its complaints about a value become ours, with the place.
      py::error_already_set e;
      if (!e.matches(PyExc_TypeError) && !e.matches(PyExc_ValueError))
        throw e;
      throw not_a_term{e.matches(PyExc_TypeError) ? PyExc_TypeError
                                                  : PyExc_ValueError,
                       {},
                       utf8(py::str(e.value()).ptr())};
    }
    if (known.is_none())
      return std::nullopt;
    auto tag = known[py::int_(0)];
    auto value
      = py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(known.ptr(), 1));
    if (py::object(tag).is_none()) // a plain value in other clothes
      return convert(value.ptr());
    if (!PyUnicode_Check(py::object(tag).ptr()))
      throw not_a_term{PyExc_TypeError,
                       {},
                       "the tag of an Opaque must be a str, not "
                         + type_name(py::object(tag).ptr())};
    auto name = utf8(py::object(tag).ptr());
    if (name == "ndarray")
      return array_term(value);
    level guard{*this, x};
    return term::extension(std::move(name), convert(value.ptr()));
  }

  /// From (dtype, shape, an object with the C-ordered bytes).
  static term array_term(const py::object& parts) {
    array out;
    out.dtype = py::cast<std::string>(parts[py::int_(0)]);
    for (auto n : py::object(parts[py::int_(1)]))
      out.shape.push_back(py::cast<std::uint64_t>(n));
    auto data = py::object(parts[py::int_(2)]);
    Py_buffer view;
    if (PyObject_GetBuffer(data.ptr(), &view, PyBUF_SIMPLE) != 0)
      throw py::error_already_set();
    out.data.assign(static_cast<const char*>(view.buf),
                    static_cast<std::size_t>(view.len));
    PyBuffer_Release(&view);
    return term{std::move(out)};
  }

  bool exact_;
  std::vector<PyObject*> above_;
};

/// Atoms are few, and come again and again.
class atoms_in_use {
public:
  PyObject* find(std::string_view text) {
    if (auto at = known_.find(text); at != known_.end())
      return Py_NewRef(at->second);
    auto* made = PyObject_CallOneArg(python().atom, text_to_python(text).ptr());
    if (made != nullptr && known_.size() < most)
      known_.emplace(text, Py_NewRef(made));
    return made;
  }

private:
  static constexpr std::size_t most = 4096;
  std::map<std::string, PyObject*, std::less<>> known_;
};

/// With Python's lock; left behind at exit.
auto& atoms_in_use_here = *new atoms_in_use;

PyObject* call_decode(const std::string& tag, const py::object& value) {
  auto name = text_to_python(tag);
  return into_python([&] {
    return PyObject_CallFunctionObjArgs(python().decode, name.ptr(),
                                        value.ptr(), nullptr);
  });
}

/// The bytes of an array, which Python sees through the buffer protocol.
class array_bytes {
public:
  explicit array_bytes(term x) : array_(std::move(x)) {}
  py::buffer_info buffer() const {
    auto& data = array_.as_array().data;
    return {const_cast<char*>(data.data()),
            1,
            py::format_descriptor<unsigned char>::format(),
            1,
            {data.size()},
            {1},
            true};
  }

private:
  term array_;
};

/// Makes Python objects of terms. Unless it copies, arrays are views.
class builder {
public:
  explicit builder(bool copy) noexcept : copy_(copy) {}

  /// A new reference, never null.
  PyObject* build(const term& x) const {
    auto* out = build_any(x);
    if (out == nullptr) [[unlikely]]
      throw py::error_already_set();
    return out;
  }

private:
  PyObject* build_any(const term& x) const {
    switch (x.type()) {
      case term::kind::none:
        Py_RETURN_NONE;
      case term::kind::boolean:
        return PyBool_FromLong(x.as_bool());
      case term::kind::integer:
        return PyLong_FromLongLong(x.as_int());
      case term::kind::big_integer:
        return big_to_python(x.as_big()).release().ptr();
      case term::kind::floating:
        return PyFloat_FromDouble(x.as_double());
      case term::kind::string:
        return text_to_python(x.text()).release().ptr();
      case term::kind::atom:
        return atoms_in_use_here.find(x.text());
      case term::kind::bytes:
        return PyBytes_FromStringAndSize(
          x.text().data(), static_cast<Py_ssize_t>(x.text().size()));
      case term::kind::list:
        return build_sequence(x, false);
      case term::kind::tuple:
        return build_sequence(x, true);
      case term::kind::map:
        return build_map(x);
      case term::kind::set: {
        auto items
          = py::reinterpret_steal<py::object>(build_sequence(x, false));
        return PySet_New(items.ptr());
      }
      case term::kind::pid:
      case term::kind::reference:
        return new_mark(x);
      case term::kind::array:
        return array(x);
      case term::kind::extension:
        return call_decode(x.tag(),
                           py::reinterpret_steal<py::object>(build(x.inner())));
    }
    Py_RETURN_NONE;
  }

  PyObject* build_sequence(const term& x, bool tuple) const {
    auto items = x.items();
    auto n = static_cast<Py_ssize_t>(items.size());
    auto out = made(tuple ? PyTuple_New(n) : PyList_New(n));
    for (Py_ssize_t i = 0; i < n; ++i) {
      auto& x_i = items[static_cast<std::size_t>(i)];
      auto* item = x_i.is(term::kind::floating)
                     ? PyFloat_FromDouble(x_i.as_double())
                     : build(x_i);
      if (item == nullptr) [[unlikely]]
        throw py::error_already_set();
      if (tuple)
        PyTuple_SET_ITEM(out.ptr(), i, item);
      else
        PyList_SET_ITEM(out.ptr(), i, item);
    }
    return out.release().ptr();
  }

  PyObject* build_map(const term& x) const {
    auto out = new_dict(x.pairs().size());
    for (auto& [k, v] : x.pairs()) {
      auto key = py::reinterpret_steal<py::object>(build(k));
      auto value = py::reinterpret_steal<py::object>(build(v));
      if (PyDict_SetItem(out.ptr(), key.ptr(), value.ptr()) != 0)
        throw py::error_already_set();
    }
    return out.release().ptr();
  }

  PyObject* array(const term& x) const {
    auto& a = x.as_array();
    py::tuple shape{a.shape.size()};
    for (std::size_t i = 0; i < a.shape.size(); ++i)
      shape[i] = py::int_(a.shape[i]);
    auto data = copy_ ? made(PyByteArray_FromStringAndSize(
                  a.data.data(), static_cast<Py_ssize_t>(a.data.size())))
                      : py::cast(array_bytes{x});
    return call_decode("ndarray", py::make_tuple(a.dtype, shape, data));
  }

  bool copy_;
};

} // namespace

term to_term(py::handle x, const char* root, bool exact) {
  if (PyUnicode_CheckExact(x.ptr()) && PyUnicode_IS_COMPACT_ASCII(x.ptr()))
    return with_utf8(x.ptr(), term::string); // as most keys are
  try {
    return converter{exact}.convert(x.ptr());
  } catch (not_a_term& e) {
    set_error(e.exception_type, root + e.place + ": " + e.why);
    throw py::error_already_set();
  }
}

py::object to_python(const term& x) {
  return to_python(x, true);
}

py::object to_python(const term& x, bool copy) {
  return py::reinterpret_steal<py::object>(builder{copy}.build(x));
}

void bind_values(py::module_& m) {
  py::class_<array_bytes>(m, "_ArrayBytes", py::buffer_protocol())
    .def_buffer(&array_bytes::buffer);
  bind_marks(m);
}

std::string to_text(py::handle x, const char* what) {
  if (!PyUnicode_Check(x.ptr())) {
    PyErr_Format(PyExc_TypeError, "%s must be a str, not %s", what,
                 Py_TYPE(x.ptr())->tp_name);
    throw py::error_already_set();
  }
  return utf8(x.ptr());
}

py::object text_to_python(std::string_view text) {
  return made(PyUnicode_DecodeUTF8(
    text.data(), static_cast<Py_ssize_t>(text.size()), "surrogatepass"));
}

namespace {

py::object message_to_python(const std::string& message) {
  try {
    return text_to_python(message);
  } catch (py::error_already_set&) {
    return made(PyUnicode_DecodeUTF8(
      message.data(), static_cast<Py_ssize_t>(message.size()), "replace"));
  }
}

} // namespace

void set_error(PyObject* type, const std::string& message) {
  PyErr_SetObject(type, message_to_python(message).ptr());
}

py::object to_exception(const failure& f) {
  py::handle make{python().exception};
  return make(static_cast<int>(f.code), message_to_python(f.message),
              message_to_python(f.node), message_to_python(f.type),
              message_to_python(f.traceback));
}

void raise(const failure& f) {
  auto e = to_exception(f);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(e.ptr())), e.ptr());
  throw py::error_already_set();
}

py::object value_or_raise(const outcome& x) {
  if (!x)
    raise(x.error());
  return to_python(*x);
}

} // namespace hornbeam::pybridge
