#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/caller.hpp"
#include "runtime/call/outcome.hpp"
#include "runtime/settings/table_options.hpp"
#include "runtime/table/counter.hpp"
#include "runtime/table/watchers.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

class table_host;

/// A key and a value, and how long they have left.
struct table_entry {
  term key;
  term value;
  std::int64_t left_ms = 0; ///< 0: no end
};

/// One piece of a walk over a table.
struct table_batch {
  term::entries entries;
  term next; ///< where to go on; none: that was all
};

/// What `compare_and_swap` found, and whether it swapped.
struct swap_result {
  bool done = false;
  std::optional<term> found;
};

/// A table of keys and values. Every operation is atomic and safe from any
/// thread; several at once (`set_many`, `get_many`, ...) are one operation.
///
/// `ttl_ms` is how long an entry lives from now, in milliseconds; 0 is for
/// ever. An operation that sets a value sets the time anew; a counter keeps
/// it.
///
/// Values of a `bag` are what it holds under one key: `get` and `take` give a
/// list of all, in the order in which they were set; `set` adds one. A bag
/// has no swap, compare_and_swap and update_counter.
///
/// Errors: `bad_term` for a value of the wrong kind; `failed` with `refused`
/// if the table belongs to another process, `not_found` if it has ended
/// meanwhile, and what an engine adds: a full disk, a home that is down. An
/// operation that raises has changed nothing.
class table {
public:
  /// The time to live that the table was made with.
  static constexpr std::int64_t default_ttl = -1;

  table(std::string name, table_options options);
  virtual ~table() = default;
  table(const table&) = delete;
  table& operator=(const table&) = delete;

  const std::string& name() const noexcept { return name_; }
  const table_options& options() const noexcept { return options_; }

  // -- one key ---------------------------------------------------------------

  std::optional<term> get(const term& key) const {
    check_read();
    return do_get(key);
  }
  bool contains(const term& key) const {
    check_read();
    return do_contains(key);
  }
  void set(const term& key, term value, std::int64_t ttl_ms = default_ttl) {
    check_write();
    do_set(key, std::move(value), life(ttl_ms));
  }
  /// Sets the key only if it is not there; says whether it did.
  bool insert_new(const term& key, term value,
                  std::int64_t ttl_ms = default_ttl) {
    check_write();
    return do_insert_new(key, std::move(value), life(ttl_ms));
  }
  /// Removes and returns.
  std::optional<term> take(const term& key) {
    check_write();
    return do_take(key);
  }
  /// Whether there was something to remove.
  bool erase(const term& key) { return take(key).has_value(); }
  /// Removes one value of a key and leaves others (`ets:delete_object`).
  /// Returns how many there were.
  std::size_t erase_object(const term& key, const term& value) {
    check_write();
    return do_erase_object(key, value);
  }
  /// Sets the key and returns what it was.
  std::optional<term> swap(const term& key, term value,
                           std::int64_t ttl_ms = default_ttl) {
    check_write();
    check_single("swap");
    return do_swap(key, std::move(value), life(ttl_ms));
  }
  /// Sets the key to `desired` if it is `expected`; on both sides none stands
  /// for a missing key.
  swap_result compare_and_swap(const term& key,
                               const std::optional<term>& expected,
                               std::optional<term> desired,
                               std::int64_t ttl_ms = default_ttl) {
    check_write();
    check_single("compare_and_swap");
    return do_compare_and_swap(key, expected, std::move(desired), life(ttl_ms));
  }
  /// Adds to an integer and returns the sum. A missing key counts as 0, and
  /// gets `ttl_ms`.
  term update_counter(const term& key, const term& delta,
                      std::int64_t ttl_ms = default_ttl) {
    check_write();
    check_single("update_counter");
    return do_update_counter(key, delta, life(ttl_ms));
  }
  /// All of `ops` one after the other, and the result of each. A missing key
  /// counts as `initial`, and gets `ttl_ms`.
  std::vector<term> update_counter(const term& key,
                                   std::span<const counter_op> ops,
                                   const term& initial = term{0},
                                   std::int64_t ttl_ms = default_ttl) {
    check_write();
    check_single("update_counter");
    return do_update_counters(key, ops, initial, life(ttl_ms));
  }
  /// Sets the time to live of what is there; false if it is not there.
  bool expire(const term& key, std::int64_t ttl_ms) {
    check_write();
    return do_expire(key, life(ttl_ms));
  }
  /// Milliseconds that a key has left, rounded up; 0: for ever; none if it is
  /// not there.
  std::optional<std::int64_t> left_ms(const term& key) const {
    check_read();
    return do_left_ms(key);
  }

