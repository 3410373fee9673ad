#include "pybridge/gil.hpp"

#include <atomic>
#include <thread>

#include <unistd.h>

namespace hornbeam::pybridge {

namespace {

std::atomic<bool> closed{false};
std::thread::id closer;
/// Threads in our functions that do not wait. Read and written under the lock.
int inside = 0;
/// Threads that have seen the gate open and are about to take the lock.
std::atomic<int> waking{0};

[[noreturn]] void park() {
  for (;;)
    ::pause();
}

bool must_park() {
  return closed.load() && std::this_thread::get_id() != closer;
}

} // namespace

native_call::native_call() {
  if (must_park()) {
    PyEval_SaveThread();
    park();
  }
  ++inside;
}

native_call::~native_call() {
  --inside;
}

without_gil::~without_gil() {
  // First count, then look: `close_gate` sets the flag, then reads the count.
  waking.fetch_add(1);
  if (must_park()) {
    waking.fetch_sub(1);
    park();
  }
  PyEval_RestoreThread(state_);
  waking.fetch_sub(1);
  ++inside;
}

without_gil::without_gil() {
  --inside;
  state_ = PyEval_SaveThread();
}

void close_gate(std::chrono::milliseconds patience) {
  closer = std::this_thread::get_id();
  closed.store(true);
  auto until = std::chrono::steady_clock::now() + patience;
  // Whoever waits has given the lock back and will park. Whoever is inside
  // or waking is in bounded code of ours and leaves soon.
  do {
    auto* state = PyEval_SaveThread();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    PyEval_RestoreThread(state);
  } while (waking.load() + inside - 1 > 0 // but for this thread
           && std::chrono::steady_clock::now() < until);
}

void open_gate() {
  closed.store(false);
  waking.store(0);
  inside = 0;
}

bool gate_closed() noexcept {
  return closed.load();
}

bool is_main_thread() noexcept {
  return ::getpid() == ::gettid();
}

} // namespace hornbeam::pybridge
