#pragma once

#include <algorithm>
#include <atomic>

#include "runtime/table_lmdb/table.hpp"
#include "runtime/table_lmdb/writing.hpp"

namespace hornbeam::runtime {

/// What is under one key in a snapshot; see `local_table`.
class lmdb_table::found {
public:
  found(const lmdb_snapshot& s, const term& key)
    : env_(s.environment()),
      found_(look_up(s.handle(), env_, lmdb_key{key}, key)) {
    if (found_ && found_->record.expires != 0
        && found_->record.expired(wall_clock_ms()))
      found_.reset();
  }

  bool use() const {
    if (found_)
      mark_used();
    return found_.has_value();
  }
  std::optional<term> get() const {
    return use() ? std::optional{found_->record.value()} : std::nullopt;
  }
  std::int64_t left_ms() const {
    auto expires = found_->record.expires;
    return expires == 0 ? 0
                        : std::max<std::int64_t>(1, expires - wall_clock_ms());
  }

private:
  /// For eviction, where there is a bound.
  void mark_used() const {
    auto& bounds = env_.settings();
    if (found_->record.used || env_.durable() // whose map is for reading only
        || (bounds.max_entries == 0 && bounds.max_bytes == 0))
      return;
    std::atomic_ref{
      *reinterpret_cast<std::uint8_t*>(const_cast<char*>(found_->bytes.data()))}
      .fetch_or(lmdb_used_mark, std::memory_order_relaxed);
  }

  const lmdb_environment& env_;
  std::optional<lmdb_found> found_;
};

/// What is under one key in a transaction that writes. It is looked up once
/// somebody asks: `set` alone need not.
class lmdb_table::entry {
public:
  entry(lmdb_writing& w, const lmdb_key& where, const term& key)
    : w_(w), where_(where), key_(key) {}

  bool there() { return found().has_value(); }
  bool use() { return there(); } // only readers leave a mark
  std::optional<term> get() {
    return there() ? std::optional{found()->record.value()} : std::nullopt;
  }
  term value_or(const term& x) { return there() ? found()->record.value() : x; }
  void set(const term& value, std::int64_t ttl_ms) {
    w_.set(where_, key_, value, w_.expiry(ttl_ms));
  }
  std::optional<term> swap(const term& value, std::int64_t ttl_ms) {
    auto before = get();
    set(value, ttl_ms);
    return before;
  }
  void update(const term& value) {
    w_.set(where_, key_, value, found()->record.expires);
  }
  std::optional<term> take() {
    auto before = get();
    erase();
    return before;
  }
  /// One that has expired as well.
  void erase() { w_.erase(where_, key_); }
  std::size_t erase(const term& value) {
    return get() == value && w_.erase(where_, key_) ? 1 : 0;
  }
  bool expire(std::int64_t ttl_ms) {
    auto value = get();
    if (value)
      set(*value, ttl_ms);
    return value.has_value();
  }

private:
  struct lookup {
    explicit lookup(entry& e) : found(e.w_.find(e.where_, e.key_)) {}
    const std::optional<lmdb_found> found;
  };
  const std::optional<lmdb_found>& found() {
    return (lookup_ ? *lookup_ : lookup_.emplace(*this)).found;
  }

  lmdb_writing& w_;
  const lmdb_key& where_;
  const term& key_;
  std::optional<lookup> lookup_;
};

} // namespace hornbeam::runtime
