#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/table/local_table.hpp"
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
class lmdb_table : public local_table<lmdb_table> {
public:
  /// Opens the file, `options.path`. Raises `failed`.
  lmdb_table(std::string name, table_options options);
  ~lmdb_table() override;

  void before_fork() const override;
  void after_fork_in_parent() const override;
  void after_fork_in_child() const override;

  /// Replaces all entries, some at a time: as one operation they need room for
  /// the most that they could take, which a file that held them may not have.
  void refill(const std::vector<table_entry>& entries);
  /// Removes some of what has expired, unless another process writes at the
  /// moment: a node's clock has others to serve. Returns how many.
  std::size_t sweep();

protected:
  std::optional<term> do_take(const term& key) override;
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
  friend class local_table<lmdb_table>;
  class found;
  class entry;
  struct sweeper;

  lmdb_environment& environment() const {
    auto* x = environment_.load(std::memory_order_acquire);
    if (x == nullptr || !x->current()) [[unlikely]]
      x = reopen();
    x->check();
    return *x;
  }
  lmdb_environment* reopen() const;
  /// What LMDB has no room for, it refuses itself.
  void check_fits(const term&, const term&) const noexcept {}
  template <class F>
  void find(const term& key, const F& f) const;
  template <class F>
  void find_many(std::span<const term> keys, const F& f) const;
  template <class F>
  void change(const term& key, const F& f);
  template <class F>
  void change_many(const term::entries& entries, const F& f);
  /// Calls `f` with a snapshot.
  template <class F>
  auto read(F f) const;
  /// Calls `f` with an `lmdb_writing`, commits, and tells who watches.
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

extern template class local_table<lmdb_table>;

} // namespace hornbeam::runtime
