#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/table/table.hpp"
#include "runtime/table_lmdb/environment.hpp"
#include "runtime/table_lmdb/key.hpp"
#include "runtime/table_lmdb/record.hpp"

namespace hornbeam::runtime {

/// What is under a key, as bytes in the map.
struct lmdb_found {
  std::string_view bytes;
  lmdb_record record;
};

/// The entry of `key`, expired or not. Raises `failed` for another key that
/// has the same hash.
std::optional<lmdb_found> look_up(MDB_txn* txn, const lmdb_environment& env,
                                  const lmdb_key& where, const term& key);

/// How many have expired and are there, at most `most`.
std::size_t count_expired(MDB_txn* txn, const lmdb_environment& env,
                          std::size_t most = SIZE_MAX);

/// The changes of one transaction, and what goes with each: the order of
/// expiry, the bounds, what is told to who watches.
class lmdb_writing {
public:
  /// `hand` is where eviction goes on. With `events`, changes are noted.
  lmdb_writing(lmdb_transaction& x, std::string& hand, bool events);

  /// So many keys will be set, if any: each of them needs less room then.
  void expect(std::size_t keys) { expected_ = keys; }
  /// What lives under a key.
  std::optional<lmdb_found> find(const lmdb_key& where, const term& key);
  /// `expires` in milliseconds since 1970, or 0.
  void set(const lmdb_key& where, const term& key, const term& value,
           std::int64_t expires);
  bool erase(const lmdb_key& where, const term& key);
  void clear();
  /// Removes up to `most` of what has expired.
  std::size_t sweep(std::size_t most);
  /// Removes what is too much, but for `kept`. To be called last.
  void finish(std::string_view kept);

  /// 0 stays 0: never.
  std::int64_t expiry(std::int64_t ttl_ms) noexcept {
    return ttl_ms == 0 ? 0 : now() + ttl_ms;
  }
  lmdb_transaction& transaction() noexcept { return x_; }
  std::vector<table_event> take_events() { return std::move(events_); }

private:
  bool needs_old() const noexcept;
  void reserve(const lmdb_key& where, const term& key, std::size_t size);
  void remove(std::string_view where, const lmdb_found& old,
              table_event::kind why);
  void forget_expiry(std::string_view where, const lmdb_found& old);
  void note(table_event::kind what, term key, std::optional<term> before,
            std::optional<term> after);
  std::int64_t now() noexcept;
  std::uint64_t bytes_before();
  bool too_much(std::uint64_t before) const;
  bool evict(std::string_view kept);

  lmdb_transaction& x_;
  lmdb_environment& env_;
  std::string& clock_hand_;
  const bool noting_;
  std::int64_t now_ = 0; ///< once it was needed
  std::int64_t more_bytes_ = 0;
  std::optional<std::size_t> expected_; ///< 0 once there is room for them
  std::vector<table_event> events_;
};

} // namespace hornbeam::runtime
