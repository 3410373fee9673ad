#include "runtime/table_memory/table.hpp"

#include <algorithm>
#include <chrono>

#include "runtime/table/host.hpp"
#include "runtime/table/operations.hpp"
#include "runtime/table_memory/entry.hpp"

namespace hornbeam::runtime {

namespace {

constexpr std::uint64_t shard_count = 64;
constexpr ticks ms_in_ticks = 1'000'000;

} // namespace

memory_table::memory_table(std::string name, table_options options)
  : local_table(std::move(name), std::move(options)),
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
  if (options().max_bytes == 0)
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
    lock_scope guard{s.mutex};
    if (!s.expiry)
      continue;
    purge(lock, s, most);
    next = std::min(next, s.expiry->next());
  }
  if (next != never)
    arm(next);
}

// -- all of them --------------------------------------------------------------

std::size_t memory_table::do_size() const {
  purge_all();
  std::size_t n = 0;
  for (std::uint64_t i = 0; i <= last_shard_; ++i) {
    lock_scope guard{shards_[i].mutex};
    n += shards_[i].store.size();
  }
  return n;
}

template class local_table<memory_table>;

} // namespace hornbeam::runtime
