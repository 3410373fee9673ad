#include "pybridge/calls/local_call.hpp"

#include <chrono>

#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/gil/engine.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

bool has_deadline() {
  PyObject* x = nullptr;
  if (PyContextVar_Get(python().deadline, nullptr, &x) < 0) {
    PyErr_Clear();
    return true;
  }
  auto some = x != nullptr && x != Py_None;
  Py_XDECREF(x);
  return some;
}

bool is_awaitable(PyObject* x) {
  auto* type = Py_TYPE(x);
  return (type->tp_as_async != nullptr
          && type->tp_as_async->am_await != nullptr)
         || (PyGen_CheckExact(x) != 0 // a generator may be marked as one
             && (reinterpret_cast<PyGenObject*>(x)->gi_code->co_flags
                 & CO_ITERABLE_COROUTINE)
                  != 0);
}

PyObject* find_local(bool is_hook, PyObject* name) {
  if (PyUnicode_CheckExact(name) == 0)
    return nullptr;
  auto* all = is_hook ? python().hooks : python().functions;
  auto* found = PyDict_GetItemWithError(all, name);
  if (found == nullptr)
    PyErr_Clear();
  return found;
}

local_handler& to_local_handler(PyObject* x) {
  auto* object = reinterpret_cast<py::detail::instance*>(x);
  return *object->get_value_and_holder().value_ptr<local_handler>();
}

std::optional<plain_target> find_plain(const python_handler& h,
                                       PyObject* action) {
  plain_target out;
  if (!h.by_method()) {
    out.function = py::reinterpret_borrow<py::object>(h.target());
    out.takes_action = action != nullptr;
    return out;
  }
  if (PyUnicode_GET_LENGTH(action) == 0
      || PyUnicode_READ_CHAR(action, 0) == '_')
    return std::nullopt;
  out.function = py::reinterpret_steal<py::object>(
    into_python([&] { return PyObject_GetAttr(h.target(), action); }));
  if (!out.function || PyCallable_Check(out.function.ptr()) == 0) {
    PyErr_Clear(); // the other way says it better
    return std::nullopt;
  }
  return out;
}

bool no_default_timeout() {
  static auto* name = PyUnicode_InternFromString("default_timeout_ms");
  return PyDict_GetItem(python().settings, name) == Py_None;
}

given_arguments collect(PyObject* const* args, Py_ssize_t n, PyObject* names,
                        Py_ssize_t skip) {
  given_arguments out{py::tuple(static_cast<std::size_t>(n - skip)), {}};
  for (auto i = skip; i < n; ++i)
    out.args[static_cast<std::size_t>(i - skip)] = py::handle{args[i]};
  for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i)
    out.kwargs[py::handle{PyTuple_GET_ITEM(names, i)}]
      = py::handle{args[n + i]};
  return out;
}

namespace {

/// The number in the context variable, or -1.
long depth_here() {
  PyObject* now = nullptr;
  if (PyContextVar_Get(python().depth, nullptr, &now) < 0 || now == nullptr) {
    PyErr_Clear();
    return -1;
  }
  auto depth = PyLong_AsLong(now);
  Py_DECREF(now);
  return depth;
}

} // namespace

long depth_of_call() {
  auto depth = depth_here();
  return depth < 0 || depth >= python().max_depth ? -1 : depth + 1;
}

