#include "pybridge/scheduler/coroutine_process.hpp"

#include <new>
#include <utility>

#include <structmember.h>

#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/calls/local_call.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/scheduler/receive.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/marks.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

using process_type = coroutine_process;
using state = process_type::state;

PyTypeObject* type_object = nullptr;

process_type& of(PyObject* x) {
  return *reinterpret_cast<process_type*>(x);
}

PyObject* as_object(process_type* p) {
  return reinterpret_cast<PyObject*>(p);
}

PyObject* interned(const char* x) {
  auto* out = PyUnicode_InternFromString(x);
  if (out == nullptr)
    throw py::error_already_set();
  return out;
}

void report_unraisable(process_type* p) {
  if (PyErr_Occurred() != nullptr)
    PyErr_WriteUnraisable(as_object(p));
}

/// Calls a method that the class in Python has.
void call_method(process_type* p, PyObject* name, PyObject* x = nullptr) {
  auto* done = into_python([&] {
    return x == nullptr ? PyObject_CallMethodNoArgs(as_object(p), name)
                        : PyObject_CallMethodOneArg(as_object(p), name, x);
  });
  if (done == nullptr)
    report_unraisable(p);
  Py_XDECREF(done);
}

// -- its end ------------------------------------------------------------------

/// Its code has ended: it has returned, or raised the exception that is set.
void end_of_code(process_type* p) {
  static auto* failed = interned("failed");
  static auto* after_end = interned("after_end");
  p->waits_for = state::over;
  forget_timer(p);
  p->mailbox->forget_code();
  if (PyErr_Occurred() != nullptr) {
    auto error = take_error();
    call_method(p, failed, error.ptr());
    p->mailbox->close(term::atom("error")); // if even that has failed
  }
  p->mailbox->close(); // unless that has been done
  Py_CLEAR(p->coroutine);
  Py_CLEAR(p->function);
  Py_CLEAR(p->arguments);
  if (p->follow_up)
    call_method(p, after_end);
  Py_CLEAR(p->context);
  Py_DECREF(p); // that to itself
}

// -- its code -----------------------------------------------------------------

void ask_for_turn(process_type* p) {
  p->waits_for = state::turn;
  p->mailbox->ask_for_turn();
}

/// Has an exception thrown into it at its next turn.
void fail_next(process_type* p, PyObject* type, const char* format,
               PyObject* about) {
  PyErr_Format(type, format, as_object(p), about);
  Py_XSETREF(p->error, take_error().release().ptr());
  ask_for_turn(p);
}

/// Whether `future` takes the cancellation.
bool cancel_future(process_type* p, PyObject* message) {
  static auto* cancel = interned("cancel");
  static auto* names = PyTuple_Pack(1, interned("msg"));
  PyObject* args[] = {p->future, message};
  auto taken = made(into_python(
    [&] { return PyObject_VectorcallMethod(cancel, args, 1, names); }));
  return PyObject_IsTrue(taken.ptr()) == 1;
}

bool is_cancelled(PyObject* future) {
  static auto* cancelled = interned("cancelled");
  auto says = made(
    into_python([&] { return PyObject_CallMethodNoArgs(future, cancelled); }));
  return PyObject_IsTrue(says.ptr()) == 1;
}

/// As `asyncio.Task.cancel`.
bool cancel(process_type* p, PyObject* message) {
  if (p->waits_for == state::over)
    return false;
  ++p->cancels;
  if (p->future != nullptr && cancel_future(p, message))
    return true;
  p->must_cancel = true;
  Py_XSETREF(p->cancel_message, Py_NewRef(message));
  if (p->waits_for == state::message)
    ask_for_turn(p);
  return true;
}

PyObject* new_cancelled(process_type* p, PyObject* message) {
  auto* type = p->turns->cancelled_error().ptr();
  return message == nullptr || message == Py_None
           ? PyObject_CallNoArgs(type)
           : PyObject_CallOneArg(type, message);
}

PyObject* go_on_after(PyObject* self, PyObject*);

PyMethodDef go_on_method{"go_on", go_on_after, METH_O, nullptr};

