#include "runtime/table/host.hpp"
#include "runtime/table_memory/lock.hpp"

// Walks over a memory table, and what is done with all of its entries.

namespace hornbeam::runtime {

namespace {

/// Entries that are copied while a lock is held.
constexpr std::size_t batch_size = 1024;

} // namespace

// -- keys in order ------------------------------------------------------------

namespace {

void apply(ordered_index& x, const term& key, bool add) {
  if (add)
    x.insert(key);
  else
    x.erase(key);
}

} // namespace

/// Called with the lock of the key's shard.
void memory_table::change_index(const term& key, bool add) const {
  lock_scope guard{index_mutex_};
  if (index_changes_)
    index_changes_->emplace_back(key, add);
  else
    apply(index_, numeric_equality_ ? without_integral_floats(key) : key, add);
}

/// Sorts the keys that are there, with no lock held that others need: what
/// they change meanwhile is written down, and done when the keys are sorted.
void memory_table::build_index() const {
  lock_scope building{build_mutex_};
  if (indexed_)
    return;
  {
    lock_scope guard{index_mutex_};
    index_changes_ = std::make_unique<key_changes>();
  }
  std::vector<term> keys;
  for (std::uint64_t n = 0; n <= last_shard_; ++n) {
    auto& s = shards_[n];
    lock_scope guard{s.mutex};
    for (slot i = 0; i < s.store.end(); ++i)
      if (s.store.live(i) && s.store.at(i).key.is(term::kind::string))
        keys.push_back(s.store.at(i).key);
    s.indexed = true; // from here on its changes are written down
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end()); // of bags
  ordered_index made{std::move(keys)};
  for (bool last = false; !last;) {
    constexpr std::size_t few = 1000;
    key_changes changes;
    std::unique_lock lock{index_mutex_};
    changes.swap(*index_changes_);
    last = changes.size() <= few;
    if (!last)
      lock.unlock();
    for (auto& [key, add] : changes)
      apply(made, key, add);
    if (last) {
      std::swap(index_, made);
      index_changes_ = nullptr;
      indexed_ = true;
    }
  }
}

std::vector<term> memory_table::do_keys(std::string_view prefix,
                                        std::size_t limit) const {
  build_index();
  purge_all();
  std::vector<term> out;
  for (bool more = true; more;) {
    auto n = std::min(limit - out.size(), batch_size);
    lock_scope guard{index_mutex_};
    more = index_.collect(prefix, out.empty() ? nullptr : &out.back(), n, out)
           && out.size() < limit;
  }
  return out;
}

// -- walks --------------------------------------------------------------------

/// The place to go on is the number of a slot: the shard's in its upper half.
table_batch memory_table::do_scan(const term& from, std::size_t limit) const {
  if (numeric_equality_)
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
    lock_scope guard{index_mutex_};
    more = index_.collect(last, true, std::min(limit, batch_size), keys);
  }
  table_batch out;
  out.entries.reserve(keys.size());
  for (auto& key : keys) {
    auto hash = hash_of(key);
    held lock{*this, bit_of(hash)};
    auto& s = shard_of(hash);
    if (auto i = slot_of(s, hash, key); i != nowhere)
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
  std::unique_lock building{build_mutex_};
  if (indexed_) { // and so it stays; both locks have the same rank
    building.unlock();
    fresh.build_index();
    building.lock();
  }
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
  if (watchers_.any() && !ended()) {
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
  lock_scope index{index_mutex_};
  std::swap(index_, fresh.index_);
}

void memory_table::forget() {
  replace({});
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

void memory_table::unlock_all() const {
  index_mutex_.unlock();
  for (std::uint64_t n = 0; n <= last_shard_; ++n)
    shards_[n].mutex.unlock();
  build_mutex_.unlock();
}

void memory_table::after_fork_in_parent() const {
  watchers_.after_fork_in_parent();
  unlock_all();
}

void memory_table::after_fork_in_child() const {
  watchers_.after_fork_in_child();
  unlock_all();
  armed_ = never; // the clock that was set is the parent's
}

} // namespace hornbeam::runtime
