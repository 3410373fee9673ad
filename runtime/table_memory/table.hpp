#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/base/small_mutex.hpp"
#include "runtime/table/local_table.hpp"
#include "runtime/table_memory/entry_store.hpp"
#include "runtime/table_memory/expiry_heap.hpp"
#include "runtime/table_memory/lru_list.hpp"
#include "runtime/table_memory/ordered_index.hpp"

namespace hornbeam::runtime {

/// A table of keys and values in the memory of this node that any thread may
/// read and write at any time, as an ETS table with `write_concurrency`: the
/// keys are spread over shards, each under a lock of its own that is held for
/// one bounded operation only and never while foreign code runs or values are
/// destroyed. An operation on several keys holds the locks of all of them.
///
/// What a table does not use costs it nothing: times to live are kept in a
/// heap beside those shards that have any; keys are sorted from the first
/// question for a prefix on (from the beginning in an ordered_set); a table
/// with a bound has one shard, whose entries are listed in the exact order of
/// their last use. By use we mean that an operation names the key.
class memory_table final : public local_table<memory_table>,
                           public std::enable_shared_from_this<memory_table> {
public:
  explicit memory_table(std::string name, table_options options = {});

  void before_fork() const override;
  void after_fork_in_parent() const override;
  void after_fork_in_child() const override;

protected:
  std::size_t do_size() const override;
  std::vector<term> do_keys(std::string_view prefix,
                            std::size_t limit) const override;
  table_batch do_scan(const term& from, std::size_t limit) const override;
  void add_info(term::entries& out) const override;
  std::vector<table_entry> dump() const override;
  void replace(std::vector<table_entry> entries) override;
  void forget() override;

private:
  friend class local_table<memory_table>;
  using slot = entry_store::slot;
  static constexpr auto nowhere = entry_store::none;

  struct alignas(64) shard {
    mutable small_mutex mutex;
    bool indexed = false; ///< its keys are in `index_`
    entry_store store;
    std::unique_ptr<expiry_heap> expiry;
  };
  /// What only a table with a bound has, for its one shard.
  struct bounds {
    lru_list used;
    std::uint64_t bytes = 0;
  };
  class held;
  class found;
  class entry;
  struct hashes;

  std::uint64_t hash_of(const term& key) const noexcept {
    auto h = numeric_equality_ ? without_integral_floats(key).hash()
                               : key.hash();
    return h * 0x9e3779b97f4a7c15ull;
  }
  /// One bit for each shard.
  std::uint64_t bit_of(std::uint64_t hash) const noexcept {
    return std::uint64_t{1} << ((hash >> 58) & last_shard_);
  }
  shard& shard_of(std::uint64_t hash) const noexcept {
    return shards_[(hash >> 58) & last_shard_];
  }
  std::uint64_t every_shard() const noexcept {
    return last_shard_ == 0 ? 1 : ~std::uint64_t{0};
  }
  bool is_bag() const noexcept { return options().kind >= table_kind::bag; }
  ticks now() const noexcept;
  /// Milliseconds, rounded up; at least one.
  static std::int64_t left(ticks at, ticks moment) noexcept;
  void check_fits(const term& key, const term& value) const;

  template <class F>
  void find(const term& key, const F& f) const;
  template <class F>
  void find_many(std::span<const term> keys, const F& f) const;
  template <class F>
  void change(const term& key, const F& f);
  template <class F>
  void change_many(const term::entries& entries, const F& f);

  // All of these are called with the lock of the shard.
  slot slot_of(const shard& s, std::uint64_t hash,
               const term& key) const noexcept {
    return s.store.find(entry_store::short_hash(hash), key, numeric_equality_);
  }
  std::pair<term, term> remove(held& lock, shard& s, slot i,
                               table_event::kind why);
  void set_time(held& lock, shard& s, slot i, std::int64_t ttl_ms);
  void touch(slot i) const noexcept {
    if (bounds_)
      bounds_->used.touch(i);
  }
  void evict(held& lock, shard& s);
  void purge(held& lock, shard& s, std::size_t most) const;

  bool in_index(const shard& s, const term& key) const noexcept {
    return s.indexed && (numeric_equality_ || key.is(term::kind::string));
  }
  void change_index(const term& key, bool add) const;
  void build_index() const;
  void purge_all() const;
  table_batch scan_in_order(const term& from, std::size_t limit) const;
  void unlock_all() const;
  void arm(ticks at) const;
  void sweep() const;
  void resume_expiry() const override { sweep(); }

  const bool numeric_equality_; ///< keys are compared as in an ordered_set
  const std::uint64_t last_shard_;
  const std::unique_ptr<shard[]> shards_;
  const std::unique_ptr<bounds> bounds_;

  /// Locks are taken in this order: `build_mutex_`, shards by number,
  /// `index_mutex_`, that of the watchers.
  mutable ranked_mutex<lock_rank::index_build> build_mutex_;
  mutable ranked_mutex<lock_rank::index> index_mutex_;
  mutable ordered_index index_;
  /// While `index_` is being made: keys that have come (true) or gone.
  using key_changes = std::vector<std::pair<term, bool>>;
  mutable std::unique_ptr<key_changes> index_changes_;
  mutable std::atomic<bool> indexed_{false};   ///< all of the shards are
  mutable std::atomic<bool> has_times_{false}; ///< some shard has a heap
  mutable std::atomic<ticks> armed_{never};
  mutable std::atomic<std::uint64_t> expired_{0};
  mutable std::atomic<std::uint64_t> evicted_{0};
};

extern template class local_table<memory_table>;

} // namespace hornbeam::runtime