  // -- several keys ----------------------------------------------------------

  std::vector<std::optional<term>> get_many(std::span<const term> keys) const {
    check_read();
    return do_get_many(keys);
  }
  /// All or nothing; of equal keys the last wins.
  void set_many(term::entries entries, std::int64_t ttl_ms = default_ttl) {
    check_write();
    do_set_many(std::move(entries), life(ttl_ms));
  }
  /// Sets all, or none if one of the keys is there.
  bool insert_new(term::entries entries, std::int64_t ttl_ms = default_ttl) {
    check_write();
    return do_insert_all_new(std::move(entries), life(ttl_ms));
  }
  void clear() {
    check_write();
    do_clear();
  }

  // -- all of them -----------------------------------------------------------

  /// Entries; of a bag, values. Of a private table too, for anybody, as is
  /// `info`.
  std::size_t size() const {
    check_there();
    return do_size();
  }
  /// All keys: of an ordered_set in key order, else in no order.
  std::vector<term> keys() const;
  /// The string keys that start with `prefix`, in key order; at most `limit`.
  std::vector<term> keys(std::string_view prefix,
                         std::size_t limit = SIZE_MAX) const {
    check_read();
    return do_keys(prefix, limit);
  }
  /// The first `limit` entries or a few more or less; `from` is none at first
  /// and then the `next` of the batch before. Whatever is there during the
  /// whole walk comes exactly once, whatever is written meanwhile. Of an
  /// ordered_set, in key order.
  table_batch scan(const term& from = {}, std::size_t limit = 1000) const {
    check_read();
    return do_scan(from, limit == 0 ? 1 : limit);
  }
  /// The entries of a whole walk.
  term::entries items() const;

  // -- watching --------------------------------------------------------------

  /// Calls `f` at each change of what `what` names, in the order of changes,
  /// in the thread that made the change or another one that makes changes; no
  /// lock is held. That may be the thread of a link: `f` must be short. The
  /// number is for `unwatch`.
  std::uint64_t watch(table_interest what, table_listener f);
  /// Sends `{'table_event', Number, Table, Kind, Key, Values}` to a process
  /// until it ends: Kind is one of `'set'`, `'delete'`, `'expire'`, `'evict'`
  /// and `'end'` (of the table), Values a map with `'old'` and `'new'`, each
  /// if there is one.
  std::uint64_t watch(table_interest what, const term& pid);
  /// False if there is no such watch.
  bool unwatch(std::uint64_t number);

  // -- the table as a whole --------------------------------------------------

  /// A map of `'name'`, the options that any table has, `'owner'`, `'heir'`,
  /// `'size'`, `'bytes'` (of keys and values, if there is a bound), `'expired'`
  /// and `'evicted'` (how many so far), `'watches'`, and what the engine adds.
  term info() const;

  /// Writes all entries to a file as they are at one moment; the file is
  /// written beside and renamed, so that a crash leaves the old or the new
  /// one. Raises `failed`, which names the file. Returns the entries.
  std::size_t save(const std::string& path) const;
  /// Replaces all entries by those of a file. A file that is damaged, or of a
  /// newer version, raises `failed` and leaves the table as it was.
  std::size_t load(const std::string& path);

  /// The process that owns it, or none; see `tables` for what owners can do.
  term owner() const;
  term heir() const;
  /// The serial of the owner, or 0.
  std::uint64_t owner_serial() const noexcept { return owner_serial_; }
  /// Whether it has ended: with its owner, or by `tables::drop`.
  bool ended() const noexcept {
    return (access_bits_.load() & table_ended) != 0;
  }

  // -- for the node ----------------------------------------------------------

  /// Around a fork, so that the child finds the table between operations.
  virtual void before_fork() const = 0;
  virtual void after_fork_in_parent() const = 0;
  /// Who watched as a process is one of the parent.
  virtual void after_fork_in_child() const = 0;

