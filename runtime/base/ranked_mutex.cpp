#include "runtime/base/ranked_mutex.hpp"

#ifdef HORNBEAM_CHECK_LOCKS

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include <execinfo.h>
#include <unistd.h>

namespace hornbeam::runtime::lock_check {

namespace {

/// The ranks that this thread holds, in the order in which it took them.
struct held_ranks {
  std::array<lock_rank, 32> ranks;
  std::size_t size = 0;
  std::size_t small = 0; ///< those without a place in the order
  bool suspended = false;
};
thread_local held_ranks held;

[[noreturn]] void fail(const char* what, int rank) {
  std::fprintf(stderr, "hornbeam: lock order: %s", what);
  if (rank >= 0)
    std::fprintf(stderr, " %d", rank);
  std::fprintf(stderr, " while holding ranks");
  for (std::size_t i = 0; i < held.size; ++i)
    std::fprintf(stderr, " %d", static_cast<int>(held.ranks[i]));
  if (held.small > 0)
    std::fprintf(stderr, " and %zu small ones", held.small);
  std::fprintf(stderr, " (see lock_rank in runtime/base/ranked_mutex.hpp)\n");
  std::array<void*, 32> frames;
  ::backtrace_symbols_fd(frames.data(), ::backtrace(frames.data(), 32),
                         STDERR_FILENO);
  std::abort();
}

} // namespace

void before_lock(lock_rank x) {
  if (held.suspended)
    return;
  for (std::size_t i = 0; i < held.size; ++i)
    if (held.ranks[i] >= x)
      fail("locking rank", static_cast<int>(x));
}

void locked(lock_rank x) {
  if (held.suspended)
    return;
  if (x == lock_rank::small) {
    ++held.small;
    return;
  }
  if (held.size == held.ranks.size())
    fail("too many mutexes, rank", static_cast<int>(x));
  held.ranks[held.size++] = x;
}

void unlocked(lock_rank x) noexcept {
  if (x == lock_rank::small) {
    held.small -= held.small > 0; // 0: taken around a fork
    return;
  }
  auto* end = held.ranks.begin() + held.size;
  auto* i = std::find(held.ranks.begin(), end, x);
  if (i == end)
    return; // taken around a fork
  std::copy(i + 1, end, i);
  --held.size;
}

void require_none(const char* what) {
  if (held.size + held.small != 0 && !held.suspended)
    fail(what, -1);
}

void suspend(bool x) noexcept {
  held.suspended = x;
}

} // namespace hornbeam::runtime::lock_check

#endif
