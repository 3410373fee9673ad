#pragma once

#include <atomic>
#include <cstdint>

namespace hornbeam::runtime {

/// A mutex of four bytes for objects that exist by the million. Waits on a
/// futex; recursive locking deadlocks as with `std::mutex`.
class small_mutex {
public:
  void lock() noexcept {
    std::uint32_t free = 0;
    if (state_.compare_exchange_strong(free, locked, std::memory_order_acquire))
      return;
    while (state_.exchange(contended, std::memory_order_acquire) != 0)
      state_.wait(contended, std::memory_order_relaxed);
  }
  bool try_lock() noexcept {
    std::uint32_t free = 0;
    return state_.compare_exchange_strong(free, locked,
                                          std::memory_order_acquire);
  }
  void unlock() noexcept {
    if (state_.exchange(0, std::memory_order_release) == contended)
      state_.notify_one();
  }

private:
  static constexpr std::uint32_t locked = 1;
  static constexpr std::uint32_t contended = 2;
  std::atomic<std::uint32_t> state_{0};
};

} // namespace hornbeam::runtime