  /// What the table uses of its node from here on; null: nothing.
  void attach(std::shared_ptr<table_host> host);
  std::shared_ptr<table_host> attached() const;

protected:
  /// The operations, once they are allowed; `local_table` has those on one and
  /// several keys for all engines. `ttl_ms` is never `default_ttl` here.
  virtual std::optional<term> do_get(const term& key) const = 0;
  virtual bool do_contains(const term& key) const = 0;
  virtual void do_set(const term& key, term value, std::int64_t ttl_ms) = 0;
  virtual bool do_insert_new(const term& key, term value, std::int64_t ttl_ms)
    = 0;
  virtual std::optional<term> do_take(const term& key) = 0;
  virtual std::size_t do_erase_object(const term& key, const term& value) = 0;
  virtual std::optional<term> do_swap(const term& key, term value,
                                      std::int64_t ttl_ms)
    = 0;
  virtual swap_result do_compare_and_swap(const term& key,
                                          const std::optional<term>& expected,
                                          std::optional<term> desired,
                                          std::int64_t ttl_ms)
    = 0;
  virtual term do_update_counter(const term& key, const term& delta,
                                 std::int64_t ttl_ms)
    = 0;
  virtual std::vector<term> do_update_counters(const term& key,
                                               std::span<const counter_op> ops,
                                               const term& initial,
                                               std::int64_t ttl_ms)
    = 0;
  virtual bool do_expire(const term& key, std::int64_t ttl_ms) = 0;
  virtual std::optional<std::int64_t> do_left_ms(const term& key) const = 0;
  virtual std::vector<std::optional<term>> do_get_many(
    std::span<const term> keys) const = 0;
  virtual void do_set_many(term::entries entries, std::int64_t ttl_ms) = 0;
  virtual bool do_insert_all_new(term::entries entries, std::int64_t ttl_ms)
    = 0;
  virtual void do_clear() = 0;
  virtual std::size_t do_size() const = 0;
  virtual std::vector<term> do_keys(std::string_view prefix,
                                    std::size_t limit) const = 0;
  virtual table_batch do_scan(const term& from, std::size_t limit) const = 0;
  /// Raises if this engine can't be watched.
  virtual void check_watch() const {}
  virtual std::uint64_t add_watch(const table_interest& what, const term& pid);
  virtual bool remove_watch(std::uint64_t number);
  /// Adds to what `info` has.
  virtual void add_info(term::entries& out) const = 0;
  /// All entries at one moment.
  virtual std::vector<table_entry> dump() const = 0;
  /// All entries anew, in one operation.
  virtual void replace(std::vector<table_entry> entries) = 0;
  /// The table is no more, and nobody has access any more: gives back what it
  /// holds.
  virtual void forget() = 0;

  /// There is a new host, whose clock knows nothing yet of what is to expire.
  virtual void resume_expiry() const {}

  /// Null, or an object that lives as long as the table.
  table_host* host() const noexcept { return host_.load(); }

  /// Engines note changes here, see `table_watchers`.
  mutable table_watchers watchers_;

private:
  friend class tables;

  static constexpr std::uint8_t only_owner_writes
    = 1;                                             ///< only the owner writes
  static constexpr std::uint8_t only_owner_uses = 2; ///< only the owner
  static constexpr std::uint8_t table_ended = 4;

  void check_there() const {
    if (ended()) [[unlikely]]
      refuse_others("read");
  }
  void check_read() const {
    if (access_bits_.load(std::memory_order_relaxed) > only_owner_writes)
      [[unlikely]]
      refuse_others("read");
  }
  void check_write() const {
    if (access_bits_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      refuse_others("write");
  }
  /// Raises unless the owner asks.
  void refuse_others(const char* what) const;
  /// The owner; raises unless the caller is.
  term check_owner(const char* what) const;
  void set_owner(const term& pid);
  void set_heir(const term& heir, term data);
  std::pair<term, term> heir_and_data() const;
  void refuse_everybody() noexcept { access_bits_ = table_ended; }
  /// After `refuse_everybody`: tells who watches, and forgets the entries.
  void end();

  void check_single(const char* operation) const {
    if (options_.kind >= table_kind::bag) [[unlikely]]
      refuse_bag(operation);
  }
  [[noreturn]] void refuse_bag(const char* operation) const;
  std::int64_t life(std::int64_t ttl_ms) const {
    if (ttl_ms >= 0)
      return ttl_ms;
    return ttl_ms == default_ttl ? options_.ttl_ms : refuse_ttl(ttl_ms);
  }
  [[noreturn]] static std::int64_t refuse_ttl(std::int64_t ttl_ms);

  const std::string name_;
  const table_options options_;
  std::atomic<std::uint8_t> access_bits_{0};
  std::atomic<std::uint64_t> owner_serial_{0};
  std::atomic<table_host*> host_{nullptr};
  mutable ranked_mutex<lock_rank::table_owner>
    owner_mutex_;                                  ///< guards what follows
  std::vector<std::shared_ptr<table_host>> hosts_; ///< the last one counts
  term owner_;
  term heir_;
  term heir_data_;
};
using table_ptr = std::shared_ptr<table>;

} // namespace hornbeam::runtime