/// The names of the arguments in a call whose last one is a context.
PyObject* only_context() {
  static auto* names = PyTuple_Pack(1, interned("context"));
  return names;
}

/// Has `p` go on when the future that it has yielded is done.
void wait_for_future(process_type* p, PyObject* future) {
  static auto* blocking = interned("_asyncio_future_blocking");
  static auto* add_done_callback = interned("add_done_callback");
  static auto* get_loop = interned("get_loop");
  auto* flag = PyObject_GetAttr(future, blocking);
  if (flag == nullptr) {
    PyErr_Clear();
    return fail_next(p, PyExc_RuntimeError,
                     "%R awaits %R, which is nothing that can be awaited",
                     future);
  }
  bool is_awaited = flag == Py_True;
  Py_DECREF(flag);
  if (!is_awaited)
    return fail_next(p, PyExc_RuntimeError,
                     "%R yields the future %R, which is to be awaited", future);
  if (future == as_object(p))
    return fail_next(p, PyExc_RuntimeError, "%R can't await itself: %R",
                     future);
  auto loop = made(PyObject_CallMethodNoArgs(future, get_loop));
  if (loop.ptr() != p->turns->loop().ptr())
    return fail_next(p, PyExc_RuntimeError,
                     "%R awaits %R, which is attached to a different loop",
                     future);
  if (PyObject_SetAttr(future, blocking, Py_False) < 0)
    throw py::error_already_set();
  auto go_on = made(PyCFunction_New(&go_on_method, as_object(p)));
  PyObject* args[] = {future, go_on.ptr(), p->turns->empty_context().ptr()};
  made(into_python([&] {
    return PyObject_VectorcallMethod(add_done_callback, args, 2,
                                     only_context());
  }));
  Py_XSETREF(p->future, Py_NewRef(future));
  p->waits_for = state::future;
  if (p->must_cancel && cancel_future(p, p->cancel_message))
    p->must_cancel = false;
}

/// What its coroutine has yielded says what it waits for.
void take_yielded(process_type* p, PyObject* x) {
  if (auto until = waits_for_message(x, *p)) {
    p->waits_for = state::message;
    if (*until != clock::time_point::max()) {
      p->timer = p->turns->add_timer(*until, *p);
      p->timed = true;
    }
    if (p->must_cancel)
      ask_for_turn(p);
  } else if (x == Py_None) { // as `asyncio.sleep(0)` does
    static auto* call_soon = interned("call_soon");
    auto go_on = made(PyCFunction_New(&go_on_method, as_object(p)));
    PyObject* args[] = {p->turns->loop().ptr(), go_on.ptr(), Py_None,
                        p->turns->empty_context().ptr()};
    made(into_python([&] {
      return PyObject_VectorcallMethod(call_soon, args, 3, only_context());
    }));
    p->waits_for = state::others;
  } else {
    wait_for_future(p, x);
  }
}

/// The coroutine of its function, or what awaits what that has returned.
PyObject* new_coroutine(process_type* p) {
  auto* out = PyObject_CallObject(p->function, p->arguments);
  Py_CLEAR(p->arguments);
  if (out == nullptr || PyCoro_CheckExact(out))
    return out;
  static auto* name = interned("code_of");
  auto* wrapped = PyObject_CallMethodOneArg(as_object(p), name, out);
  Py_DECREF(out);
  return wrapped;
}

/// Until it waits for something: what it has yielded.
PySendResult step(process_type* p, PyObject** out) {
  if (p->coroutine == nullptr) {
    p->coroutine = new_coroutine(p);
    if (p->coroutine == nullptr)
      return PYGEN_ERROR;
  }
  PyObject* error = std::exchange(p->error, nullptr);
  if (p->must_cancel) {
    p->must_cancel = false;
    Py_XSETREF(error, new_cancelled(p, p->cancel_message));
    Py_CLEAR(p->cancel_message);
    if (error == nullptr)
      return PYGEN_ERROR;
  }
  if (error == nullptr)
    return PyIter_Send(p->coroutine, Py_None, out);
  static auto* throw_in = interned("throw");
  *out = PyObject_CallMethodOneArg(p->coroutine, throw_in, error);
  Py_DECREF(error);
  if (*out != nullptr)
    return PYGEN_NEXT;
  return result_of_generator(out) == 0 ? PYGEN_RETURN : PYGEN_ERROR;
}

