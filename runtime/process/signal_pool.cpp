#include "runtime/process/signal_pool.hpp"

#include <atomic>
#include <new>
#include <utility>

#include "runtime/base/small_mutex.hpp"

namespace hornbeam::runtime {

namespace {

struct block {
  block* next;
  block* next_bundle; ///< of the first block of a bundle in the depot
};
static_assert(sizeof(block) <= signal_pool::block_size);

constexpr unsigned bundle_size = 64;
constexpr unsigned most_bundles = 512; ///< 1.5 MiB

/// Bundles that one thread has left over for another. Whoever finds it locked
/// does without it: the lock may be a parent's that is gone since a fork.
struct depot {
  small_mutex mutex;
  block* bundles = nullptr;
  std::atomic<unsigned> count = 0;

  block* take() noexcept {
    if (count.load(std::memory_order_relaxed) == 0 || !mutex.try_lock())
      return nullptr;
    auto* x = bundles;
    if (x != nullptr) {
      bundles = x->next_bundle;
      --count;
    }
    mutex.unlock();
    return x;
  }
  bool give(block* x) noexcept {
    if (!mutex.try_lock())
      return false;
    bool room = count < most_bundles;
    if (room) {
      x->next_bundle = std::exchange(bundles, x);
      ++count;
    }
    mutex.unlock();
    return room;
  }
};
constinit depot shared;

void free_all(block* x) noexcept {
  while (x != nullptr)
    ::operator delete(std::exchange(x, x->next));
}

/// What a thread has at hand: up to two bundles, one of which it works on.
struct at_hand {
  block* first = nullptr;
  unsigned count = 0;
  block* spare = nullptr; ///< a whole bundle, or none
  bool over = false;      ///< the thread is ending: nothing is kept
  bool cleaned = false;   ///< at the end of the thread, by the cleaner
};
thread_local constinit at_hand mine;

/// Frees a thread's blocks when it ends; touched where time does not matter.
struct cleaner {
  bool touched = false;
  ~cleaner() {
    free_all(std::exchange(mine.first, nullptr));
    free_all(std::exchange(mine.spare, nullptr));
    mine.count = bundle_size; // so that nothing is put into the list
    mine.over = true;
  }
};
thread_local cleaner at_end;

} // namespace

void* signal_pool::allocate() {
  auto& m = mine;
  if (m.first == nullptr) [[unlikely]] {
    if (m.spare != nullptr) {
      m.first = std::exchange(m.spare, nullptr);
    } else if (!m.over) {
      at_end.touched = true;
      m.first = shared.take();
    }
    if (m.first == nullptr)
      return ::operator new(block_size);
    m.count = bundle_size;
  }
  --m.count;
  return std::exchange(m.first, m.first->next);
}

void signal_pool::release(void* memory) noexcept {
  auto& m = mine;
  if (m.count == bundle_size) [[unlikely]] {
    if (m.over) {
      ::operator delete(memory);
      return;
    }
    at_end.touched = true;
    if (m.spare != nullptr && !shared.give(m.spare))
      free_all(m.spare);
    m.spare = std::exchange(m.first, nullptr);
    m.count = 0;
  }
  // Some threads only free, and few.
  if (!m.cleaned) [[unlikely]]
    m.cleaned = at_end.touched = true;
  auto* x = static_cast<block*>(memory);
  x->next = std::exchange(m.first, x);
  ++m.count;
}

} // namespace hornbeam::runtime
