#include "runtime/memory_table.hpp"

#include <algorithm>

namespace hornbeam::runtime {

namespace {

term sum(const term& a, const term& b) {
  if (a.is(term::kind::integer) && b.is(term::kind::integer)) {
    std::int64_t x = 0;
    if (!__builtin_add_overflow(a.as_int(), b.as_int(), &x))
      return term{x};
  }
  return term{big_integer{a.as_big() + b.as_big()}};
}

} // namespace

std::optional<term> memory_table::get(const term& key) const {
  auto& s = shard_of(key);
  std::lock_guard guard{s.mutex};
  auto i = s.entries.find(key);
  if (i == s.entries.end())
    return std::nullopt;
  return i->second;
}

bool memory_table::contains(const term& key) const {
  auto& s = shard_of(key);
  std::lock_guard guard{s.mutex};
  return s.entries.contains(key);
}

void memory_table::set(const term& key, term value) {
  auto& s = shard_of(key);
  // The old value is destroyed after the lock is given back: it may be large.
  std::lock_guard guard{s.mutex};
  std::swap(s.entries[key], value);
}

bool memory_table::insert_new(const term& key, term value) {
  auto& s = shard_of(key);
  std::lock_guard guard{s.mutex};
  return s.entries.emplace(key, std::move(value)).second;
}

std::optional<term> memory_table::take(const term& key) {
  auto& s = shard_of(key);
  std::lock_guard guard{s.mutex};
  auto i = s.entries.find(key);
  if (i == s.entries.end())
    return std::nullopt;
  auto out = std::move(i->second);
  s.entries.erase(i);
  return out;
}

term memory_table::update_counter(const term& key, const term& delta) {
  if (!delta.is_any_integer())
    throw bad_term(std::string{"the delta of a counter must be an integer, "
                               "not "}
                   + kind_name(delta.type()));
  auto& s = shard_of(key);
  std::lock_guard guard{s.mutex};
  auto i = s.entries.find(key);
  if (i == s.entries.end()) {
    s.entries.emplace(key, delta);
    return delta;
  }
  if (!i->second.is_any_integer())
    throw bad_term("the value of " + to_string(key) + " is no integer but "
                   + kind_name(i->second.type()) + "; it is unchanged");
  i->second = sum(i->second, delta);
  return i->second;
}

std::vector<term> memory_table::keys() const {
  std::vector<term> out;
  for (auto& s : shards_) {
    std::lock_guard guard{s.mutex};
    for (auto& [k, v] : s.entries)
      out.push_back(k);
  }
  return out;
}

std::vector<term> memory_table::keys(std::string_view prefix) const {
  std::vector<term> out;
  for (auto& s : shards_) {
    std::lock_guard guard{s.mutex};
    for (auto& [k, v] : s.entries)
      if (k.is(term::kind::string) && k.text().starts_with(prefix))
        out.push_back(k);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::size_t memory_table::size() const noexcept {
  std::size_t n = 0;
  for (auto& s : shards_) {
    std::lock_guard guard{s.mutex};
    n += s.entries.size();
  }
  return n;
}

void memory_table::clear() {
  for (auto& s : shards_) {
    decltype(s.entries) old;
    std::lock_guard guard{s.mutex};
    old.swap(s.entries);
  }
}

void memory_table::lock_all() const {
  for (auto& s : shards_)
    s.mutex.lock();
}

void memory_table::unlock_all() const {
  for (auto& s : shards_)
    s.mutex.unlock();
}

std::shared_ptr<memory_table> memory_tables::open(const std::string& name) {
  std::lock_guard guard{mutex_};
  auto& t = tables_[name];
  if (!t)
    t = std::make_shared<memory_table>(name);
  return t;
}

void memory_tables::adopt(std::shared_ptr<memory_table> x) {
  std::lock_guard guard{mutex_};
  tables_[x->name()] = std::move(x);
}

std::shared_ptr<memory_table> memory_tables::find(
  const std::string& name) const {
  std::lock_guard guard{mutex_};
  auto i = tables_.find(name);
  return i != tables_.end() ? i->second : nullptr;
}

std::vector<std::shared_ptr<memory_table>> memory_tables::all() const {
  std::lock_guard guard{mutex_};
  std::vector<std::shared_ptr<memory_table>> out;
  for (auto& [name, t] : tables_)
    out.push_back(t);
  return out;
}

void memory_tables::lock_all() const {
  mutex_.lock();
  for (auto& [name, t] : tables_)
    t->lock_all();
}

void memory_tables::unlock_all() const {
  for (auto& [name, t] : tables_)
    t->unlock_all();
  mutex_.unlock();
}

} // namespace hornbeam::runtime
