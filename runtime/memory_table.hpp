#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/term.hpp"

namespace hornbeam::runtime {

/// A table of keys and values in the memory of this node that any thread may
/// read and write at any time, as an ETS table with `write_concurrency`: the
/// keys are spread over shards, each under a lock of its own that is held for
/// one bounded operation only and never while foreign code runs.
class memory_table {
public:
  explicit memory_table(std::string name) : name_(std::move(name)) {}

  const std::string& name() const noexcept { return name_; }

  std::optional<term> get(const term& key) const;
  bool contains(const term& key) const;
  void set(const term& key, term value);
  /// Sets the key only if it is not there; says whether it did.
  bool insert_new(const term& key, term value);
  /// Removes and returns.
  std::optional<term> take(const term& key);
  bool erase(const term& key) { return take(key).has_value(); }
  /// Adds to an integer of any size; a missing key counts as 0. Raises
  /// `bad_term` and changes nothing if the value or the delta is no integer.
  term update_counter(const term& key, const term& delta);
  /// All keys, in no order.
  std::vector<term> keys() const;
  /// The string keys that start with `prefix`, in key order.
  std::vector<term> keys(std::string_view prefix) const;
  std::size_t size() const noexcept;
  void clear();

  /// Holds every shard, so that a fork finds the table between operations.
  void lock_all() const;
  void unlock_all() const;

private:
  static constexpr std::size_t shard_count = 64;
  struct alignas(64) shard {
    mutable std::mutex mutex;
    std::unordered_map<term, term, term_hash> entries;
  };
  shard& shard_of(const term& key) noexcept {
    return shards_[(key.hash() >> 7) % shard_count];
  }
  const shard& shard_of(const term& key) const noexcept {
    return shards_[(key.hash() >> 7) % shard_count];
  }

  std::string name_;
  std::array<shard, shard_count> shards_;
};

/// The tables of one node by name; made when first asked for.
class memory_tables {
public:
  std::shared_ptr<memory_table> open(const std::string& name);
  /// Takes in a table that exists already.
  void adopt(std::shared_ptr<memory_table> x);
  /// Null if it was never opened.
  std::shared_ptr<memory_table> find(const std::string& name) const;
  std::vector<std::shared_ptr<memory_table>> all() const;
  void lock_all() const;
  void unlock_all() const;

private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<memory_table>> tables_;
};

} // namespace hornbeam::runtime
