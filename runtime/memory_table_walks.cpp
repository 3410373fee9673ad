#include "runtime/memory_table_lock.hpp"
#include "runtime/table_host.hpp"

// Walks over a memory table, and what is done with all of its entries.

namespace hornbeam::runtime {

namespace {

/// Entries that are copied while a lock is held.
constexpr std::size_t batch_size = 1024;

} // namespace

// -- keys in order ------------------------------------------------------------

bool memory_table::in_index(const shard& s, const term& key) const noexcept {
  return s.indexed && (loose_ || key.is(term::kind::string));
}

/// Sorts the keys that are there; from here on each change keeps the order.
void memory_table::build_index() const {
  std::lock_guard building{build_mutex_};
  if (indexed_)
    return;
  for (std::uint64_t n = 0; n <= last_shard_; ++n) {
    auto& s = shards_[n];
    std::lock_guard guard{s.mutex};
    std::vector<term> keys;
    keys.reserve(s.store.size());
    for (slot i = 0; i < s.store.end(); ++i)
      if (s.store.live(i) && s.store.at(i).key.is(term::kind::string))
        keys.push_back(s.store.at(i).key);
    std::sort(keys.begin(), keys.end());
    std::lock_guard index{index_mutex_};
    for (auto& key : keys)
      index_.insert(key);
    s.indexed = true;
  }
  indexed_ = true;
}

std::vector<term> memory_table::do_keys(std::string_view prefix,
                                        std::size_t limit) const {
  build_index();
  purge_all();
  std::vector<term> out;
  for (bool more = true; more;) {
    auto n = std::min(limit - out.size(), batch_size);
    std::lock_guard guard{index_mutex_};
    more = index_.collect(prefix, out.empty() ? nullptr : &out.back(), n, out)
           && out.size() < limit;
  }
  return out;
}

// -- walks --------------------------------------------------------------------

/// The place to go on is the number of a slot: the shard's in its upper half.
table_batch memory_table::do_scan(const term& from, std::size_t limit) const {
  if (loose_)
    return scan_in_order(from, limit);
  limit = std::min(limit, batch_size);
  auto at = from.is_none() ? 0 : static_cast<std::uint64_t>(from.as_int());
  table_batch out;
  for (auto n = at >> 32; n <= last_shard_; ++n, at = 0) {
    held lock{*this, std::uint64_t{1} << n};
    auto& s = shards_[n].store;
    for (auto i = static_cast<slot>(at); i < s.end(); ++i) {
      if (!s.live(i))
        continue;
      if (out.entries.size() == limit) {
        out.next = term{static_cast<std::int64_t>(n << 32 | i)};
        return out;
      }
      out.entries.emplace_back(s.at(i).key, s.at(i).value);
    }
  }
  return out;
}

/// The place to go on is a list of the last key.
table_batch memory_table::scan_in_order(const term& from,
                                        std::size_t limit) const {
  purge_all();
  std::vector<term> keys;
  bool more = false;
  {
    auto* last = from.is_none() ? nullptr : &from.items().front();
    std::lock_guard guard{index_mutex_};
    more = index_.collect(last, true, std::min(limit, batch_size), keys);
  }
  table_batch out;
  out.entries.reserve(keys.size());
  for (auto& key : keys) {
    auto hash = hash_of(key);
    held lock{*this, bit_of(hash)};
    auto& s = shard_of(hash);
    if (auto i = find(s, hash, key); i != nowhere)
      out.entries.emplace_back(s.store.at(i).key, s.store.at(i).value);
  }
  if (more)
    out.next = term::list({keys.back()});
  return out;
}

// -- all entries at one moment ------------------------------------------------

std::vector<table_entry> memory_table::dump() const {
  std::vector<table_entry> out;
  held lock{*this, every_shard()};
  auto moment = now();
  lock.for_each([&](shard& s) {
    for (auto i : s.store.in_order()) {
      auto& e = s.store.at(i);
      auto at = s.expiry ? s.expiry->of(i) : never;
      out.push_back({e.key, e.value, at == never ? 0 : left(at, moment)});
    }
  });
  return out;
}

void memory_table::replace(std::vector<table_entry> entries) {
  memory_table fresh{name(), options()};
  fresh.attach(attached());
  for (auto& x : entries)
    fresh.do_set(x.key, std::move(x.value), x.left_ms);
  std::lock_guard building{build_mutex_};
  if (indexed_)
    fresh.build_index();
  held lock{*this, every_shard()};
  auto note = [&](const memory_table& of, bool set) {
    for (std::uint64_t n = 0; n <= last_shard_; ++n)
      for (auto i : of.shards_[n].store.in_order()) {
        auto& e = of.shards_[n].store.at(i);
        if (set)
          lock.note({table_event::kind::set, e.key, {}, e.value});
        else
          lock.note({table_event::kind::erased, e.key, e.value, {}});
      }
  };
  if (watchers_.any()) {
    note(*this, false);
    note(fresh, true);
  }
  for (std::uint64_t n = 0; n <= last_shard_; ++n) {
    auto& s = shards_[n];
    std::swap(s.store, fresh.shards_[n].store);
    std::swap(s.expiry, fresh.shards_[n].expiry);
    if (s.expiry)
      lock.expires(s.expiry->next());
  }
  if (fresh.has_times_)
    has_times_ = true;
  if (bounds_)
    std::swap(*bounds_, *fresh.bounds_);
  std::lock_guard index{index_mutex_};
  std::swap(index_, fresh.index_);
}

void memory_table::add_info(term::entries& out) const {
  auto put = [&](const char* what, std::uint64_t x) {
    out.emplace_back(term::atom(what), term{static_cast<std::int64_t>(x)});
  };
  if (bounds_) {
    held lock{*this, every_shard()};
    put("bytes", bounds_->bytes);
  }
  put("expired", expired_);
  put("evicted", evicted_);
}

void memory_table::before_fork() const {
  build_mutex_.lock();
  for (std::uint64_t n = 0; n <= last_shard_; ++n)
    shards_[n].mutex.lock();
  index_mutex_.lock();
  watchers_.before_fork();
}

void memory_table::after_fork_in_parent() const {
  watchers_.after_fork();
  index_mutex_.unlock();
  for (std::uint64_t n = 0; n <= last_shard_; ++n)
    shards_[n].mutex.unlock();
  build_mutex_.unlock();
}

void memory_table::after_fork_in_child() const {
  after_fork_in_parent();
  armed_ = never; // the clock that was set is the parent's
}

} // namespace hornbeam::runtime
