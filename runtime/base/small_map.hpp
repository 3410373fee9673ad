#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hornbeam::runtime {

/// A map for what is mostly empty or has a few entries, and now and then a
/// hundred thousand: a vector that is searched from its end, where the newest
/// are, and from `indexed` entries on a hash index beside it. Entries have no
/// order, and any change may move them.
template <class Key, class Value, class Hash = std::hash<Key>>
class small_map {
public:
  using value_type = std::pair<Key, Value>;

  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  auto begin() const noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }

  Value* find(const Key& key) {
    auto i = place(key);
    return i != none ? &entries_[i].second : nullptr;
  }
  /// False, and nothing is changed, if the key is there.
  template <class... Ts>
  bool emplace(const Key& key, Ts&&... xs) {
    if (place(key) != none)
      return false;
    entries_.emplace_back(std::piecewise_construct, std::forward_as_tuple(key),
                          std::forward_as_tuple(std::forward<Ts>(xs)...));
    if (index_)
      index_->emplace(key, entries_.size() - 1);
    else if (entries_.size() >= indexed)
      make_index();
    return true;
  }
  /// Takes an entry out.
  std::optional<Value> extract(const Key& key) {
    auto i = place(key);
    if (i == none)
      return std::nullopt;
    std::optional<Value> out{std::move(entries_[i].second)};
    remove(i);
    return out;
  }
  /// Removes the entries for which `f(entry)` says so; how many.
  template <class F>
  std::size_t erase_if(F f) {
    std::size_t n = 0;
    for (auto i = entries_.size(); i-- > 0;)
      if (f(std::as_const(entries_[i]))) {
        remove(i);
        ++n;
      }
    return n;
  }
  bool erase(const Key& key) {
    auto i = place(key);
    if (i == none)
      return false;
    remove(i);
    return true;
  }

private:
  using index = std::unordered_map<Key, std::size_t, Hash>;
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  static constexpr std::size_t indexed = 16;

  std::size_t place(const Key& key) const {
    if (index_) {
      auto i = index_->find(key);
      return i != index_->end() ? i->second : none;
    }
    for (auto i = entries_.size(); i-- > 0;)
      if (entries_[i].first == key)
        return i;
    return none;
  }
  void remove(std::size_t i) {
    if (index_) {
      index_->erase(entries_[i].first);
      if (i + 1 != entries_.size())
        index_->at(entries_.back().first) = i;
    }
    if (i + 1 != entries_.size())
      entries_[i] = std::move(entries_.back());
    entries_.pop_back();
    if (index_ && entries_.size() < indexed / 2) {
      index_ = nullptr;
      entries_.shrink_to_fit();
    }
  }
  void make_index() {
    index_ = std::make_unique<index>();
    for (std::size_t i = 0; i < entries_.size(); ++i)
      index_->emplace(entries_[i].first, i);
  }

  std::vector<value_type> entries_;
  std::unique_ptr<index> index_;
};

} // namespace hornbeam::runtime
