#include "pybridge/values/marks.hpp"

#include <new>
#include <string>

#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"

// What is unique in all nodes: a node, one start of it, a number. They hold the
// term itself, so that sending to one looks nothing up.

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

struct mark {
  PyObject_HEAD term value;
};

PyTypeObject* pid_type = nullptr;
PyTypeObject* ref_type = nullptr;

template <class F>
PyObject* guarded(F f) {
  try {
    return f();
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  return nullptr;
}

const term& value_of(PyObject* x) {
  return reinterpret_cast<mark*>(x)->value;
}

bool is_pid(PyObject* x) {
  return Py_TYPE(x) == pid_type;
}

const origin& node_of(PyObject* x) {
  auto& v = value_of(x);
  return is_pid(x) ? *v.as_pid().node : *v.as_reference().node;
}

std::uint64_t serial_of(PyObject* x) {
  auto& v = value_of(x);
  return is_pid(x) ? v.as_pid().serial : v.as_reference().serial;
}

std::uint64_t owner_of(PyObject* x) {
  return is_pid(x) ? 0 : value_of(x).as_reference().owner;
}

PyObject* allocate(PyTypeObject* type, const term& x) {
  auto* self = type->tp_alloc(type, 0);
  if (self != nullptr)
    new (&reinterpret_cast<mark*>(self)->value) term{x};
  return self;
}

PyObject* new_of_parts(PyTypeObject* type, PyObject* args, PyObject* names) {
  static const char* of_pid[] = {"node", "incarnation", "serial", nullptr};
  static const char* of_ref[] = {"node", "incarnation", "serial", "owner",
                                 nullptr};
  bool pid_asked = type == pid_type;
  PyObject* given[4] = {};
  if (!PyArg_ParseTupleAndKeywords(
        args, names, pid_asked ? "OOO:Pid" : "OOO|O:Ref",
        const_cast<char**>(pid_asked ? of_pid : of_ref), &given[0], &given[1],
        &given[2], &given[3]))
    return nullptr;
  std::uint64_t numbers[3] = {};
  for (int i = 1; i < 4 && given[i] != nullptr; ++i) {
    if (!PyLong_Check(given[i]) || PyBool_Check(given[i])) {
      PyErr_SetString(PyExc_TypeError,
                      "the numbers of a Pid or Ref are integers of 64 bits");
      return nullptr;
    }
    numbers[i - 1] = PyLong_AsUnsignedLongLong(given[i]);
    if (PyErr_Occurred() != nullptr) {
      PyErr_SetString(PyExc_TypeError,
                      "the numbers of a Pid or Ref are integers of 64 bits");
      return nullptr;
    }
  }
  return guarded([&] {
    auto node = origin::of(to_text(given[0], "node"), numbers[0]);
    return allocate(type, pid_asked
                            ? term{pid{node, numbers[1]}}
                            : term{reference{node, numbers[1], numbers[2]}});
  });
}

void deallocate(PyObject* self) {
  reinterpret_cast<mark*>(self)->value.~term();
  auto* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

/// Without the name, which a node that was started without one gets later: the
/// number of its start is its own anyway.
PyObject* compare(PyObject* a, PyObject* b, int how) {
  if ((how != Py_EQ && how != Py_NE) || Py_TYPE(a) != Py_TYPE(b))
    Py_RETURN_NOTIMPLEMENTED;
  bool same = serial_of(a) == serial_of(b)
              && node_of(a).incarnation == node_of(b).incarnation;
  return PyBool_FromLong(same == (how == Py_EQ));
}

Py_hash_t hash(PyObject* self) {
  auto x = node_of(self).incarnation ^ (serial_of(self) * 0x9e3779b97f4a7c15);
  x ^= x >> 32;
  auto out = static_cast<Py_hash_t>(x);
  return out == -1 ? -2 : out;
}

PyObject* node_name(PyObject* self, void*) {
  return guarded(
    [&] { return text_to_python(node_of(self).name()).release().ptr(); });
}

PyObject* show(PyObject* self) {
  auto* node = node_name(self, nullptr);
  if (node == nullptr)
    return nullptr;
  auto* out = PyUnicode_FromFormat(
    is_pid(self) ? "<%U.%llu.%llu>" : "#Ref<%U.%llu.%llu>", node,
    static_cast<unsigned long long>(node_of(self).incarnation),
    static_cast<unsigned long long>(serial_of(self)));
  Py_DECREF(node);
  return out;
}

PyObject* incarnation(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(node_of(self).incarnation);
}

PyObject* serial(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(serial_of(self));
}

PyObject* owner(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(owner_of(self));
}

/// For `pickle` and `copy`.
PyObject* reduce(PyObject* self, PyObject*) {
  auto* node = node_name(self, nullptr);
  if (node == nullptr)
    return nullptr;
  auto start = static_cast<unsigned long long>(node_of(self).incarnation);
  auto number = static_cast<unsigned long long>(serial_of(self));
  if (is_pid(self))
    return Py_BuildValue("O(NKK)", pid_type, node, start, number);
  return Py_BuildValue("O(NKKK)", ref_type, node, start, number,
                       static_cast<unsigned long long>(owner_of(self)));
}

PyGetSetDef pid_parts[]
  = {{"node", node_name, nullptr, "The name of its node.", nullptr},
     {"incarnation", incarnation, nullptr, "Which start of that.", nullptr},
     {"serial", serial, nullptr, "Its number there.", nullptr},
     {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyGetSetDef ref_parts[]
  = {{"node", node_name, nullptr, "The name of its node.", nullptr},
     {"incarnation", incarnation, nullptr, "Which start of that.", nullptr},
     {"serial", serial, nullptr, "Its number there.", nullptr},
     {"owner", owner, nullptr,
      "The number of the process that an alias leads to, else 0.", nullptr},
     {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};

PyTypeObject* make_type(const char* name, const char* doc, PyGetSetDef* parts) {
  PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(doc)},
                         {Py_tp_new, reinterpret_cast<void*>(new_of_parts)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
                         {Py_tp_richcompare, reinterpret_cast<void*>(compare)},
                         {Py_tp_hash, reinterpret_cast<void*>(hash)},
                         {Py_tp_repr, reinterpret_cast<void*>(show)},
                         {Py_tp_getset, parts},
                         {Py_tp_methods, methods},
                         {0, nullptr}};
  PyType_Spec spec{name, sizeof(mark), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
  return reinterpret_cast<PyTypeObject*>(
    made(PyType_FromSpec(&spec)).release().ptr());
}

} // namespace

PyObject* new_mark(const term& x) {
  return allocate(x.is(term::kind::pid) ? pid_type : ref_type, x);
}

const term* find_mark(PyObject* x) noexcept {
  return Py_TYPE(x) == pid_type || Py_TYPE(x) == ref_type ? &value_of(x)
                                                          : nullptr;
}

void bind_marks(py::module_& m) {
  pid_type
    = make_type("hornbeam.values.Pid",
                "Pid(node, incarnation, serial)\n--\n\n"
                "The address of a process, a thread, a task or a handler call.",
                pid_parts);
  ref_type = make_type(
    "hornbeam.values.Ref",
    "Ref(node, incarnation, serial, owner=0)\n--\n\n"
    "A unique mark, made by `hornbeam.make_ref()`. An alias also names the\n"
    "process that it leads to (`owner`, else 0).",
    ref_parts);
  m.attr("Pid") = py::handle{reinterpret_cast<PyObject*>(pid_type)};
  m.attr("Ref") = py::handle{reinterpret_cast<PyObject*>(ref_type)};
}

} // namespace hornbeam::pybridge