namespace {

/// Adds one to the depth of the context while a handler runs.
class deeper {
public:
  /// False: this call needs more care, or is too deep.
  bool enter() {
    auto depth = depth_of_call();
    if (depth < 0)
      return false;
    auto* next = PyLong_FromLong(depth);
    token_ = next != nullptr ? PyContextVar_Set(python().depth, next) : nullptr;
    Py_XDECREF(next);
    if (token_ == nullptr)
      PyErr_Clear();
    return token_ != nullptr;
  }
  void leave() {
    if (auto* t = std::exchange(token_, nullptr)) {
      // The handler's own exception, if it raised, is kept.
      PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
      PyErr_Fetch(&type, &value, &trace);
      if (PyContextVar_Reset(python().depth, t) < 0)
        PyErr_Clear();
      PyErr_Restore(type, value, trace);
      Py_DECREF(t);
    }
  }

private:
  PyObject* token_ = nullptr;
};

/// Raises what a caller sees for what a handler raised.
PyObject* translate() {
  auto value = take_error();
  auto* never = into_python(
    [&] { return PyObject_CallOneArg(python().translate, value.ptr()); });
  Py_XDECREF(never);
  return nullptr;
}

/// `h` is kept by the caller: the handler may be replaced meanwhile.
PyObject* run(local_handler& h, PyObject* function, PyObject* const* args,
              Py_ssize_t n, PyObject* names) {
  using clock = std::chrono::steady_clock;
  auto& stats = h.served->stats();
  bool timing = stats.to_be_timed();
  auto began = timing ? clock::now() : clock::time_point{};
  auto* result = into_python(
    [&] { return PyObject_Vectorcall(function, args, n, names); });
  if (result != nullptr && is_awaitable(result)) {
    auto* value = into_python([&] {
      return PyObject_CallFunctionObjArgs(python().finish, h.by->self(), result,
                                          nullptr);
    });
    Py_DECREF(result);
    result = value;
  }
  stats.count(result != nullptr);
  if (timing)
    stats.add(clock::now() - began);
  return result != nullptr ? result : translate();
}

/// Calls a handler of this process, if it is a plain one: not bounded, no
/// deadline around, nothing wrong with the arguments. Null without an error:
/// it is not; `known` says whether there is one at all.
PyObject* call_here(bool is_hook, PyObject* const* args, Py_ssize_t n,
                    PyObject* names, bool& known) {
  if (n < 1 + is_hook || (!is_hook && names != nullptr) || has_deadline())
    return nullptr;
  auto* found = find_local(is_hook, args[0]);
  known = found != nullptr;
  if (!known || (is_hook && PyUnicode_CheckExact(args[1]) == 0))
    return nullptr;
  // To find a method is to run code, which may replace the handler.
  auto keep = py::reinterpret_borrow<py::object>(found);
  auto& h = to_local_handler(found);
  if (h.served->bounds() != nullptr)
    return nullptr;
  auto to = find_plain(*h.by, is_hook ? args[1] : nullptr);
  if (!to)
    return nullptr;
  deeper inside;
  if (!inside.enter())
    return nullptr;
  auto skip = Py_ssize_t{is_hook && !to->takes_action ? 2 : 1};
  auto* result = run(h, to->function.ptr(), args + skip, n - skip, names);
  inside.leave();
  return result;
}

/// Calls a handler in C++ of this process. False: the call needs more care.
bool call_native(actors::served_handler& h, actors::invocation& x,
                 PyObject* const* args, Py_ssize_t n, py::object& result) {
  if (h.never_blocks())
    return false;
  x.args.reserve(static_cast<std::size_t>(n));
  for (Py_ssize_t i = 0; i < n; ++i)
    x.args.push_back(to_term(args[i], "an argument"));
  if (auto answer = h.call(x)) {
    result = value_or_raise(*answer);
    return true;
  }
  // It may wait for a thread that wants Python's lock.
  result = value_or_raise(ask(
    [&](runtime::responder reply) { h.invoke(std::move(x), std::move(reply)); },
    {}, "the call"));
  return true;
}

/// Calls what is no Python handler of this process. False: the call needs more
/// care.
bool call_other(bool is_hook, PyObject* const* args, Py_ssize_t n,
                PyObject* names, py::object& result) {
  auto* app = engine::get().running();
  auto first = Py_ssize_t{1} + is_hook;
  if (app == nullptr || n < first || (!is_hook && names != nullptr)
      || !PyUnicode_CheckExact(args[0])
      || (is_hook && !PyUnicode_CheckExact(args[1])) || has_deadline())
    return false;
  auto depth = depth_of_call();
  if (depth < 0)
    return false;
  native_call guard;
  auto& all = is_hook ? app->hooks : app->functions;
  actors::invocation x;
  x.target = to_text(args[0], "the name");
  if (is_hook)
    x.action = to_text(args[1], "an action");
  x.depth = static_cast<std::uint32_t>(depth);
  if (auto h = all.local(x.target))
    return names == nullptr
           && call_native(*h, x, args + first, n - first, result);
  if (!no_default_timeout())
    return false;
  auto given = collect(args, n, names, first);
  x.args = to_sequence(given.args, "args");
  x.kwargs = to_entries(given.kwargs, "kwargs");
  result = value_or_raise(ask(
    [&](runtime::responder reply) {
      all.invoke_elsewhere(std::move(x), std::move(reply));
    },
    {}, all.scope() + " " + x.target));
  return true;
}

template <bool IsHook>
PyObject* entry(PyObject*, PyObject* const* args, Py_ssize_t n,
                PyObject* names) {
  bool known = false;
  auto* result = call_here(IsHook, args, n, names, known);
  if (result != nullptr || PyErr_Occurred() != nullptr)
    return result;
  try {
    py::object value;
    if (!known && call_other(IsHook, args, n, names, value))
      return value.release().ptr();
  } catch (...) {
    set_current_error();
    return nullptr;
  }
  auto* fallback = IsHook ? python().execute : python().call;
  return into_python(
    [&] { return PyObject_Vectorcall(fallback, args, n, names); });
}

} // namespace

void bind_local_calls(py::module_& m) {
  static PyMethodDef execute{
    "execute", as_method(entry<true>), METH_FASTCALL | METH_KEYWORDS,
    "execute($module, app_path, action, /, *args, **kwargs)\n--\n\n"
    "Run an action of a hook and return its result.\n\n"
    "Raises `NotFoundError` if no node has the hook or the action is unknown,\n"
    "`HandlerError` if the handler raised (locally with the original "
    "exception\n"
    "as `__cause__`), `NodeError` if its node goes down, `OverloadedError` if\n"
    "its queue is full, `HornbeamTimeout` if the deadline passes. All are\n"
    "RuntimeErrors."};
  static PyMethodDef call{
    "call", as_method(entry<false>), METH_FASTCALL | METH_KEYWORDS,
    "call($module, name, /, *args)\n--\n\n"
    "Call a registered function: of this node, else of a connected one.\n\n"
    "Raises as `hornbeam.hooks.execute` does."};
  add_method(m, execute);
  add_method(m, call);
}

} // namespace hornbeam::pybridge
