#include "pybridge/gil/gil.hpp"

#include <atomic>
#include <thread>

#include <pthread.h>
#include <unistd.h>

#include "runtime/base/blocking.hpp"
#include "runtime/base/wakeup_baton.hpp"

namespace hornbeam::pybridge {

namespace {

std::atomic<bool> closed{false};
std::thread::id closer;
/// Calls of our functions that are open, in all threads and in this one; an
/// open one of a parked thread counts as well. Changed with the lock held.
int open_calls = 0;
thread_local int own = 0;
/// How many of those belong to parked threads.
std::atomic<int> parked{0};

std::atomic<std::uint32_t> forks{0};
[[maybe_unused]] const int counts_forks = ::pthread_atfork(nullptr, nullptr,
                                                           [] { ++forks; });

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
  if (b == baton::pass)
    runtime::wakeup_baton::pass();
}

without_gil::~without_gil() noexcept(false) {
  if (must_park())
    park();
  into_python([this] {
    PyEval_RestoreThread(state_);
    return true;
  });
  if (must_park()) { // the gate has closed while this thread queued up
    PyEval_SaveThread();
    park();
  }
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
  while (open_calls - parked.load() > own) {
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
}

std::uint32_t fork_generation() noexcept {
  return forks.load(std::memory_order_relaxed);
}

bool is_main_thread() noexcept {
  return ::getpid() == ::gettid();
}

} // namespace hornbeam::pybridge