void go_on(process_type* p) {
  auto hold = py::reinterpret_borrow<py::object>(as_object(p));
  auto generation = fork_generation();
  forget_timer(p);
  p->waits_for = state::turn;
  PyObject* out = nullptr;
  PySendResult result{};
  {
    scheduler::step_scope here{*p->turns, *p};
    auto context = py::reinterpret_borrow<py::object>(p->context);
    if (PyContext_Enter(context.ptr()) < 0)
      throw py::error_already_set();
    result = into_python([&] { return step(p, &out); });
    if (PyContext_Exit(context.ptr()) < 0)
      PyErr_Clear();
  }
  auto yielded = py::reinterpret_steal<py::object>(out);
  if (generation
      != fork_generation()) { // what goes on here is the child's main
    PyErr_Clear();
    return;
  }
  if (result != PYGEN_NEXT)
    return end_of_code(p);
  try {
    take_yielded(p, yielded.ptr());
  } catch (...) { // what it awaits has raised
    set_current_error();
    Py_XSETREF(p->error, take_error().release().ptr());
    ask_for_turn(p);
  }
}

/// What no step lets out: there is nobody to raise it to.
void guarded(process_type* p, auto f) {
  try {
    f();
  } catch (...) {
    set_current_error();
    report_unraisable(p);
  }
}

PyObject* go_on_after(PyObject* self, PyObject*) {
  auto* p = &of(self);
  native_call guard;
  // A future that stands for another may call back with that.
  if (p->waits_for == state::future || p->waits_for == state::others)
    guarded(p, [&] {
      auto waited_for
        = py::reinterpret_steal<py::object>(std::exchange(p->future, nullptr));
      if (p->must_cancel && waited_for && is_cancelled(waited_for.ptr())) {
        p->must_cancel = false; // that is what it raises
        Py_CLEAR(p->cancel_message);
      }
      go_on(p);
    });
  Py_RETURN_NONE;
}

// -- what Python sees ---------------------------------------------------------

/// In the context in which its code will run: nothing of its caller's own.
void set_variables(process_type* p) {
  auto& side = python();
  auto set = [](PyObject* variable, PyObject* x) {
    made(PyContextVar_Set(variable, x));
  };
  auto forget = [&](PyObject* variable, PyObject* nothing) {
    PyObject* now = nullptr;
    if (PyContextVar_Get(variable, nothing, &now) < 0)
      throw py::error_already_set();
    Py_DECREF(now);
    if (now != nothing)
      set(variable, nothing);
  };
  static auto* no_permits = PyTuple_New(0);
  static auto* no_depth = PyLong_FromLong(0);
  forget(side.deadline, Py_None);
  forget(side.depth, no_depth);
  forget(side.permits, no_permits);
  forget(side.task, Py_None);
  forget(side.supervisor, Py_None);
  set(side.owner, as_object(p));
}

/// There is one in a process: finding out what a Python object holds takes
/// longer than all else that is done with it.
const std::shared_ptr<scheduler>& scheduler_of(PyObject* x) {
  static PyObject* known = nullptr; // left behind at exit, as what it holds
  static auto& found = *new std::shared_ptr<scheduler>;
  if (known != x) {
    found = py::cast<std::shared_ptr<scheduler>>(py::handle{x});
    Py_XSETREF(known, Py_NewRef(x));
  }
  return found;
}

