#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/table/table.hpp"
#include "runtime/table_lmdb/environment.hpp"
#include "runtime/table_lmdb/group.hpp"
#include "runtime/table_lmdb/key.hpp"
#include "runtime/table_lmdb/record.hpp"

namespace hornbeam::runtime {

/// A table in a file that all processes of the host share (docs/tables.md).
/// Each operation is one transaction. It is always in key order.
///
/// Only `kind` set and `access` public: a file has no owner. It can be watched
/// only if it has a home node, since nobody hears of the writes of other
/// processes.
class lmdb_table : public table {
public:
  /// Opens the file, `options.path`. Raises `failed`.
  lmdb_table(std::string name, table_options options);
  ~lmdb_table() override;

  void before_fork() const override;
  void after_fork_in_parent() const override;
  void after_fork_in_child() const override;

  /// Removes some of what has expired, unless another process writes at the
  /// moment: a node's clock has others to serve. Returns how many.
  std::size_t sweep();

protected:
  std::optional<term> do_get(const term& key) const override;
  bool do_contains(const term& key) const override;
  void do_set(const term& key, term value, std::int64_t ttl_ms) override;
  std::optional<term> do_take(const term& key) override;
  std::size_t do_erase_object(const term& key, const term& value) override;
  std::optional<term> do_swap(const term& key, term value,
                              std::int64_t ttl_ms) override;
  swap_result do_compare_and_swap(const term& key,
                                  const std::optional<term>& expected,
                                  std::optional<term> desired,
                                  std::int64_t ttl_ms) override;
  term do_update_counter(const term& key, const term& delta,
                         std::int64_t ttl_ms) override;
  std::vector<term> do_update_counters(const term& key,
                                       std::span<const counter_op> ops,
                                       const term& initial,
                                       std::int64_t ttl_ms) override;
  bool do_expire(const term& key, std::int64_t ttl_ms) override;
  std::optional<std::int64_t> do_left_ms(const term& key) const override;
  std::vector<std::optional<term>> do_get_many(
    std::span<const term> keys) const override;
  void do_set_many(term::entries entries, std::int64_t ttl_ms) override;
  bool do_insert_new(const term& key, term value, std::int64_t ttl_ms) override;
  bool do_insert_all_new(term::entries entries, std::int64_t ttl_ms) override;
  void do_clear() override;
  std::size_t do_size() const override;
  std::vector<term> do_keys(std::string_view prefix,
                            std::size_t limit) const override;
  table_batch do_scan(const term& from, std::size_t limit) const override;
  void check_watch() const override;
  void add_info(term::entries& out) const override;
  std::vector<table_entry> dump() const override;
  void replace(std::vector<table_entry> entries) override;
  /// The entries are in the file, where other processes have them.
  void forget() override {}

private:
  class writing;
  struct sweeper;

  lmdb_environment& environment() const {
    auto* x = environment_.load(std::memory_order_acquire);
    if (x == nullptr || !x->current()) [[unlikely]]
      x = reopen();
    x->check();
    return *x;
  }
  lmdb_environment* reopen() const;
  /// Calls `f` with a snapshot.
  template <class F>
  auto read(F f) const;
  /// Calls `f` with a `writing`, commits, and tells who watches.
  template <class F>
  void write(F f, bool patient = true);

  mutable ranked_mutex<lock_rank::lmdb_table> mutex_; ///< guards what is opened
  mutable lmdb_environment_ptr owner_;
  mutable std::atomic<lmdb_environment*> environment_{nullptr};
  mutable std::unique_ptr<lmdb_group> group_; ///< of a durable table
  std::string clock_hand_; ///< of eviction; for who holds the lock of writers
  std::shared_ptr<sweeper> sweeper_;
  mutable std::atomic<bool> sweeping_{false}; ///< from the first expiry on
};

} // namespace hornbeam::runtime
