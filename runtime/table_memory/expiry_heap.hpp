#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/base/ticks.hpp"

namespace hornbeam::runtime {

/// An indexed binary heap of when the slots of a table expire: the earliest is
/// at the front, and it knows where each slot is in it. Not safe from several
/// threads.
class expiry_heap {
public:
  /// `never` if the slot has no end.
  ticks of(std::uint32_t slot) const noexcept {
    return has(slot) ? heap_[places_[slot]].first : never;
  }
  bool empty() const noexcept { return heap_.empty(); }
  /// The earliest; `never` if there is none.
  ticks next() const noexcept { return empty() ? never : heap_.front().first; }
  std::uint32_t front() const noexcept { return heap_.front().second; }

  /// `never` takes the slot out.
  void set(std::uint32_t slot, ticks at) {
    if (at == never)
      return erase(slot);
    if (has(slot)) {
      auto i = places_[slot];
      heap_[i].first = at;
      move_up(i);
      move_down(places_[slot]);
      return;
    }
    if (slot >= places_.size())
      places_.resize(slot + 1, nowhere);
    heap_.emplace_back(at, slot);
    places_[slot] = static_cast<std::uint32_t>(heap_.size() - 1);
    move_up(heap_.size() - 1);
  }

  void erase(std::uint32_t slot) {
    if (!has(slot))
      return;
    auto i = places_[slot];
    places_[slot] = nowhere;
    auto last = heap_.back();
    heap_.pop_back();
    if (i == heap_.size())
      return;
    put(i, last);
    move_up(i);
    move_down(places_[last.second]);
  }

private:
  using item = std::pair<ticks, std::uint32_t>;
  static constexpr std::uint32_t nowhere = UINT32_MAX;

  bool has(std::uint32_t slot) const noexcept {
    return slot < places_.size() && places_[slot] != nowhere;
  }
  void put(std::size_t i, const item& x) {
    heap_[i] = x;
    places_[x.second] = static_cast<std::uint32_t>(i);
  }
  void move_up(std::size_t i) {
    auto x = heap_[i];
    for (; i > 0 && x.first < heap_[(i - 1) / 2].first; i = (i - 1) / 2)
      put(i, heap_[(i - 1) / 2]);
    put(i, x);
  }
  void move_down(std::size_t i) {
    auto x = heap_[i];
    for (;;) {
      auto child = 2 * i + 1;
      if (child >= heap_.size())
        break;
      if (child + 1 < heap_.size()
          && heap_[child + 1].first < heap_[child].first)
        ++child;
      if (heap_[child].first >= x.first)
        break;
      put(i, heap_[child]);
      i = child;
    }
    put(i, x);
  }

  std::vector<item> heap_;
  std::vector<std::uint32_t> places_; ///< by slot
};

} // namespace hornbeam::runtime
