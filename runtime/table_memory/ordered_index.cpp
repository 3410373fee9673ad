#include "runtime/table_memory/ordered_index.hpp"

#include <algorithm>

namespace hornbeam::runtime {

ordered_index::ordered_index(std::vector<term> sorted) : size_(sorted.size()) {
  constexpr auto filled = full * 3 / 4;
  auto from = std::make_move_iterator(sorted.begin());
  for (auto left = sorted.size(); left > 0;) {
    auto n = std::min(left, filled);
    auto to = from + static_cast<std::ptrdiff_t>(n);
    pieces_.push_back(std::make_unique<piece>(from, to));
    from = to;
    left -= n;
  }
}

ordered_index::place ordered_index::lower_bound(const term& key,
                                                bool behind) const {
  auto before = [&](const term& x) { return behind ? x <= key : x < key; };
  auto p = std::partition_point(pieces_.begin(), pieces_.end(),
                                [&](auto& x) { return before(x->back()); });
  if (p == pieces_.end())
    return {pieces_.size(), 0};
  auto i = std::partition_point((*p)->begin(), (*p)->end(), before);
  return {static_cast<std::size_t>(p - pieces_.begin()),
          static_cast<std::size_t>(i - (*p)->begin())};
}

bool ordered_index::insert(const term& key) {
  auto at = lower_bound(key);
  if (at.piece == pieces_.size()) {
    // Behind all others.
    if (pieces_.empty()) {
      pieces_.push_back(std::make_unique<piece>());
      at.piece = 0;
    } else {
      at.piece = pieces_.size() - 1;
      at.item = pieces_.back()->size();
    }
  } else if ((*pieces_[at.piece])[at.item] == key) {
    return false;
  }
  auto& p = *pieces_[at.piece];
  auto index = static_cast<std::ptrdiff_t>(at.item);
  p.insert(p.begin() + index, key);
  ++size_;
  if (p.size() < full)
    return true;
  // Keys that come in order leave full pieces behind.
  auto cut = at.item + 1 == p.size() ? full * 7 / 8 : full / 2;
  auto from = p.begin() + static_cast<std::ptrdiff_t>(cut);
  auto second = std::make_unique<piece>(std::make_move_iterator(from),
                                        std::make_move_iterator(p.end()));
  p.erase(from, p.end());
  p.shrink_to_fit();
  pieces_.insert(pieces_.begin() + static_cast<std::ptrdiff_t>(at.piece) + 1,
                 std::move(second));
  return true;
}

bool ordered_index::erase(const term& key) {
  auto at = lower_bound(key);
  if (at.piece == pieces_.size() || (*pieces_[at.piece])[at.item] != key)
    return false;
  auto& p = *pieces_[at.piece];
  p.erase(p.begin() + static_cast<std::ptrdiff_t>(at.item));
  --size_;
  if (p.size() < full / 8)
    join(at.piece);
  return true;
}

void ordered_index::join(std::size_t i) {
  auto drop = [this](std::size_t n) {
    pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(n));
  };
  if (pieces_[i]->empty())
    return drop(i);
  if (pieces_.size() == 1)
    return;
  auto first = i + 1 < pieces_.size() ? i : i - 1;
  auto& a = *pieces_[first];
  auto& b = *pieces_[first + 1];
  if (a.size() + b.size() > full / 2)
    return;
  std::move(b.begin(), b.end(), std::back_inserter(a));
  drop(first + 1);
}

template <class Wanted>
bool ordered_index::collect_at(place at, std::size_t limit,
                               std::vector<term>& out, Wanted wanted) const {
  for (; at.piece < pieces_.size(); ++at.piece, at.item = 0) {
    auto& p = *pieces_[at.piece];
    for (; at.item < p.size(); ++at.item, --limit) {
      if (!wanted(p[at.item]))
        return false;
      if (limit == 0)
        return true;
      out.push_back(p[at.item]);
    }
  }
  return false;
}

bool ordered_index::collect(const term* from, bool behind, std::size_t limit,
                            std::vector<term>& out) const {
  return collect_at(from != nullptr ? lower_bound(*from, behind) : place{0, 0},
                    limit, out, [](const term&) { return true; });
}

bool ordered_index::collect(std::string_view prefix, const term* behind,
                            std::size_t limit, std::vector<term>& out) const {
  auto at = behind != nullptr ? lower_bound(*behind, true)
                              : lower_bound(term::string(std::string{prefix}));
  return collect_at(at, limit, out, [&](const term& x) {
    return x.is(term::kind::string)
           && std::string_view{x.text()}.starts_with(prefix);
  });
}

} // namespace hornbeam::runtime
