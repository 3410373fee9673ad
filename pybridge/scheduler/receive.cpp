#include "pybridge/scheduler/receive.hpp"

#include <new>
#include <utility>

#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/calls/local_call.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/marks.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

/// What a coroutine process awaits for a message. It is used once.
struct receive {
  PyObject_HEAD coroutine_process* process;
  PyObject* fallback;
  PyObject* accepts; ///< null: the selection alone says which message
  term ref;          ///< only answers to this, if it is one
  /// Where it has looked: for `accepts` the end and the version of a view.
  attached_process::place looked_at;
  std::size_t seen;
  clock::time_point until;
  bool gave_way; ///< to others, though there may be a message
};

PyTypeObject* type_object = nullptr;

receive& as_receive(PyObject* x) {
  return *reinterpret_cast<receive*>(x);
}

/// The message that it takes; null: none is there.
py::object take(receive& r) {
  auto& box = *r.process->mailbox;
  if (r.accepts == nullptr) {
    python_mailbox::selection of;
    of.ref = r.ref;
    auto found = box.take_or_sleep(of, r.looked_at);
    return found ? to_message(*found) : py::object{};
  }
  python_mailbox::view seen{{}, r.seen, r.looked_at.version};
  for (;;) {
    seen = box.look_here({}, seen);
    for (auto& [place, message] : std::exchange(seen.messages, {})) {
      auto x = to_message(message);
      auto says = made(
        into_python([&] { return PyObject_CallOneArg(r.accepts, x.ptr()); }));
      auto yes = PyObject_IsTrue(says.ptr());
      if (yes < 0)
        throw py::error_already_set();
      if (yes == 0)
        continue;
      if (box.take_here(place, seen.version))
        return x;
      seen = {}; // another thread has taken one: the places are others
      break;
    }
    if (box.sleep_unless_more(seen)) {
      r.seen = seen.end;
      r.looked_at.version = seen.version;
      return {};
    }
  }
}

PySendResult send(PyObject* self, PyObject*, PyObject** out) {
  auto& r = as_receive(self);
  *out = nullptr;
  try {
    if (scheduler::running() != r.process) {
      set_error(PyExc_RuntimeError,
                "what waits for the message of a process is awaited there");
      return PYGEN_ERROR;
    }
    // Who always finds a message does not hold up all others.
    if (!r.gave_way && r.process->turns->slice_is_over()) {
      r.gave_way = true;
      r.process->mailbox->ask_for_turn();
      *out = Py_NewRef(self);
      return PYGEN_NEXT;
    }
    py::object found;
    try {
      found = take(r);
    } catch (const process_killed&) {
      raise_told(*r.process);
    }
    if (!found && r.until != clock::time_point::max()
        && clock::now() >= r.until) {
      r.process->mailbox->give_up_sleep();
      found = py::reinterpret_borrow<py::object>(r.fallback);
    }
    if (found) {
      *out = found.release().ptr();
      return PYGEN_RETURN;
    }
    *out = Py_NewRef(self);
    return PYGEN_NEXT;
  } catch (...) {
    set_current_error();
    return PYGEN_ERROR;
  }
}

/// As `send`, for whoever does not know that, such as a debugger.
PyObject* next(PyObject* self) {
  PyObject* out = nullptr;
  switch (send(self, Py_None, &out)) {
    case PYGEN_NEXT:
      return out;
    case PYGEN_RETURN:
      PyErr_SetObject(
        PyExc_StopIteration,
        made(PyObject_CallOneArg(PyExc_StopIteration, out)).ptr());
      Py_DECREF(out);
      return nullptr;
    default:
      return nullptr;
  }
}

void deallocate(PyObject* self) {
  auto& r = as_receive(self);
  Py_CLEAR(r.process);
  Py_CLEAR(r.fallback);
  Py_CLEAR(r.accepts);
  std::destroy_at(&r.ref);
  auto* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

py::object waiting_receive(py::handle timeout_ms, py::handle fallback,
                           py::handle match) {
  auto* p = whose_code();
  if (p == nullptr)
    return py::none();
  if (p->told)
    raise_told(*p);
  deadline until;
  if (!timeout_ms.is_none())
    until = to_deadline(py::reinterpret_borrow<py::object>(timeout_ms));
  else if (has_deadline())
    until = to_deadline(made(PyObject_CallNoArgs(python().left_ms)));
  auto self = made(PyType_GenericAlloc(type_object, 0));
  auto& r = as_receive(self.ptr());
  new (&r.ref) term{};
  new (&r.looked_at) attached_process::place{};
  r.until = until.infinite() ? clock::time_point::max() : until.at;
  r.process = reinterpret_cast<coroutine_process*>(
    Py_NewRef(reinterpret_cast<PyObject*>(p)));
  r.fallback = Py_NewRef(fallback.ptr());
  if (match.ptr() != Py_Ellipsis) {
    if (auto* mark = find_mark(match.ptr());
        mark != nullptr && mark->is(term::kind::reference))
      r.ref = *mark;
    else if (PyFunction_Check(match.ptr()))
      r.accepts = Py_NewRef(match.ptr());
    else
      r.accepts = made(PyObject_CallOneArg(python().predicate, match.ptr()))
                    .release()
                    .ptr();
  }
  return self;
}

} // namespace

std::optional<clock::time_point> waits_for_message(
  PyObject* yielded, const coroutine_process& p) noexcept {
  if (Py_TYPE(yielded) != type_object || as_receive(yielded).process != &p)
    return std::nullopt;
  return as_receive(yielded).until;
}

void bind_receive(py::module_& m) {
  PyType_Slot slots[]
    = {{Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
       {Py_am_await, reinterpret_cast<void*>(PyObject_SelfIter)},
       {Py_am_send, reinterpret_cast<void*>(send)},
       {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
       {Py_tp_iternext, reinterpret_cast<void*>(next)},
       {0, nullptr}};
  PyType_Spec spec{"hornbeam._native.Receive", sizeof(receive), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                   slots};
  auto type = made(PyType_FromModuleAndSpec(m.ptr(), &spec, nullptr));
  type_object = reinterpret_cast<PyTypeObject*>(type.release().ptr());
  def_fast<waiting_receive, "waiting_receive", "timeout_ms, fallback, match">(
    m, "What the code of a coroutine process awaits for a message; None: it is "
       "not such code that calls.");
}

} // namespace hornbeam::pybridge
