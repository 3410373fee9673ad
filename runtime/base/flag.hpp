#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hornbeam::runtime {

/// A flag that threads can wait for. To wait is one system call, and to set it
/// is one only if somebody waits: a condition variable needs another for its
/// mutex after each wait.
class flag {
public:
  using clock = std::chrono::steady_clock;

  bool is_set() const noexcept { return word_ != 0; }
  /// Those who wait must have gone, or find it set again.
  void clear() noexcept { word_ = 0; }
  void set() noexcept {
    if (set_without_waking())
      wake();
  }
  /// The same in two steps; true if somebody must be woken, which is said once.
  bool set_without_waking() noexcept {
    return word_.exchange(1) == 0 && waiting_ != 0;
  }
  void wake() noexcept { wake(this); }
  /// Only where it is matters: it may be gone.
  static void wake(flag* x) noexcept {
    ::syscall(SYS_futex, &x->word_, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr,
              nullptr, 0);
  }
  /// False if it was not set before `until`.
  bool wait_until(clock::time_point until) noexcept {
    using std::chrono::nanoseconds;
    using std::chrono::seconds;
    timespec at{};
    if (until != clock::time_point::max()) {
      auto since = until.time_since_epoch();
      if (since < clock::duration::zero())
        since = {};
      auto s = std::chrono::duration_cast<seconds>(since);
      at = {s.count(), nanoseconds{since - s}.count()};
    }
    ++waiting_;
    while (word_ == 0) {
      auto* end = until == clock::time_point::max() ? nullptr : &at;
      // The clock of an absolute time is the one that steady_clock reads.
      if (::syscall(SYS_futex, &word_, FUTEX_WAIT_BITSET_PRIVATE, 0, end,
                    nullptr, FUTEX_BITSET_MATCH_ANY)
            < 0
          && errno == ETIMEDOUT)
        break;
    }
    --waiting_;
    return word_ != 0;
  }

private:
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
  std::atomic<std::uint32_t> word_{0};
  std::atomic<std::uint32_t> waiting_{0};
};

} // namespace hornbeam::runtime
