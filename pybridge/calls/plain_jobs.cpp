#include "pybridge/calls/plain_jobs.hpp"

#include <chrono>
#include <optional>
#include <tuple>
#include <utility>

#include "actors/task.hpp"
#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/calls/local_call.hpp"
#include "pybridge/gil/engine.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"
#include "pybridge/values/memory_of.hpp"
#include "runtime/net/event_loop.hpp"
#include "runtime/term/term_size.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

template <class... Ts>
py::object call_python(PyObject* f, const Ts&... args) {
  return made(into_python([&] {
    return PyObject_CallFunctionObjArgs(f, py::handle{args}.ptr()..., nullptr);
  }));
}

/// A context that is nobody else's, around a call: what a handler sets is gone
/// after it.
class own_context {
public:
  explicit own_context(py::object context) : context_(std::move(context)) {
    if (PyContext_Enter(context_.ptr()) < 0)
      throw py::error_already_set();
  }
  ~own_context() { PyContext_Exit(context_.ptr()); }
  const py::object& get() const { return context_; }
  own_context(const own_context&) = delete;
  own_context& operator=(const own_context&) = delete;

  void set(PyObject* variable, const py::object& x) {
    made(PyContextVar_Set(variable, x.ptr()));
  }

private:
  py::object context_;
};

/// What a job calls.
struct plain_call {
  plain_target target;
  py::tuple args;
  py::object kwargs; ///< null: none
  long depth = 0;
  py::object context; ///< that of who submitted a task; null: an empty one
};

/// A task of this process, as `hornbeam.tasks` keeps it until it begins:
/// (served, name, action, args, kwargs, until, depth, context).
struct waiting_task {
  explicit waiting_task(const job& x)
    : id(text_to_python(x.call.target)),
      call(py::reinterpret_borrow<py::object>(
        PyDict_GetItemWithError(python().calls, id.ptr()))) {}

  py::handle served() const { return PyTuple_GET_ITEM(call.ptr(), 0); }
  local_handler& handler() const { return to_local_handler(served().ptr()); }

  py::object id;
  py::object call; ///< null: there is none
};

std::optional<plain_call> call_of_task(const waiting_task& x) {
  if (!x.call || PyTuple_GET_ITEM(x.call.ptr(), 5) != Py_None // a deadline
      || x.handler().served->bounds() != nullptr)
    return std::nullopt;
  auto all = py::reinterpret_borrow<py::tuple>(x.call);
  auto target = find_plain(*x.handler().by, py::object(all[2]).ptr());
  if (!target)
    return std::nullopt;
  plain_call out{std::move(*target), all[3], all[4],
                 PyLong_AsLong(py::object(all[6]).ptr()), all[7]};
  if (out.target.takes_action)
    out.args = py::make_tuple(all[2]) + out.args;
  return out;
}

std::optional<plain_call> call_of_request(const job& x, bool is_hook) {
  auto action = text_to_python(x.call.action);
  auto target = find_plain(*x.by, is_hook ? action.ptr() : nullptr);
  if (!target)
    return std::nullopt;
  std::size_t next = target->takes_action ? 1 : 0;
  plain_call out{std::move(*target),
                 py::tuple(next + x.call.args.size()),
                 {},
                 static_cast<long>(x.call.depth),
                 {}};
  if (next != 0)
    out.args[0] = std::move(action);
  for (auto& arg : x.call.args)
    out.args[next++] = to_python(arg);
  if (!x.call.kwargs.empty())
    out.kwargs = to_python(term::map(x.call.kwargs));
  return out;
}

py::object as_python(job&& x) {
  return py::cast(std::move(x));
}

