#include "runtime/table_memory/table.hpp"

#include <algorithm>
#include <chrono>

#include "runtime/table/host.hpp"
#include "runtime/table_memory/lock.hpp"
#include "runtime/term/term_size.hpp"

namespace hornbeam::runtime {

namespace {

constexpr std::uint64_t shard_count = 64;
constexpr ticks ms_in_ticks = 1'000'000;

} // namespace

memory_table::memory_table(std::string name, table_options options)
  : table(std::move(name), std::move(options)),
    numeric_equality_(this->options().kind == table_kind::ordered_set),
    last_shard_(this->options().max_entries != 0
                    || this->options().max_bytes != 0
                  ? 0
                  : shard_count - 1),
    shards_(std::make_unique<shard[]>(last_shard_ + 1)),
    bounds_(last_shard_ == 0 ? std::make_unique<bounds>() : nullptr) {
  if (numeric_equality_) {
    for (std::uint64_t i = 0; i <= last_shard_; ++i)
      shards_[i].indexed = true;
    indexed_ = true;
  }
}

std::uint64_t memory_table::hash_of(const term& key) const noexcept {
  auto h = numeric_equality_ ? without_integral_floats(key).hash() : key.hash();
  return h * 0x9e3779b97f4a7c15ull;
}

ticks memory_table::now() const noexcept {
  if (auto* h = host())
    return h->now();
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

std::int64_t memory_table::left(ticks at, ticks moment) noexcept {
  return std::max<std::int64_t>(1,
                                (at - moment + ms_in_ticks - 1) / ms_in_ticks);
}

void memory_table::check_fits(const term& key, const term& value) const {
  if (!bounds_ || options().max_bytes == 0)
    return;
  auto n = bytes_of(key) + bytes_of(value);
  if (n > options().max_bytes)
    throw failed{error_code::bad_value,
                 "an entry of " + std::to_string(n) + " bytes for "
                   + to_string(key) + ": the table '" + name()
                   + "' holds at most " + std::to_string(options().max_bytes)
                   + " (max_bytes)"};
}

// -- one entry, with its shard locked -----------------------------------------

memory_table::slot memory_table::find(const shard& s, std::uint64_t hash,
                                      const term& key) const noexcept {
  return s.store.find(entry_store::short_hash(hash), key, numeric_equality_);
}

term memory_table::value_at(const shard& s, slot i, const term& key) const {
  touch(i);
  if (!is_bag())
    return s.store.at(i).value;
  term::sequence all{s.store.at(i).value};
  while ((i = s.store.find_older(i, key, numeric_equality_)) != nowhere) {
    touch(i);
    all.push_back(s.store.at(i).value);
  }
  std::reverse(all.begin(), all.end());
  return term::list(std::move(all));
}

/// The value that was there is in `value` afterwards.
void memory_table::put(held& lock, shard& s, std::uint64_t hash,
                       const term& key, term& value, std::int64_t ttl_ms) {
  auto i = find(s, hash, key);
  if (options().kind == table_kind::bag)
    while (i != nowhere && s.store.at(i).value != value)
      i = s.store.find_older(i, key, numeric_equality_);
  if (i == nowhere || options().kind == table_kind::duplicate_bag)
    return add(lock, s, hash, key, std::move(value), ttl_ms);
  if (numeric_equality_)
    s.store.at(i).key = key; // 1.0 takes the place of 1
  set_time(lock, s, i, ttl_ms);
  change(lock, s, i, value);
}

void memory_table::add(held& lock, shard& s, std::uint64_t hash,
                       const term& key, term value, std::int64_t ttl_ms) {
  if (watchers_.any())
    lock.note({table_event::kind::set, key, {}, value});
  auto i = s.store.add(entry_store::short_hash(hash), key, std::move(value));
  if (in_index(s, key))
    change_index(key, true);
  if (ttl_ms != 0)
    set_time(lock, s, i, ttl_ms);
  if (bounds_) {
    bounds_->used.add(i);
    auto& e = s.store.at(i);
    bounds_->bytes += bytes_of(e.key) + bytes_of(e.value);
    evict(lock, s);
  }
}

/// Exchanges `value` and that of the entry.
void memory_table::change(held& lock, shard& s, slot i, term& value) {
  auto& e = s.store.at(i);
  if (watchers_.any())
    lock.note({table_event::kind::set, e.key, e.value, value});
  std::swap(e.value, value);
  if (bounds_) {
    bounds_->used.touch(i);
    bounds_->bytes += bytes_of(e.value);
    bounds_->bytes -= bytes_of(value);
    evict(lock, s);
  }
}

std::pair<term, term> memory_table::remove(held& lock, shard& s, slot i,
                                           table_event::kind why) {
  auto hash = s.store.at(i).hash;
  if (s.expiry)
    s.expiry->erase(i);
  if (bounds_)
    bounds_->used.remove(i);
  auto gone = s.store.remove(i);
  auto& [key, value] = gone;
  if (bounds_)
    bounds_->bytes -= bytes_of(key) + bytes_of(value);
  if (in_index(s, key)
      && (!is_bag() || s.store.find(hash, key, numeric_equality_) == nowhere))
    change_index(key, false);
  if (watchers_.any())
    lock.note({why, key, value, {}});
  return gone;
}

std::optional<term> memory_table::take_all(held& lock, shard& s,
                                           std::uint64_t hash,
                                           const term& key) {
  auto i = find(s, hash, key);
  if (i == nowhere)
    return std::nullopt;
  if (!is_bag()) {
    auto gone = remove(lock, s, i, table_event::kind::erased);
    auto out = std::move(gone.second);
    lock.keep(std::move(gone));
    return out;
  }
  term::sequence all;
  for (; i != nowhere; i = find(s, hash, key)) {
    auto gone = remove(lock, s, i, table_event::kind::erased);
    all.push_back(gone.second);
    lock.keep(std::move(gone));
  }
  std::reverse(all.begin(), all.end());
  return term::list(std::move(all));
}

// -- time to live, bounds -----------------------------------------------------

void memory_table::set_time(held& lock, shard& s, slot i, std::int64_t ttl_ms) {
  if (ttl_ms == 0) {
    if (s.expiry)
      s.expiry->erase(i);
    return;
  }
  if (!s.expiry) {
    s.expiry = std::make_unique<expiry_heap>();
    has_times_ = true;
  }
  auto from = now();
  auto at = ttl_ms > (never - from) / ms_in_ticks ? never
                                                  : from + ttl_ms * ms_in_ticks;
  s.expiry->set(i, at);
  lock.expires(at);
}

void memory_table::purge(held& lock, shard& s, std::size_t most) const {
  if (s.expiry->empty())
    return;
  auto moment = now();
  auto& self = const_cast<memory_table&>(*this);
  for (; most > 0 && s.expiry->next() <= moment; --most) {
    lock.keep(
      self.remove(lock, s, s.expiry->front(), table_event::kind::expired));
    expired_.fetch_add(1, std::memory_order_relaxed);
  }
}

void memory_table::purge_all() const {
  if (!has_times_)
    return;
  for (std::uint64_t i = 0; i <= last_shard_; ++i)
    held{*this, std::uint64_t{1} << i};
}

void memory_table::evict(held& lock, shard& s) {
  auto& o = options();
  while ((o.max_entries != 0 && s.store.size() > o.max_entries)
         || (o.max_bytes != 0 && bounds_->bytes > o.max_bytes)) {
    lock.keep(
      remove(lock, s, bounds_->used.oldest(), table_event::kind::evicted));
    evicted_.fetch_add(1, std::memory_order_relaxed);
  }
}

/// Has `sweep` called at `at`, unless it will be called before.
void memory_table::arm(ticks at) const {
  auto* h = host();
  if (h == nullptr)
    return;
  auto before = armed_.load();
  while (at < before)
    if (armed_.compare_exchange_weak(before, at)) {
      h->at(at, [weak = weak_from_this()] {
        if (auto t = weak.lock())
          t->sweep();
      });
      return;
    }
}

/// Removes what has expired. The clock has others to serve: after some
/// thousand entries they have their turn.
void memory_table::sweep() const {
  constexpr std::size_t most = 128;
  armed_ = never;
  auto next = never;
  for (std::uint64_t i = 0; i <= last_shard_; ++i) {
    auto& s = shards_[i];
    held lock{*this, 0};
    std::lock_guard guard{s.mutex};
    if (!s.expiry)
      continue;
    purge(lock, s, most);
    next = std::min(next, s.expiry->next());
  }
  if (next != never)
    arm(next);
}

// -- operations on one key ----------------------------------------------------

std::optional<term> memory_table::do_get(const term& key) const {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  auto i = find(s, hash, key);
  if (i == nowhere)
    return std::nullopt;
  return value_at(s, i, key);
}

bool memory_table::do_contains(const term& key) const {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto i = find(shard_of(hash), hash, key);
  if (i == nowhere)
    return false;
  touch(i);
  return true;
}

void memory_table::do_set(const term& key, term value, std::int64_t ttl_ms) {
  check_fits(key, value);
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  put(lock, shard_of(hash), hash, key, value, ttl_ms);
}

bool memory_table::do_insert_new(const term& key, term value,
                                 std::int64_t ttl_ms) {
  check_fits(key, value);
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  if (auto i = find(s, hash, key); i != nowhere) {
    touch(i);
    return false;
  }
  add(lock, s, hash, key, std::move(value), ttl_ms);
  return true;
}

std::optional<term> memory_table::do_take(const term& key) {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  return take_all(lock, shard_of(hash), hash, key);
}

std::size_t memory_table::do_erase_object(const term& key, const term& value) {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  std::size_t n = 0;
  for (auto i = find(s, hash, key); i != nowhere;) {
    auto older = s.store.find_older(i, key, numeric_equality_);
    if (s.store.at(i).value == value) {
      lock.keep(remove(lock, s, i, table_event::kind::erased));
      ++n;
    }
    i = older;
  }
  return n;
}

std::optional<term> memory_table::do_swap(const term& key, term value,
                                          std::int64_t ttl_ms) {
  check_fits(key, value);
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  bool there = find(s, hash, key) != nowhere;
  put(lock, s, hash, key, value, ttl_ms);
  return there ? std::optional{std::move(value)} : std::nullopt;
}

swap_result memory_table::do_compare_and_swap(
  const term& key, const std::optional<term>& expected,
  std::optional<term> desired, std::int64_t ttl_ms) {
  if (desired)
    check_fits(key, *desired);
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  swap_result out;
  auto i = find(s, hash, key);
  if (i != nowhere)
    out.found = value_at(s, i, key);
  out.done = out.found == expected;
  if (!out.done)
    return out;
  if (desired)
    put(lock, s, hash, key, *desired, ttl_ms);
  else if (i != nowhere)
    take_all(lock, s, hash, key);
  return out;
}

term memory_table::do_update_counter(const term& key, const term& delta,
                                     std::int64_t ttl_ms) {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  auto i = find(s, hash, key);
  if (i == nowhere) {
    auto sum = count(key, term{0}, delta);
    add(lock, s, hash, key, sum, ttl_ms);
    return sum;
  }
  auto sum = count(key, s.store.at(i).value, delta);
  auto value = sum;
  change(lock, s, i, value);
  return sum;
}

std::vector<term> memory_table::do_update_counters(
  const term& key, std::span<const counter_op> ops, const term& initial,
  std::int64_t ttl_ms) {
  check_fits(key, initial);
  std::vector<term> results;
  term value;
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  auto i = find(s, hash, key);
  value = count(key, i == nowhere ? initial : s.store.at(i).value, ops,
                &results);
  if (i == nowhere)
    add(lock, s, hash, key, std::move(value), ttl_ms);
  else
    change(lock, s, i, value);
  return results;
}

bool memory_table::do_expire(const term& key, std::int64_t ttl_ms) {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  auto first = find(s, hash, key);
  for (auto i = first; i != nowhere;
       i = s.store.find_older(i, key, numeric_equality_)) {
    touch(i);
    set_time(lock, s, i, ttl_ms);
  }
  return first != nowhere;
}

std::optional<std::int64_t> memory_table::do_left_ms(const term& key) const {
  auto hash = hash_of(key);
  held lock{*this, bit_of(hash)};
  auto& s = shard_of(hash);
  auto i = find(s, hash, key);
  if (i == nowhere)
    return std::nullopt;
  touch(i);
  auto at = s.expiry ? s.expiry->of(i) : never;
  if (at == never)
    return 0;
  return left(at, now());
}

// -- operations on several keys -----------------------------------------------

std::vector<std::optional<term>> memory_table::do_get_many(
  std::span<const term> keys) const {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(keys.size());
  std::uint64_t bits = 0;
  for (auto& key : keys) {
    hashes.push_back(hash_of(key));
    bits |= bit_of(hashes.back());
  }
  std::vector<std::optional<term>> out(keys.size());
  held lock{*this, bits};
  for (std::size_t n = 0; n < keys.size(); ++n) {
    auto& s = shard_of(hashes[n]);
    if (auto i = find(s, hashes[n], keys[n]); i != nowhere)
      out[n] = value_at(s, i, keys[n]);
  }
  return out;
}

/// The hash of each key, and a bit for each of their shards. Raises if one of
/// the entries can't be in this table.
std::pair<std::vector<std::uint64_t>, std::uint64_t> memory_table::hashes_of(
  const term::entries& entries) const {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(entries.size());
  std::uint64_t bits = 0;
  for (auto& [key, value] : entries) {
    check_fits(key, value);
    hashes.push_back(hash_of(key));
    bits |= bit_of(hashes.back());
  }
  return {std::move(hashes), bits};
}

void memory_table::do_set_many(term::entries entries, std::int64_t ttl_ms) {
  auto [hashes, bits] = hashes_of(entries);
  held lock{*this, bits};
  for (std::size_t n = 0; n < entries.size(); ++n)
    put(lock, shard_of(hashes[n]), hashes[n], entries[n].first,
        entries[n].second, ttl_ms);
}

bool memory_table::do_insert_all_new(term::entries entries,
                                     std::int64_t ttl_ms) {
  auto [hashes, bits] = hashes_of(entries);
  held lock{*this, bits};
  for (std::size_t n = 0; n < entries.size(); ++n)
    if (find(shard_of(hashes[n]), hashes[n], entries[n].first) != nowhere)
      return false;
  for (std::size_t n = 0; n < entries.size(); ++n)
    put(lock, shard_of(hashes[n]), hashes[n], entries[n].first,
        entries[n].second, ttl_ms);
  return true;
}

std::size_t memory_table::do_size() const {
  purge_all();
  std::size_t n = 0;
  for (std::uint64_t i = 0; i <= last_shard_; ++i) {
    std::lock_guard guard{shards_[i].mutex};
    n += shards_[i].store.size();
  }
  return n;
}

void memory_table::do_clear() {
  replace({});
}

} // namespace hornbeam::runtime
