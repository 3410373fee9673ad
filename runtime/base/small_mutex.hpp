#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::runtime {

/// A mutex of four bytes for objects that exist by the million. Waits on a
/// futex; recursive locking deadlocks as with `std::mutex`. Has no place in the
/// order of the others, but counts as one that is held.
class small_mutex {
public:
  void lock() noexcept {
    lock_check::locked(lock_rank::small);
    std::uint32_t free = 0;
    if (state_.compare_exchange_strong(free, locked, std::memory_order_acquire))
      return;
    while (state_.exchange(contended, std::memory_order_acquire) != 0)
      state_.wait(contended, std::memory_order_relaxed);
  }
  bool try_lock() noexcept {
    std::uint32_t free = 0;
    bool got = state_.compare_exchange_strong(free, locked,
                                              std::memory_order_acquire);
    if (got)
      lock_check::locked(lock_rank::small);
    return got;
  }
  void unlock() noexcept {
    lock_check::unlocked(lock_rank::small);
    if (state_.exchange(0, std::memory_order_release) == contended)
      state_.notify_one();
  }

private:
  static constexpr std::uint32_t locked = 1;
  static constexpr std::uint32_t contended = 2;
  std::atomic<std::uint32_t> state_{0};
};

} // namespace hornbeam::runtime
