#include "runtime/table_memory/entry_store.hpp"

#include <algorithm>
#include <cmath>

namespace hornbeam::runtime {

namespace {

using kind = term::kind;

bool has_integral_floats(const term& x) {
  auto any = [](const auto& xs) {
    return std::any_of(xs.begin(), xs.end(), has_integral_floats);
  };
  switch (x.type()) {
    case kind::floating:
      return std::isfinite(x.as_double())
             && std::trunc(x.as_double()) == x.as_double();
    case kind::list:
    case kind::tuple:
      return any(x.items());
    case kind::map:
      return std::any_of(x.pairs().begin(), x.pairs().end(),
                         [](auto& p) { return has_integral_floats(p.second); });
    default:
      return false;
  }
}

} // namespace

term without_integral_floats(const term& x) {
  if (!has_integral_floats(x))
    return x;
  switch (x.type()) {
    case kind::floating:
      return term{big_integer{x.as_double()}};
    case kind::list:
    case kind::tuple: {
      term::sequence items;
      for (auto& y : x.items())
        items.push_back(without_integral_floats(y));
      return x.is(kind::list) ? term::list(std::move(items))
                              : term::tuple(std::move(items));
    }
    default: {
      term::entries pairs;
      for (auto& [k, v] : x.pairs())
        pairs.emplace_back(k, without_integral_floats(v));
      return term::map(std::move(pairs));
    }
  }
}

bool entry_store::numerically_equal(const term& a, const term& b) noexcept {
  return without_integral_floats(a) == without_integral_floats(b);
}

entry_store::slot entry_store::add(std::uint32_t hash, term key, term value) {
  if (!buckets_ || size_ > mask_)
    grow();
  auto i = free_;
  if (i != none) {
    free_ = at(i).next;
  } else {
    if (end_ / block_size == blocks_.size())
      blocks_.push_back(std::make_unique<entry[]>(block_size));
    i = end_++;
  }
  auto& bucket = buckets_[hash & mask_];
  auto& e = at(i);
  e.next = bucket;
  e.hash = hash;
  e.key = std::move(key);
  e.value = std::move(value);
  bucket = i;
  ++size_;
  return i;
}

std::pair<term, term> entry_store::remove(slot i) {
  auto& e = at(i);
  auto* link = &buckets_[e.hash & mask_];
  while (*link != i)
    link = &at(*link).next;
  *link = e.next;
  e.next = free_;
  e.hash = 0;
  free_ = i;
  std::pair<term, term> out{std::move(e.key), std::move(e.value)};
  if (--size_ == 0 && blocks_.size() > 1)
    reset();
  return out;
}

void entry_store::reset() noexcept {
  buckets_ = nullptr;
  blocks_.clear();
  blocks_.shrink_to_fit();
  mask_ = 0;
  end_ = 0;
  free_ = none;
}

std::vector<entry_store::slot> entry_store::in_order() const {
  std::vector<slot> out;
  out.reserve(size_);
  for (std::uint32_t b = 0; buckets_ && b <= mask_; ++b) {
    auto first = static_cast<std::ptrdiff_t>(out.size());
    for (auto i = buckets_[b]; i != none; i = at(i).next)
      out.push_back(i);
    std::reverse(out.begin() + first, out.end());
  }
  return out;
}

void entry_store::grow() {
  auto order = in_order();
  auto count = buckets_ ? 2 * (mask_ + 1) : 8;
  auto fresh = std::make_unique_for_overwrite<slot[]>(count);
  std::fill_n(fresh.get(), count, none);
  buckets_ = std::move(fresh);
  mask_ = count - 1;
  // Of one key, older entries stay behind newer ones.
  for (auto i : order) {
    auto& bucket = buckets_[at(i).hash & mask_];
    at(i).next = bucket;
    bucket = i;
  }
}

} // namespace hornbeam::runtime
