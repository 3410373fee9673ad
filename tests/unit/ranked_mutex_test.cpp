#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <thread>

#include "child_process.hpp"
#include "runtime/base/fork.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/base/small_mutex.hpp"

using namespace hornbeam::runtime;
using hornbeam::testing::child_process;

namespace {

ranked_mutex<lock_rank::tables> outer;
ranked_mutex<lock_rank::table_owner> inner;

/// Whether a process that does `f` is ended by the check of locks.
bool refused(const std::function<void()>& f) {
  return child_process{[&] {
           ::signal(SIGABRT, SIG_DFL); // not Catch's report
           ::close(STDERR_FILENO);
           f();
           return 0;
         }}.wait()
         == -SIGABRT;
}

} // namespace

TEST_CASE("mutexes are locked in the order of their ranks") {
  CHECK_FALSE(refused([] {
    lock_scope a{outer};
    lock_scope b{inner};
  }));
}

#ifdef HORNBEAM_CHECK_LOCKS

TEST_CASE("a mutex of a lower or the same rank ends the program") {
  CHECK(refused([] {
    lock_scope a{inner};
    lock_scope b{outer};
  }));
  CHECK(refused([] {
    ranked_mutex<lock_rank::tables> other;
    lock_scope a{outer};
    lock_scope b{other};
  }));
}

TEST_CASE("whoever tries only may do so in any order") {
  CHECK_FALSE(refused([] {
    lock_scope a{inner};
    if (outer.try_lock())
      outer.unlock();
  }));
}

TEST_CASE("Python's lock is not given back under any mutex") {
  CHECK_FALSE(refused([] { lock_check::require_none("going on"); }));
  CHECK(refused([] {
    lock_scope a{outer};
    lock_check::require_none("giving Python's lock back");
  }));
  CHECK(refused([] {
    small_mutex small;
    lock_scope a{small};
    lock_check::require_none("giving Python's lock back");
  }));
}

#endif

TEST_CASE("a condition gives a ranked mutex back while it waits") {
  ranked_mutex<lock_rank::tables> mutex;
  ranked_condition changed;
  bool ready = false;
  std::thread other{[&] {
    lock_scope guard{mutex};
    ready = true;
    changed.notify_all();
  }};
  std::unique_lock lock{mutex};
  changed.wait(lock, [&] { return ready; });
  CHECK(lock.owns_lock());
  lock.unlock();
  other.join();
}

TEST_CASE("a forked child is of another generation") {
  auto mine = fork_generation();
  CHECK(
    child_process{[&] { return fork_generation() == mine + 1 ? 0 : 1; }}.wait()
    == 0);
  CHECK(fork_generation() == mine);
}
