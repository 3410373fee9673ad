#pragma once

#include "runtime/table/local_table.hpp"

// The operations of a local table, above what an engine has. For the source of
// an engine, which instantiates them. Values that go are in variables outside
// of `f`: they are destroyed when no lock is held any more.

namespace hornbeam::runtime {

// -- one key ------------------------------------------------------------------

template <class Engine>
std::optional<term> local_table<Engine>::do_get(const term& key) const {
  std::optional<term> out;
  engine().find(key, [&](auto&& e) { out = e.get(); });
  return out;
}

template <class Engine>
bool local_table<Engine>::do_contains(const term& key) const {
  bool out = false;
  engine().find(key, [&](auto&& e) { out = e.use(); });
  return out;
}

template <class Engine>
void local_table<Engine>::do_set(const term& key, term value,
                                 std::int64_t ttl_ms) {
  engine().check_fits(key, value);
  engine().change(key, [&](auto&& e) { e.set(value, ttl_ms); });
}

template <class Engine>
bool local_table<Engine>::do_insert_new(const term& key, term value,
                                        std::int64_t ttl_ms) {
  engine().check_fits(key, value);
  bool fresh = false;
  engine().change(key, [&](auto&& e) {
    fresh = !e.use();
    if (fresh)
      e.set(value, ttl_ms);
  });
  return fresh;
}

template <class Engine>
std::optional<term> local_table<Engine>::do_take(const term& key) {
  std::optional<term> out;
  engine().change(key, [&](auto&& e) { out = e.take(); });
  return out;
}

template <class Engine>
std::size_t local_table<Engine>::do_erase_object(const term& key,
                                                 const term& value) {
  std::size_t n = 0;
  engine().change(key, [&](auto&& e) { n = e.erase(value); });
  return n;
}

template <class Engine>
std::optional<term> local_table<Engine>::do_swap(const term& key, term value,
                                                 std::int64_t ttl_ms) {
  engine().check_fits(key, value);
  std::optional<term> before;
  engine().change(key, [&](auto&& e) { before = e.swap(value, ttl_ms); });
  return before;
}

template <class Engine>
swap_result local_table<Engine>::do_compare_and_swap(
  const term& key, const std::optional<term>& expected,
  std::optional<term> desired, std::int64_t ttl_ms) {
  if (desired)
    engine().check_fits(key, *desired);
  swap_result out;
  engine().change(key, [&](auto&& e) {
    out.found = e.get();
    out.done = out.found == expected;
    if (out.done && desired)
      e.set(*desired, ttl_ms);
    else if (out.done && out.found)
      e.erase();
  });
  return out;
}

template <class Engine>
term local_table<Engine>::do_update_counter(const term& key, const term& delta,
                                            std::int64_t ttl_ms) {
  term sum;
  engine().change(key, [&](auto&& e) {
    sum = count(key, e.value_or(term{0}), delta);
    auto value = sum;
    if (e.there())
      e.update(value);
    else
      e.set(value, ttl_ms);
  });
  return sum;
}

template <class Engine>
std::vector<term> local_table<Engine>::do_update_counters(
  const term& key, std::span<const counter_op> ops, const term& initial,
  std::int64_t ttl_ms) {
  engine().check_fits(key, initial);
  std::vector<term> results;
  term value;
  engine().change(key, [&](auto&& e) {
    value = count(key, e.value_or(initial), ops, &results);
    if (e.there())
      e.update(value);
    else
      e.set(value, ttl_ms);
  });
  return results;
}

template <class Engine>
bool local_table<Engine>::do_expire(const term& key, std::int64_t ttl_ms) {
  bool there = false;
  engine().change(key, [&](auto&& e) { there = e.expire(ttl_ms); });
  return there;
}

template <class Engine>
std::optional<std::int64_t> local_table<Engine>::do_left_ms(
  const term& key) const {
  std::optional<std::int64_t> out;
  engine().find(key, [&](auto&& e) {
    if (e.use())
      out = e.left_ms();
  });
  return out;
}

// -- several keys -------------------------------------------------------------

template <class Engine>
std::vector<std::optional<term>> local_table<Engine>::do_get_many(
  std::span<const term> keys) const {
  std::vector<std::optional<term>> out(keys.size());
  engine().find_many(keys, [&](auto&& at) {
    for (std::size_t n = 0; n < keys.size(); ++n)
      out[n] = at(n).get();
  });
  return out;
}

template <class Engine>
void local_table<Engine>::do_set_many(term::entries entries,
                                      std::int64_t ttl_ms) {
  for (auto& [key, value] : entries)
    engine().check_fits(key, value);
  engine().change_many(entries, [&](auto&& at) {
    for (std::size_t n = 0; n < entries.size(); ++n)
      at(n).set(entries[n].second, ttl_ms);
  });
}

template <class Engine>
bool local_table<Engine>::do_insert_all_new(term::entries entries,
                                            std::int64_t ttl_ms) {
  for (auto& [key, value] : entries)
    engine().check_fits(key, value);
  bool fresh = true;
  engine().change_many(entries, [&](auto&& at) {
    for (std::size_t n = 0; fresh && n < entries.size(); ++n)
      fresh = !at(n).there();
    for (std::size_t n = 0; fresh && n < entries.size(); ++n)
      at(n).set(entries[n].second, ttl_ms);
  });
  return fresh;
}

template <class Engine>
void local_table<Engine>::do_clear() {
  this->replace({});
}

} // namespace hornbeam::runtime