void end_task(job& x, bool ok, const py::object& value) {
  auto id = text_to_python(x.call.target);
  auto result = made(PyTuple_Pack(2, ok ? Py_True : Py_False, value.ptr()));
  if (PyDict_SetItem(python().results, id.ptr(), result.ptr()) < 0)
    throw py::error_already_set();
  job_queue::get().answer(
    [&to = node().tasks, id = x.call.target, ok, bytes = memory_of(value)] {
      to.finish(id, {{}, std::make_shared<python_result>(id, bytes), !ok});
    });
}

void end_request(job& x, bool ok, const py::object& value) {
  if (ok) {
    try {
      job_queue::get().answer(
        [to = x.reply, result = to_term(value, "result")] { (*to)(result); });
    } catch (...) { // it is no term
      set_current_error();
      call_python(python().fail, as_python(std::move(x)), take_error());
    }
  } else {
    call_python(python().fail, as_python(std::move(x)), value);
  }
}

/// The context in which a job runs.
class job_context : public own_context {
public:
  job_context(const job& x, const py::object& owner, const plain_call& c)
    : own_context(c.context ? c.context : made(PyContext_New())) {
    auto& p = python();
    if (c.context) { // with what its submitter has to do with us
      if (has_deadline())
        set(p.deadline, py::none());
      set(p.permits, py::tuple());
    }
    set(p.owner, owner);
    set(p.depth, py::int_(c.depth));
    if (x.call.task)
      set(p.task, task_of(x));
    if (!x.call.until.infinite())
      set(p.deadline, py::make_tuple(std::chrono::duration<double>(
                                       x.call.until.at.time_since_epoch())
                                       .count()));
  }
};

/// What a handler returns or raises.
std::pair<bool, py::object> call_handler(const plain_call& c) {
  auto* result = into_python([&] {
    return PyObject_Call(c.target.function.ptr(), c.args.ptr(), c.kwargs.ptr());
  });
  if (result == nullptr)
    return {false, take_error()};
  return {true, py::reinterpret_steal<py::object>(result)};
}

/// As its method of that name, which few need.
void close_owner(const py::object& owner) {
  static auto* over = PyUnicode_InternFromString("over");
  static auto* box_name = PyUnicode_InternFromString("box");
  if (PyObject_SetAttr(owner.ptr(), over, Py_True) < 0)
    throw py::error_already_set();
  auto box = made(PyObject_GetAttr(owner.ptr(), box_name));
  if (!box.is_none())
    call_python(made(PyObject_GetAttrString(owner.ptr(), "close")).ptr());
}

/// Runs the handler. None if it goes on as a coroutine.
std::optional<std::pair<bool, py::object>> run_handler(
  job& x, const plain_call& c, const waiting_task* task) {
  auto& p = python();
  py::object owner = call_python(p.owner_type);
  py::object value;
  bool ok = false;
  bool goes_on = false;
  {
    job_context here{x, owner, c};
    std::tie(ok, value) = call_handler(c);
    if (ok && is_awaitable(value.ptr())) {
      try {
        if (task != nullptr)
          call_python(p.go_on_task, task->id, value, task->served(), owner);
        else
          call_python(p.go_on, as_python(job{x}), value, owner);
        goes_on = true;
      } catch (py::error_already_set& e) {
        e.restore();
        value = take_error();
        ok = false;
      }
    }
  }
  if (goes_on)
    return std::nullopt;
  close_owner(owner);
  return std::pair{ok, std::move(value)};
}

/// Takes chunks of a generator while there is credit. False: it has not ended.
bool run_generator(job& x, const py::object& generator) {
  auto next = Py_TYPE(generator.ptr())->tp_iternext;
  do {
    if (!x.source->take_credit())
      return false;
    auto* chunk = into_python([&] { return next(generator.ptr()); });
    if (x.created_in != fork_generation()) {
      Py_XDECREF(chunk);
      PyErr_Clear();
      return false;
    }
    if (chunk == nullptr) {
      if (PyErr_Occurred() != nullptr
          && PyErr_ExceptionMatches(PyExc_StopIteration) == 0)
        throw py::error_already_set();
      PyErr_Clear();
      end_stream(x);
      return true;
    }
    send_chunk(x, py::reinterpret_steal<py::object>(chunk));
  } while (x.source->has_credit());
  return false;
}

