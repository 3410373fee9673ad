#pragma once

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "runtime/table_memory/table.hpp"

namespace hornbeam::runtime {

/// A scope with some shards of the table locked (striped locks, taken in the
/// order of their numbers), and what is to be done when they are not any more:
/// values are destroyed and watchers called without a lock.
class memory_table::held {
public:
  held(const memory_table& t, std::uint64_t shards) : t_(t), shards_(shards) {
    for_each([this](shard& s) {
      s.mutex.lock();
      if (s.expiry) [[unlikely]]
        t_.purge(*this, s, SIZE_MAX);
    });
  }
  ~held() {
    for_each([](shard& s) { s.mutex.unlock(); });
    if (noted_)
      t_.watchers_.deliver();
    if (due_ != never)
      t_.arm(due_);
  }
  held(const held&) = delete;
  held& operator=(const held&) = delete;

  template <class F>
  void for_each(F f) const {
    for (auto left = shards_; left != 0; left &= left - 1)
      f(t_.shards_[std::countr_zero(left)]);
  }
  void note(table_event x) {
    t_.watchers_.note(std::move(x));
    noted_ = true;
  }
  void keep(std::pair<term, term> gone) { garbage_.push_back(std::move(gone)); }
  void expires(ticks at) { due_ = std::min(due_, at); }

private:
  const memory_table& t_;
  const std::uint64_t shards_;
  std::vector<std::pair<term, term>> garbage_;
  ticks due_ = never;
  bool noted_ = false;
};

} // namespace hornbeam::runtime
