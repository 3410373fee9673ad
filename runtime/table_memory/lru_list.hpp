#pragma once

#include <cstdint>
#include <vector>

namespace hornbeam::runtime {

/// An LRU list: the slots of a table in the exact order of their last use,
/// linked by their numbers. Not safe from several threads.
class lru_list {
public:
  static constexpr std::uint32_t nobody = UINT32_MAX;

  /// The one that was used least recently, or `nobody`.
  std::uint32_t oldest() const noexcept { return oldest_; }

  /// A slot that is not in the list.
  void add(std::uint32_t slot) {
    if (slot >= links_.size())
      links_.resize(slot + 1);
    links_[slot] = {newest_, nobody};
    (newest_ != nobody ? links_[newest_].newer : oldest_) = slot;
    newest_ = slot;
  }
  void touch(std::uint32_t slot) {
    if (slot == newest_)
      return;
    remove(slot);
    add(slot);
  }
  void remove(std::uint32_t slot) {
    auto [older, newer] = links_[slot];
    (older != nobody ? links_[older].newer : oldest_) = newer;
    (newer != nobody ? links_[newer].older : newest_) = older;
  }

private:
  struct link {
    std::uint32_t older = nobody;
    std::uint32_t newer = nobody;
  };
  std::vector<link> links_;
  std::uint32_t oldest_ = nobody;
  std::uint32_t newest_ = nobody;
};

} // namespace hornbeam::runtime
