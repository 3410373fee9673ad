#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// Integral floats inside of `x` as integers: two keys are one key of an
/// ordered_set if these are equal. (Erlang's `==`; keys of maps and items of
/// sets stay exact.)
term without_integral_floats(const term& x);

/// A hash table with chaining over a slab: the entries of one shard of a memory
/// table lie in numbered slots and never move. An entry keeps its slot while it
/// lives, so a walk in the order of slots sees each exactly once, and what only
/// some tables need (times, order of use) is kept beside, by slot. The buckets
/// double at one entry a bucket, all at once: a shard is small. 40 bytes an
/// entry and 4 to 8 for the table of buckets. Not safe from several threads.
///
/// Several entries may have one key (bags); newer ones are found first.
class entry_store {
public:
  using slot = std::uint32_t;
  static constexpr slot none = UINT32_MAX;

  struct entry {
    slot next = none;       ///< in the bucket, or of the free ones
    std::uint32_t hash = 0; ///< 0: the slot is free
    term key;
    term value;
  };

  /// What entries have as `hash`: 31 bits, and one that is always set.
  static std::uint32_t short_hash(std::uint64_t h) noexcept {
    return static_cast<std::uint32_t>(h >> 24) | 0x8000'0000u;
  }

  std::uint32_t size() const noexcept { return size_; }
  /// Slots behind the last one that was ever used.
  slot end() const noexcept { return end_; }
  bool live(slot i) const noexcept { return at(i).hash != 0; }
  entry& at(slot i) noexcept { return blocks_[i / block_size][i % block_size]; }
  const entry& at(slot i) const noexcept {
    return blocks_[i / block_size][i % block_size];
  }

  /// The newest entry of `key`, or `none`. `numeric_equality`: as ordered sets
  /// compare.
  slot find(std::uint32_t hash, const term& key,
            bool numeric_equality) const noexcept {
    return buckets_ ? match(buckets_[hash & mask_], hash, key, numeric_equality)
                    : none;
  }
  /// The next older entry of the same key.
  slot find_older(slot i, const term& key,
                  bool numeric_equality) const noexcept {
    return match(at(i).next, at(i).hash, key, numeric_equality);
  }
  slot add(std::uint32_t hash, term key, term value);
  /// Frees the slot; key and value are for the caller to destroy.
  std::pair<term, term> remove(slot i);
  /// All slots; of one key, the oldest entry first.
  std::vector<slot> in_order() const;

private:
  static constexpr slot block_size = 32;

  slot match(slot i, std::uint32_t hash, const term& key,
             bool numeric_equality) const noexcept {
    for (; i != none; i = at(i).next) {
      auto& e = at(i);
      if (e.hash == hash
          && (e.key == key
              || (numeric_equality && numerically_equal(e.key, key))))
        return i;
    }
    return none;
  }
  static bool numerically_equal(const term& a, const term& b) noexcept;
  void grow();
  void reset() noexcept;

  std::unique_ptr<slot[]> buckets_;
  std::vector<std::unique_ptr<entry[]>> blocks_;
  std::uint32_t mask_ = 0;
  std::uint32_t size_ = 0;
  slot end_ = 0;
  slot free_ = none;
};

} // namespace hornbeam::runtime
