#include "runtime/memory_table.hpp"

#include <algorithm>

namespace hornbeam::runtime {

memory_table::memory_table(std::string name, table_options options)
  : table(std::move(name), std::move(options)) {
  if (this->options().kind != table_kind::set)
    throw failed{error_code::bad_value, "only tables of kind set yet"};
}

std::optional<term> memory_table::do_get(const term& key) const {
  std::lock_guard guard{mutex_};
  auto i = entries_.find(key);
  if (i == entries_.end())
    return std::nullopt;
  return i->second;
}

bool memory_table::do_contains(const term& key) const {
  std::lock_guard guard{mutex_};
  return entries_.contains(key);
}

void memory_table::do_set(const term& key, term value, std::int64_t) {
  std::lock_guard guard{mutex_};
  std::swap(entries_[key], value);
}

bool memory_table::do_insert_new(const term& key, term value, std::int64_t) {
  std::lock_guard guard{mutex_};
  return entries_.emplace(key, std::move(value)).second;
}

std::optional<term> memory_table::do_take(const term& key) {
  std::lock_guard guard{mutex_};
  auto i = entries_.find(key);
  if (i == entries_.end())
    return std::nullopt;
  auto out = std::move(i->second);
  entries_.erase(i);
  return out;
}

std::size_t memory_table::do_erase_object(const term& key, const term& value) {
  std::lock_guard guard{mutex_};
  auto i = entries_.find(key);
  if (i == entries_.end() || i->second != value)
    return 0;
  entries_.erase(i);
  return 1;
}

std::optional<term> memory_table::do_swap(const term& key, term value,
                                          std::int64_t) {
  std::lock_guard guard{mutex_};
  auto [i, fresh] = entries_.try_emplace(key);
  std::swap(i->second, value);
  return fresh ? std::nullopt : std::optional{std::move(value)};
}

swap_result memory_table::do_compare_and_swap(
  const term& key, const std::optional<term>& expected,
  std::optional<term> desired, std::int64_t) {
  std::lock_guard guard{mutex_};
  swap_result out;
  auto i = entries_.find(key);
  if (i != entries_.end())
    out.found = i->second;
  out.done = out.found == expected;
  if (!out.done)
    return out;
  if (desired)
    entries_[key] = *std::move(desired);
  else if (i != entries_.end())
    entries_.erase(i);
  return out;
}

term memory_table::do_update_counter(const term& key, const term& delta,
                                     std::int64_t) {
  std::lock_guard guard{mutex_};
  auto i = entries_.find(key);
  auto sum = count(key, i == entries_.end() ? term{0} : i->second, delta);
  entries_[key] = sum;
  return sum;
}

std::vector<term> memory_table::do_update_counters(
  const term& key, std::span<const counter_op> ops, const term& initial,
  std::int64_t) {
  std::lock_guard guard{mutex_};
  std::vector<term> out;
  auto i = entries_.find(key);
  entries_[key] = count(key, i == entries_.end() ? initial : i->second, ops,
                        &out);
  return out;
}

bool memory_table::do_expire(const term& key, std::int64_t) {
  return do_contains(key);
}

std::optional<std::int64_t> memory_table::do_left_ms(const term& key) const {
  return do_contains(key) ? std::optional<std::int64_t>{0} : std::nullopt;
}

std::vector<std::optional<term>> memory_table::do_get_many(
  std::span<const term> keys) const {
  std::vector<std::optional<term>> out;
  for (auto& k : keys)
    out.push_back(do_get(k));
  return out;
}

void memory_table::do_set_many(term::entries entries, std::int64_t) {
  std::lock_guard guard{mutex_};
  for (auto& [k, v] : entries)
    std::swap(entries_[k], v);
}

bool memory_table::do_insert_all_new(term::entries entries, std::int64_t) {
  std::lock_guard guard{mutex_};
  for (auto& [k, v] : entries)
    if (entries_.contains(k))
      return false;
  for (auto& [k, v] : entries)
    std::swap(entries_[k], v);
  return true;
}

void memory_table::do_clear() {
  decltype(entries_) old;
  std::lock_guard guard{mutex_};
  old.swap(entries_);
}

std::size_t memory_table::do_size() const {
  std::lock_guard guard{mutex_};
  return entries_.size();
}

std::vector<term> memory_table::do_keys(std::string_view prefix,
                                        std::size_t limit) const {
  std::vector<term> out;
  {
    std::lock_guard guard{mutex_};
    for (auto& [k, v] : entries_)
      if (k.is(term::kind::string) && k.text().starts_with(prefix))
        out.push_back(k);
  }
  std::sort(out.begin(), out.end());
  out.resize(std::min(out.size(), limit));
  return out;
}

table_batch memory_table::do_scan(const term&, std::size_t) const {
  std::lock_guard guard{mutex_};
  return {{entries_.begin(), entries_.end()}, {}};
}

void memory_table::add_info(term::entries&) const {}

std::vector<table_entry> memory_table::dump() const {
  std::lock_guard guard{mutex_};
  std::vector<table_entry> out;
  for (auto& [k, v] : entries_)
    out.push_back({k, v, 0});
  return out;
}

void memory_table::replace(std::vector<table_entry> entries) {
  decltype(entries_) fresh;
  for (auto& x : entries)
    fresh[x.key] = std::move(x.value);
  std::lock_guard guard{mutex_};
  fresh.swap(entries_);
}

void memory_table::before_fork() const {
  mutex_.lock();
}
void memory_table::after_fork_in_parent() const {
  mutex_.unlock();
}
void memory_table::after_fork_in_child() const {
  mutex_.unlock();
}

} // namespace hornbeam::runtime