/// Begins a stream. What is no generator, and one that has to wait for credit,
/// goes on in Python.
bool begin_stream(job& x) {
  if (!x.source->fresh())
    return false;
  std::optional<plain_call> c;
  try {
    c = call_of_request(x, true);
  } catch (py::error_already_set&) {
    return false; // the other way says it better
  }
  if (!c)
    return false;
  auto& p = python();
  py::object owner = call_python(p.owner_type);
  py::object context;
  py::object value;
  bool ok = false;
  bool over = false;
  {
    job_context here{x, owner, *c};
    context = here.get();
    std::tie(ok, value) = call_handler(*c);
    over = !ok;
    if (ok && PyGen_CheckExact(value.ptr()) != 0) {
      try {
        over = run_generator(x, value);
      } catch (...) {
        set_current_error();
        value = take_error(); // the generator ends
        ok = false;
        over = true;
      }
    }
  }
  if (x.created_in != fork_generation()) { // a child, in which the parent's
                                           // stream does not end
    static_cast<void>(value.release());
    return true;
  }
  if (!over) {
    call_python(p.go_on_stream, as_python(std::move(x)), value, owner, context);
    return true;
  }
  if (!ok)
    call_python(p.fail, as_python(std::move(x)), value);
  close_owner(owner);
  return true;
}

} // namespace

void send_chunk(job& x, py::handle value) {
  auto t = to_term(value, "chunk");
  if (x.created_in != fork_generation())
    return;
  // To encode what is small takes less than to give Python's lock back.
  constexpr std::size_t small = std::size_t{16} << 10;
  std::optional<without_gil> free;
  std::optional<event_loop::send_now_scope> here;
  // Somebody waits for the first one; others are sent together.
  bool first = x.source->begins();
  if (first || bytes_of(t) > small)
    free.emplace();
  if (first)
    here.emplace();
  x.source->sink().chunk(std::move(t));
}

void end_stream(job& x) {
  if (x.created_in == fork_generation())
    job_queue::get().answer([source = x.source] { source->sink().end(); });
}

namespace {

bool run(job& x) {
  if (x.created_in != fork_generation() || x.call.permit)
    return false;
  if (x.kind == "stream")
    return begin_stream(x);
  bool is_task = x.kind == "local";
  bool is_hook = is_task || x.kind == "hook";
  if (!is_hook && x.kind != "function")
    return false;
  std::optional<waiting_task> task;
  std::optional<plain_call> c;
  try {
    if (is_task)
      task.emplace(x);
    c = is_task ? call_of_task(*task) : call_of_request(x, is_hook);
  } catch (py::error_already_set&) {
    return false; // the other way says it better
  }
  if (!c || (x.call.task && !x.call.task->begin()))
    return false;
  if (is_task)
    PyDict_DelItem(python().calls, task->id.ptr());
  auto* stats = is_task ? &task->handler().served->stats() : nullptr;
  bool timing = is_task && stats->to_be_timed();
  auto began = timing ? clock::now() : clock::time_point{};
  auto result = run_handler(x, *c, task ? &*task : nullptr);
  if (!result
      || x.created_in
           != fork_generation()) // else a child, and the parent's job
    return true;
  if (is_task) { // other calls are counted where they came in
    stats->count(result->first);
    if (timing)
      stats->add(clock::now() - began);
    end_task(x, result->first, result->second);
  } else {
    end_request(x, result->first, result->second);
  }
  return true;
}

} // namespace

bool run_plain(job& x) {
  auto source = x.source; // the job may be given away
  auto reply = x.reply;
  auto task = x.kind == "local" ? x.call.target : std::string{};
  try {
    return run(x);
  } catch (...) { // as without memory: the thread must go on
    auto f = current_failure();
    f.code = error_code::internal;
    PyErr_Clear();
    if (source)
      source->sink().fail(f);
    else if (reply)
      (*reply)(f);
    else if (!task.empty())
      node().tasks.finish(task, {f, nullptr});
    return true;
  }
}