int make(PyObject* self, PyObject* args, PyObject*) {
  native_call guard;
  PyObject *turns = nullptr, *function = nullptr, *arguments = nullptr;
  if (!PyArg_ParseTuple(args, "OOO!:Coroutine", &turns, &function,
                        &PyTuple_Type, &arguments))
    return -1;
  auto* p = &of(self);
  if (p->mailbox != nullptr) {
    PyErr_SetString(PyExc_TypeError, "it has been made");
    return -1;
  }
  try {
    static_cast<void>(spawned_caller()); // unless it has been ended
    p->turns = scheduler_of(turns);
    p->mailbox = make_mailbox(p->turns, p);
    p->function = Py_NewRef(function);
    p->arguments = Py_NewRef(arguments);
    p->context = made(PyContext_CopyCurrent()).release().ptr();
    if (PyContext_Enter(p->context) < 0)
      throw py::error_already_set();
    struct leave {
      PyObject* context;
      ~leave() { PyContext_Exit(context); }
    } here{p->context};
    set_variables(p);
    return 0;
  } catch (...) {
    set_current_error();
    return -1;
  }
}

PyObject* allocate(PyTypeObject* type, PyObject*, PyObject*) {
  auto* self = type->tp_alloc(type, 0);
  if (self != nullptr) {
    new (&of(self).turns) std::shared_ptr<scheduler>{};
    new (&of(self).mailbox) std::shared_ptr<python_mailbox>{};
    new (&of(self).timer) scheduler::timer_map::iterator{};
  }
  return self;
}

/// Methods of what was allocated and not made, as by a class that forgets
/// `super().__init__`, find nothing.
bool is_made(PyObject* self) {
  if (of(self).mailbox != nullptr)
    return true;
  PyErr_SetString(PyExc_TypeError, "it has not been made");
  return false;
}

int clear(PyObject* self) {
  auto& p = of(self);
  Py_CLEAR(p.function);
  Py_CLEAR(p.arguments);
  Py_CLEAR(p.coroutine);
  Py_CLEAR(p.context);
  Py_CLEAR(p.future);
  Py_CLEAR(p.cancel_message);
  Py_CLEAR(p.error);
  return 0;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  auto& p = of(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(p.function);
  Py_VISIT(p.arguments);
  Py_VISIT(p.coroutine);
  Py_VISIT(p.context);
  Py_VISIT(p.future);
  Py_VISIT(p.cancel_message);
  Py_VISIT(p.error);
  return 0;
}

void deallocate(PyObject* self) {
  PyObject_GC_UnTrack(self);
  auto& p = of(self);
  if (p.weak_references != nullptr)
    PyObject_ClearWeakRefs(self);
  if (p.mailbox != nullptr)
    p.mailbox->forget_code();
  clear(self);
  Py_CLEAR(p.box);
  Py_CLEAR(p.monitor);
  p.mailbox.~shared_ptr();
  p.turns.~shared_ptr();
  auto* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

/// Has whoever calls monitor it, if that is the code of a coroutine process.
bool monitor_by_caller(process_type& p) {
  auto* by = whose_code();
  if (by == nullptr || !by->mailbox->alive())
    return false;
  auto ref = by->mailbox->act(
    [&](runtime::self me) { return me.monitor(p.mailbox->pid()); });
  Py_XSETREF(p.monitor, new_mark(ref));
  return true;
}

PyObject* start(PyObject* self, PyObject*) {
  native_call guard;
  if (!is_made(self))
    return nullptr;
  auto& p = of(self);
  if (p.waits_for == state::made) {
    p.waits_for = state::fresh;
    Py_INCREF(self);
    p.mailbox->ask_for_turn();
  }
  Py_RETURN_NONE;
}

PyObject* watch(PyObject* self, PyObject*) {
  native_call guard;
  if (!is_made(self))
    return nullptr;
  try {
    return PyBool_FromLong(monitor_by_caller(of(self)));
  } catch (...) {
    set_current_error();
    return nullptr;
  }
}

PyObject* task_cancel(PyObject* self, PyObject* args, PyObject* names) {
  static const char* parameters[] = {"msg", nullptr};
  PyObject* message = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, names, "|O",
                                   const_cast<char**>(parameters), &message)
      || !is_made(self))
    return nullptr;
  native_call guard;
  try {
    return PyBool_FromLong(cancel(&of(self), message));
  } catch (...) {
    set_current_error();
    return nullptr;
  }
}

PyObject* task_cancelling(PyObject* self, PyObject*) {
  return PyLong_FromLong(of(self).cancels);
}

