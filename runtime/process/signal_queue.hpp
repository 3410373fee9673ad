#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "runtime/process/signal_pool.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// One message on its way to a process.
struct signal {
  explicit signal(term x) : body(std::move(x)) {}
  signal(term x, std::uint64_t alias_serial, bool is_last = false)
    : alias(alias_serial), last(is_last), body(std::move(x)) {}

  static void* operator new(std::size_t) { return signal_pool::allocate(); }
  static void operator delete(void* x) noexcept { signal_pool::release(x); }

  signal* next = nullptr;
  /// If not 0: came through this alias, and counts only while it is active.
  std::uint64_t alias = 0;
  bool last = false; ///< counts in any case, and ends the alias
  term body;
};

static_assert(sizeof(signal) <= signal_pool::block_size);

/// The messages of one process: an inbox that any thread pushes into without
/// a lock, and behind it the list that the owner searches, in the order of
/// arrival. The inbox also says whether the owner is at work or asleep, so
/// that exactly one push wakes it.
class signal_queue {
public:
  signal_queue() = default;
  signal_queue(const signal_queue&) = delete;
  signal_queue& operator=(const signal_queue&) = delete;
  ~signal_queue() {
    close();
    clear();
  }

  enum class pushed { taken, woke, refused };

  // -- any thread ------------------------------------------------------------

  /// `woke`: the owner sleeps and the caller must wake it. `refused`: the
  /// queue is closed and `x` is gone.
  pushed push(signal* x) noexcept {
    auto* old = inbox_.load(std::memory_order_relaxed);
    do {
      if (old == closed()) {
        delete x;
        return pushed::refused;
      }
      x->next = old == asleep() ? nullptr : old;
    } while (!inbox_.compare_exchange_weak(old, x, std::memory_order_acq_rel,
                                           std::memory_order_relaxed));
    pushed_.fetch_add(1, std::memory_order_relaxed);
    return old == asleep() ? pushed::woke : pushed::taken;
  }
  /// Wakes the owner without a message; true if the caller must do it.
  bool nudge() noexcept {
    auto* old = asleep();
    return inbox_.compare_exchange_strong(old, nullptr,
                                          std::memory_order_acq_rel);
  }
  /// Nothing is taken from here on. True if the owner sleeps.
  bool close() noexcept {
    auto* old = inbox_.exchange(closed(), std::memory_order_acq_rel);
    if (old == asleep())
      return true;
    if (old != closed())
      drop(old);
    return false;
  }
  bool sleeping() const noexcept {
    return inbox_.load(std::memory_order_relaxed) == asleep();
  }
  std::size_t size() const noexcept {
    auto n
      = static_cast<std::int32_t>(pushed_.load(std::memory_order_relaxed)
                                  - taken_.load(std::memory_order_relaxed));
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }

  // -- the owner -------------------------------------------------------------

  signal** first() noexcept { return &head_; }
  /// Where the next message will be.
  signal** last() noexcept { return tail_; }

  /// Moves what has come behind the list; false if nothing has. `keep` says
  /// whether a message that came through an alias is still wanted.
  template <class Keep>
  bool collect(Keep keep) {
    auto* chain = inbox_.load(std::memory_order_relaxed);
    do {
      if (chain == nullptr || chain == asleep() || chain == closed())
        return false;
    } while (!inbox_.compare_exchange_weak(
      chain, nullptr, std::memory_order_acquire, std::memory_order_relaxed));
    signal* in_order = nullptr;
    while (chain != nullptr) {
      auto* next = std::exchange(chain->next, in_order);
      in_order = std::exchange(chain, next);
    }
    while (in_order != nullptr) {
      auto* x = std::exchange(in_order, in_order->next);
      x->next = nullptr;
      if (x->alias != 0 && !keep(*x)) {
        forget(x);
        continue;
      }
      *tail_ = x;
      tail_ = &x->next;
    }
    return true;
  }
  /// Takes out the message at `at`, a place from `first` on.
  term take(signal** at) noexcept {
    auto* x = *at;
    *at = x->next;
    if (tail_ == &x->next)
      tail_ = at;
    auto body = std::move(x->body);
    forget(x);
    return body;
  }
  /// The owner goes to sleep; false if something has come, or it is closed.
  bool sleep() noexcept {
    signal* none = nullptr;
    return inbox_.compare_exchange_strong(
      none, asleep(), std::memory_order_acq_rel, std::memory_order_relaxed);
  }
  void clear() noexcept {
    drop(std::exchange(head_, nullptr));
    tail_ = &head_;
  }

private:
  static signal* asleep() noexcept { return reinterpret_cast<signal*>(1); }
  static signal* closed() noexcept { return reinterpret_cast<signal*>(2); }

  void forget(signal* x) noexcept {
    delete x;
    // Of the owner alone, or of who has closed the queue.
    taken_.store(taken_.load(std::memory_order_relaxed) + 1,
                 std::memory_order_relaxed);
  }
  void drop(signal* chain) noexcept {
    while (chain != nullptr)
      forget(std::exchange(chain, chain->next));
  }

  std::atomic<signal*> inbox_{nullptr};
  std::atomic<std::uint32_t> pushed_{0};
  std::atomic<std::uint32_t> taken_{0};
  signal* head_ = nullptr;
  signal** tail_ = &head_;
};

} // namespace hornbeam::runtime
