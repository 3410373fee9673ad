#include "pybridge/gil/gil.hpp"

#include <atomic>
#include <thread>

#include <unistd.h>

#include "runtime/base/blocking.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/base/wakeup_baton.hpp"

namespace hornbeam::pybridge {

namespace {

std::atomic<bool> closed{false};
std::thread::id closer;
/// Calls of our functions that are open, in all threads and in this one; an
/// open one of a parked thread counts as well. Changed with the lock held.
int open_calls = 0;
thread_local int own = 0;
/// How many of those belong to parked threads, and to threads that sleep.
std::atomic<int> parked{0};
std::atomic<int> sleeping{0};

bool must_park() {
  return closed.load() && std::this_thread::get_id() != closer;
}

} // namespace

void park() {
  parked.fetch_add(own);
  for (;;)
    ::pause();
}

native_call::native_call() {
  if (must_park()) {
    PyEval_SaveThread();
    park();
  }
  ++open_calls;
  ++own;
}

native_call::~native_call() {
  --open_calls;
  --own;
}

without_gil::without_gil(baton b) : state_(PyEval_SaveThread()) {
  runtime::lock_check::require_none("giving Python's lock back");
  if (b == baton::pass)
    runtime::wakeup_baton::pass();
}

without_gil::~without_gil() noexcept(false) {
  runtime::lock_check::require_none("taking Python's lock");
  if (must_park())
    park();
  into_python([this] {
    PyEval_RestoreThread(state_);
    return true;
  });
  if (must_park()) { // the shutdown has begun while this thread queued up
    PyEval_SaveThread();
    park();
  }
}

asleep_scope::asleep_scope() noexcept {
  sleeping.fetch_add(own);
}

asleep_scope::~asleep_scope() {
  sleeping.fetch_sub(own);
}

void release_gil_in_waits() {
  static const runtime::blocking_hook hook{
    []() -> void* {
      bool held = Py_IsInitialized() != 0 && PyGILState_Check() == 1;
      return held ? new without_gil : nullptr;
    },
    [](void* held) { delete static_cast<without_gil*>(held); }};
  runtime::set_blocking_hook(&hook);
}

void begin_shutdown() {
  closer = std::this_thread::get_id();
  closed.store(true);
}

bool wait_for_open_calls(std::chrono::milliseconds patience) {
  auto until = std::chrono::steady_clock::now() + patience;
  while (open_calls - parked.load() - sleeping.load() > own) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    auto* state = PyEval_SaveThread();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    PyEval_RestoreThread(state);
  }
  return true;
}

bool shutting_down() noexcept {
  return closed.load();
}

void reset_shutdown() {
  closed.store(false);
  open_calls = own;
  parked.store(0);
  sleeping.store(0);
}

bool is_main_thread() noexcept {
  struct answer {
    bool main = ::getpid() == ::gettid();
    std::uint32_t in = fork_generation();
  };
  thread_local answer known;
  if (known.in != fork_generation())
    known = {}; // the thread that forked is the child's main one
  return known.main;
}

} // namespace hornbeam::pybridge