PyObject* task_uncancel(PyObject* self, PyObject*) {
  auto& p = of(self);
  if (p.cancels > 0)
    --p.cancels;
  return PyLong_FromLong(p.cancels);
}

PyObject* task_done(PyObject* self, PyObject*) {
  return PyBool_FromLong(of(self).waits_for == state::over);
}

PyObject* task_get_coro(PyObject* self, PyObject*) {
  auto* x = of(self).coroutine;
  return Py_NewRef(x != nullptr ? x : Py_None);
}

PyObject* task_get_loop(PyObject* self, PyObject*) {
  return is_made(self) ? Py_NewRef(of(self).turns->loop().ptr()) : nullptr;
}

PyMethodDef methods[]
  = {{"start", start, METH_NOARGS,
      "start($self, /)\n--\n\nGive it its first turn."},
     {"watch", watch, METH_NOARGS,
      "watch($self, /)\n--\n\nHave the coroutine process whose own code calls "
      "monitor it; False: it is none that calls."},
     {"cancel",
      reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(task_cancel)),
      METH_VARARGS | METH_KEYWORDS,
      "cancel($self, /, msg=None)\n--\n\nAs `asyncio.Task.cancel`."},
     {"cancelling", task_cancelling, METH_NOARGS,
      "cancelling($self, /)\n--\n\nAs `asyncio.Task.cancelling`."},
     {"uncancel", task_uncancel, METH_NOARGS,
      "uncancel($self, /)\n--\n\nAs `asyncio.Task.uncancel`."},
     {"done", task_done, METH_NOARGS,
      "done($self, /)\n--\n\nWhether its code has ended."},
     {"get_coro", task_get_coro, METH_NOARGS,
      "get_coro($self, /)\n--\n\nThe coroutine that is its code; None before "
      "its first turn and after its last."},
     {"get_loop", task_get_loop, METH_NOARGS,
      "get_loop($self, /)\n--\n\nThe event loop in whose thread it has its "
      "turns."},
     {nullptr, nullptr, 0, nullptr}};

PyObject* box_of(PyObject* self, void*) {
  native_call guard;
  if (!is_made(self))
    return nullptr;
  auto& p = of(self);
  if (p.box == nullptr) {
    try {
      p.box = py::cast(p.mailbox).release().ptr();
    } catch (...) {
      set_current_error();
      return nullptr;
    }
  }
  return Py_NewRef(p.box);
}

PyObject* pid_of(PyObject* self, void*) {
  return is_made(self) ? new_mark(of(self).mailbox->pid()) : nullptr;
}

PyObject* loop_of(PyObject* self, void*) {
  return task_get_loop(self, nullptr);
}

PyObject* coroutine_of(PyObject* self, void*) {
  return task_get_coro(self, nullptr);
}