void drop_unused() {
  for (auto& id : job_queue::get().forgotten())
    if (PyDict_DelItem(python().results, text_to_python(id).ptr()) < 0)
      PyErr_Clear();
  for (auto* x : job_queue::get().dropped())
    Py_DECREF(x);
}

namespace {

PyObject* execute_async(PyObject*, PyObject* const* args, Py_ssize_t n,
                        PyObject* names) {
  auto& p = python();
  auto* app = engine::get().running();
  auto depth = app != nullptr ? depth_of_call() : -1;
  auto* served = n >= 2 ? find_local(true, args[0]) : nullptr;
  if (depth < 0 || served == nullptr || PyUnicode_CheckExact(args[1]) == 0
      || has_deadline() || !no_default_timeout()
      || !job_queue::get().attended())
    return into_python(
      [&] { return PyObject_Vectorcall(p.execute_async, args, n, names); });
  native_call guard;
  try {
    auto given = collect(args, n, names, 2);
    auto id = app->tasks.make_id(app->node->name());
    auto out = text_to_python(id);
    auto call = made(PyTuple_Pack(
      8, served, args[0], args[1], given.args.ptr(), given.kwargs.ptr(),
      Py_None, py::int_(depth).ptr(), made(PyContext_CopyCurrent()).ptr()));
    if (PyDict_SetItem(p.calls, out.ptr(), call.ptr()) < 0)
      throw py::error_already_set();
    submit_local_task(*app, id, to_text(args[0], "the name"),
                      to_text(args[1], "an action"));
    return out.release().ptr();
  } catch (...) {
    set_current_error();
    return nullptr;
  }
}

py::object await_result(py::handle id, py::handle timeout_ms) {
  auto& p = python();
  auto* app = engine::get().running();
  auto timeout = timeout_ms ? py::reinterpret_borrow<py::object>(timeout_ms)
                            : py::object(py::int_(30000));
  if (app == nullptr || PyUnicode_CheckExact(id.ptr()) == 0 || has_deadline()
      || !job_queue::get().attended())
    return call_python(p.await_result, id, timeout);
  auto text = to_text(id, "a task id");
  auto me = app->node->name();
  if (text.rfind('/') != me.size() || !text.starts_with(me))
    return call_python(p.await_result, id, timeout);
  auto until = to_deadline(timeout);
  actors::local_result_ptr local;
  auto x = wait_for_task(*app, text, until, local);
  if (!local)
    return value_or_raise(x);
  auto* found = PyDict_GetItemWithError(p.results, id.ptr());
  if (found == nullptr || PyTuple_GET_ITEM(found, 0) != Py_True)
    return call_python(p.local_result, id);
  return py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(found, 1));
}

} // namespace

void bind_plain_jobs(py::module_& m) {
  static PyMethodDef def{
    "execute_async", as_method(execute_async), METH_FASTCALL | METH_KEYWORDS,
    "execute_async($module, app_path, action, /, *args, **kwargs)\n--\n\n"
    "Start an action of a hook and return the id of the task at once.\n\n"
    "Raises `NotFoundError` if no node has the hook. What the handler raises\n"
    "is raised by `await_result`."};
  add_method(m, def);
  def_fast<await_result, "await_result", "task_id, timeout_ms=30000">(
    m, "Wait for a task and return its result.\n\n"
       "Raises `HornbeamTimeout` if it does not end in time (it goes on and\n"
       "can be waited for again), `HandlerError` if it failed,\n"
       "`TaskCancelled` if it was cancelled, `NotFoundError` if it is unknown\n"
       "or no longer kept, `NodeError` if its node has gone.");
}

} // namespace hornbeam::pybridge
