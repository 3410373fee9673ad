#include "pybridge/scheduler/scheduler.hpp"

#include <stdexcept>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

#include "pybridge/scheduler/coroutine_process.hpp"
#include "pybridge/values/c_api.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

thread_local coroutine_process* runs_here = nullptr;

} // namespace

scheduler::scheduler(py::object loop, py::dict current_tasks,
                     py::object cancelled_error)
  : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
    loop_(std::move(loop)),
    current_tasks_(std::move(current_tasks)),
    cancelled_error_(std::move(cancelled_error)),
    empty_context_(made(PyContext_New())) {
  if (fd_ < 0)
    throw std::runtime_error("can't make an eventfd: too many open files?");
}

scheduler::~scheduler() {
  close();
}

void scheduler::close() noexcept {
  if (auto fd = std::exchange(fd_, -1); fd >= 0)
    ::close(fd);
}

void scheduler::add(process_ptr p) noexcept {
  lock_scope guard{mutex_};
  ready_.push_back(std::move(p));
  have_run_called();
}

/// With `mutex_`.
void scheduler::have_run_called() noexcept {
  if (!std::exchange(called_, true))
    ::eventfd_write(fd_, 1);
}

scheduler::timer_map::iterator scheduler::add_timer(clock::time_point at,
                                                    coroutine_process& p) {
  // A step that a future has caused is none of `run`, which tells the loop.
  if (!running_ && at < armed_) {
    lock_scope guard{mutex_};
    have_run_called();
  }
  return timers_.emplace(at, &p);
}

coroutine_process* scheduler::running() noexcept {
  return runs_here;
}

double scheduler::run() {
  running_ = true;
  auto again = run_here();
  running_ = false;
  return again;
}

double scheduler::run_here() {
  eventfd_t ignored = 0;
  ::eventfd_read(fd_, &ignored);
  until_ = clock::now() + slice;
  fire_timers();
  list work = std::exchange(rest_, {});
  for (;;) {
    if (work.empty()) {
      lock_scope guard{mutex_};
      if (ready_.empty()) {
        called_ = false;
        break;
      }
      work.swap(ready_);
    }
    if (!give_turns(work)) {
      rest_ = std::move(work);
      return 0;
    }
    if (created_in_ != fork_generation())
      return -1;
  }
  if (timers_.empty() || timers_.begin()->first >= armed_)
    return -1;
  armed_ = timers_.begin()->first;
  return std::max(0.0,
                  std::chrono::duration<double>(armed_ - clock::now()).count());
}

/// False if the time is over before all had their turn.
bool scheduler::give_turns(list& of) {
  for (std::size_t i = 0; i < of.size(); ++i) {
    if (++turns_ % 8 == 0 && clock::now() > until_) {
      of.erase(of.begin(), of.begin() + static_cast<std::ptrdiff_t>(i));
      return false;
    }
    auto p = std::move(of[i]);
    if (auto* code = attached_process::begin_turn(*p))
      take_turn(static_cast<coroutine_process*>(code));
    if (created_in_ != fork_generation())
      break;
  }
  of.clear();
  return true;
}

void scheduler::fire_timers() {
  auto now = clock::now();
  if (now >= armed_ - slice) // a loop may call a little too early
    armed_ = clock::time_point::max();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    auto* p = timers_.begin()->second;
    forget_timer(p);
    p->mailbox->ask_for_turn();
  }
}

scheduler::step_scope::step_scope(scheduler& s, coroutine_process& p) : s_(s) {
  if (PyDict_SetItem(s.current_tasks_.ptr(), s.loop_.ptr(),
                     reinterpret_cast<PyObject*>(&p))
      < 0)
    throw py::error_already_set();
  runs_here = &p;
}

scheduler::step_scope::~step_scope() {
  runs_here = nullptr;
  // What a step has raised stays raised.
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  if (PyDict_DelItem(s_.current_tasks_.ptr(), s_.loop_.ptr()) < 0)
    PyErr_Clear();
  PyErr_Restore(type, value, trace);
}

} // namespace hornbeam::pybridge
