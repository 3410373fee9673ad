#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/table_memory/lock.hpp"
#include "runtime/term/term_size.hpp"

namespace hornbeam::runtime {

/// What is under one key, with its shard locked; see `local_table`.
class memory_table::found {
public:
  found(const memory_table& t, std::uint64_t hash, const term& key)
    : t_(t),
      shard_(t.shard_of(hash)),
      key_(key),
      newest_(t.slot_of(shard_, hash, key)) {}

  bool there() const noexcept { return newest_ != nowhere; }
  bool use() const noexcept {
    if (!there())
      return false;
    t_.touch(newest_);
    return true;
  }
  std::optional<term> get() const {
    if (!use())
      return std::nullopt;
    auto& newest = shard_.store.at(newest_).value;
    return t_.is_bag() ? all_values() : newest;
  }
  std::int64_t left_ms() const {
    auto at = shard_.expiry ? shard_.expiry->of(newest_) : never;
    return at == never ? 0 : left(at, t_.now());
  }

protected:
  slot older(slot i) const noexcept {
    return shard_.store.find_older(i, key_, t_.numeric_equality_);
  }
  term all_values() const {
    term::sequence all;
    for (auto i = newest_; i != nowhere; i = older(i)) {
      t_.touch(i);
      all.push_back(shard_.store.at(i).value);
    }
    std::reverse(all.begin(), all.end());
    return term::list(std::move(all));
  }

  const memory_table& t_;
  shard& shard_;
  const term& key_;
  const slot newest_;
};

/// The same, for who may change it.
class memory_table::entry : public found {
public:
  entry(memory_table& t, held& lock, std::uint64_t hash, const term& key)
    : found(t, hash, key), table_(t), lock_(lock), hash_(hash) {}

  const term& value_or(const term& x) const noexcept {
    return there() ? shard_.store.at(newest_).value : x;
  }
  void set(term& value, std::int64_t ttl_ms) {
    auto kind = table_.options().kind;
    auto i = newest_;
    if (kind == table_kind::bag)
      while (i != nowhere && shard_.store.at(i).value != value)
        i = older(i);
    if (i == nowhere || kind == table_kind::duplicate_bag)
      return add(value, ttl_ms);
    if (table_.numeric_equality_)
      shard_.store.at(i).key = key_; // 1.0 takes the place of 1
    table_.set_time(lock_, shard_, i, ttl_ms);
    exchange(i, value);
  }
  std::optional<term> swap(term& value, std::int64_t ttl_ms) {
    set(value, ttl_ms);
    return there() ? std::optional{std::move(value)} : std::nullopt;
  }
  void update(term& value) { exchange(newest_, value); }
  std::optional<term> take() {
    if (!there())
      return std::nullopt;
    if (!table_.is_bag())
      return remove(newest_);
    auto all = all_values();
    erase();
    return all;
  }
  void erase() {
    for (auto i = newest_; i != nowhere;) {
      auto next = table_.is_bag() ? older(i) : nowhere;
      remove(i);
      i = next;
    }
  }
  std::size_t erase(const term& value) {
    std::size_t n = 0;
    for (auto i = newest_; i != nowhere;) {
      auto next = older(i);
      if (shard_.store.at(i).value == value) {
        remove(i);
        ++n;
      }
      i = next;
    }
    return n;
  }
  bool expire(std::int64_t ttl_ms) {
    for (auto i = newest_; i != nowhere; i = older(i)) {
      table_.touch(i);
      table_.set_time(lock_, shard_, i, ttl_ms);
    }
    return there();
  }

private:
  void add(term& value, std::int64_t ttl_ms) {
    if (table_.watchers_.any())
      lock_.note({table_event::kind::set, key_, {}, value});
    auto i = shard_.store.add(entry_store::short_hash(hash_), key_,
                              std::move(value));
    if (table_.in_index(shard_, key_))
      table_.change_index(key_, true);
    if (ttl_ms != 0)
      table_.set_time(lock_, shard_, i, ttl_ms);
    if (auto* bounds = table_.bounds_.get()) {
      bounds->used.add(i);
      auto& e = shard_.store.at(i);
      bounds->bytes += bytes_of(e.key) + bytes_of(e.value);
      table_.evict(lock_, shard_);
    }
  }
  /// The value that was there is in `value` afterwards.
  void exchange(slot i, term& value) {
    auto& e = shard_.store.at(i);
    if (table_.watchers_.any())
      lock_.note({table_event::kind::set, e.key, e.value, value});
    std::swap(e.value, value);
    if (auto* bounds = table_.bounds_.get()) {
      bounds->used.touch(i);
      bounds->bytes += bytes_of(e.value);
      bounds->bytes -= bytes_of(value);
      table_.evict(lock_, shard_);
    }
  }
  term remove(slot i) {
    auto gone = table_.remove(lock_, shard_, i, table_event::kind::erased);
    auto value = table_.is_bag() ? gone.second : std::move(gone.second);
    lock_.keep(std::move(gone));
    return value;
  }

  memory_table& table_;
  held& lock_;
  const std::uint64_t hash_;
};

/// The hashes of several keys, and one bit for each of their shards.
struct memory_table::hashes {
  template <class Items, class KeyOf>
  hashes(const memory_table& t, const Items& items, KeyOf key_of) {
    all.reserve(items.size());
    for (auto& x : items) {
      all.push_back(t.hash_of(key_of(x)));
      shards |= t.bit_of(all.back());
    }
  }

  std::vector<std::uint64_t> all;
  std::uint64_t shards = 0;
};

template <class F>
void memory_table::find(const term& key, const F& f) const {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  f(found{*this, hash, key});
}

template <class F>
void memory_table::find_many(std::span<const term> keys, const F& f) const {
  hashes h{*this, keys, [](auto& x) -> const term& { return x; }};
  held lock{*this, h.shards};
  f([&](std::size_t n) { return found{*this, h.all[n], keys[n]}; });
}

template <class F>
void memory_table::change(const term& key, const F& f) {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  f(entry{*this, lock, hash, key});
}

template <class F>
void memory_table::change_many(const term::entries& entries, const F& f) {
  hashes h{*this, entries, [](auto& x) -> const term& { return x.first; }};
  held lock{*this, h.shards};
  f([&](std::size_t n) {
    return entry{*this, lock, h.all[n], entries[n].first};
  });
}

} // namespace hornbeam::runtime