PyGetSetDef properties[]
  = {{"box", box_of, nullptr, "Its mailbox.", nullptr},
     {"pid", pid_of, nullptr, "Its pid.", nullptr},
     {"_loop", loop_of, nullptr, "As `get_loop`.", nullptr},
     {"_coro", coroutine_of, nullptr, "As `get_coro`.", nullptr},
     {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {
  {"function", T_OBJECT, offsetof(process_type, function), READONLY, nullptr},
  {"monitor", T_OBJECT, offsetof(process_type, monitor), 0, nullptr},
  // As anyio reads them of tasks.
  {"_must_cancel", T_BOOL, offsetof(process_type, must_cancel), READONLY,
   nullptr},
  {"_fut_waiter", T_OBJECT, offsetof(process_type, future), READONLY, nullptr},
  {"told", T_BOOL, offsetof(process_type, told), 0, nullptr},
  {"follow_up", T_BOOL, offsetof(process_type, follow_up), 0, nullptr},
  {"__weaklistoffset__", T_PYSSIZET, offsetof(process_type, weak_references),
   READONLY, nullptr},
  {nullptr, 0, 0, 0, nullptr}};

/// What stands in a slot of a type.
template <class F>
void* slot(F* f) {
  return reinterpret_cast<void*>(f);
}

} // namespace

coroutine_process* as_coroutine_process(PyObject* x) noexcept {
  return PyObject_TypeCheck(x, type_object) != 0 ? &of(x) : nullptr;
}

std::shared_ptr<python_mailbox> spawned_caller() {
  PyObject* found = nullptr;
  if (PyContextVar_Get(python().owner, nullptr, &found) < 0)
    throw py::error_already_set();
  auto owner = py::reinterpret_steal<py::object>(found);
  if (owner.is_none()
      || reinterpret_cast<PyObject*>(Py_TYPE(found)) == python().owner_type)
    return nullptr;
  if (auto* p = as_coroutine_process(found);
      p != nullptr && p->mailbox->alive())
    return p->mailbox;
  auto box = made(PyObject_CallNoArgs(python().refuse_dead));
  return box.is_none() ? nullptr
                       : py::cast<std::shared_ptr<python_mailbox>>(box);
}

coroutine_process* whose_code() {
  auto* p = scheduler::running();
  if (p == nullptr)
    return nullptr;
  PyObject* owner = nullptr;
  if (PyContextVar_Get(python().owner, nullptr, &owner) < 0)
    throw py::error_already_set();
  Py_XDECREF(owner);
  return owner == reinterpret_cast<PyObject*>(p) ? p : nullptr;
}

void take_turn(coroutine_process* p) {
  auto hold = py::reinterpret_borrow<py::object>(as_object(p));
  if (p->waits_for == state::made || p->waits_for == state::over)
    return;
  guarded(p, [&] {
    if (!p->told && !p->mailbox->alive()) {
      p->told = true;
      if (p->waits_for == state::fresh)
        return end_of_code(p);
      auto reason = p->mailbox->end_reason();
      cancel(p, reason ? to_python(*reason).ptr() : Py_None);
    }
    if (p->waits_for != state::future && p->waits_for != state::others)
      go_on(p);
  });
}

void forget_timer(coroutine_process* p) noexcept {
  if (std::exchange(p->timed, false))
    p->turns->remove_timer(p->timer);
}

void raise_told(coroutine_process& p) {
  p.told = true;
  auto reason = p.mailbox->end_reason();
  auto text = reason ? to_python(*reason) : py::none();
  auto error = made(new_cancelled(&p, text.ptr()));
  PyErr_SetObject(p.turns->cancelled_error().ptr(), error.ptr());
  throw py::error_already_set();
}

namespace {

py::object own_box() {
  auto* p = whose_code();
  if (p == nullptr || !p->mailbox->alive())
    return py::none();
  return made(box_of(as_object(p), nullptr));
}

py::object own_pid() {
  auto* p = whose_code();
  if (p == nullptr || !p->mailbox->alive())
    return py::none();
  return made(new_mark(p->mailbox->pid()));
}

} // namespace

void bind_coroutine_process(py::module_& m) {
  PyType_Slot slots[]
    = {{Py_tp_doc,
        const_cast<char*>("Coroutine(turns, function, arguments, /)\n--\n\n"
                          "A process whose code is a coroutine.")},
       {Py_tp_new, slot(allocate)},
       {Py_tp_init, slot(make)},
       {Py_tp_dealloc, slot(deallocate)},
       {Py_tp_traverse, slot(traverse)},
       {Py_tp_clear, slot(clear)},
       {Py_tp_methods, methods},
       {Py_tp_members, members},
       {Py_tp_getset, properties},
       {0, nullptr}};
  PyType_Spec spec{
    "hornbeam._native.Coroutine", sizeof(process_type), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  auto type = made(PyType_FromModuleAndSpec(m.ptr(), &spec, nullptr));
  type_object = reinterpret_cast<PyTypeObject*>(type.ptr());
  m.attr("Coroutine") = type;
  def_fast<own_pid, "own_pid", "">(
    m, "The pid of the coroutine process whose own code calls, if that lives; "
       "else None.");
  def_fast<own_box, "own_box", "">(
    m, "The mailbox of the coroutine process whose own code calls, if that "
       "lives; else None.");
}

} // namespace hornbeam::pybridge
