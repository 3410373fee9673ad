#pragma once

#include "runtime/table/table.hpp"

namespace hornbeam::runtime {

/// A table whose entries this process reaches itself: the operations, written
/// once for all engines (operations.hpp). `Engine` is the class that derives
/// from this one (CRTP: what is called in every operation is inlined into it).
/// It has the virtual functions that are left, and
///
///     check_fits(key, value)  raises if the value can never be under the key
///     find(key, f)            calls f(entry)
///     find_many(keys, f)      calls f(at), where at(n) is the n-th key's entry
///     change(key, f)          calls f(entry), which may change
///     change_many(entries, f) calls f(at), where at(n) may change
///
/// each of which is one atomic operation. An engine may have `f` called by
/// another thread; if it raises, nothing has changed. An entry is what is under
/// one key, valid until it is changed or `at` is called again:
///
///     use()            whether there is anything; it counts as used then
///     get()            what `get` returns; counts as use
///     left_ms()        as `left_ms`, of what is there
///
/// One that may change also has
///
///     there()          as `use`, and does not count
///     value_or(x)      the value, or x if there is none
///     set(value, ttl)  as `set`; uses up the value
///     swap(value, ttl) as `swap`
///     update(value)    `set` of what is there, which keeps its key and time
///     take()           as `take`
///     erase()          the same without a look at the value
///     erase(value)     as `erase_object`
///     expire(ttl)      as `expire`
template <class Engine>
class local_table : public table {
protected:
  using table::table;

  std::optional<term> do_get(const term& key) const override;
  bool do_contains(const term& key) const override;
  void do_set(const term& key, term value, std::int64_t ttl_ms) override;
  bool do_insert_new(const term& key, term value, std::int64_t ttl_ms) override;
  std::optional<term> do_take(const term& key) override;
  std::size_t do_erase_object(const term& key, const term& value) override;
  std::optional<term> do_swap(const term& key, term value,
                              std::int64_t ttl_ms) override;
  swap_result do_compare_and_swap(const term& key,
                                  const std::optional<term>& expected,
                                  std::optional<term> desired,
                                  std::int64_t ttl_ms) override;
  term do_update_counter(const term& key, const term& delta,
                         std::int64_t ttl_ms) override;
  std::vector<term> do_update_counters(const term& key,
                                       std::span<const counter_op> ops,
                                       const term& initial,
                                       std::int64_t ttl_ms) override;
  bool do_expire(const term& key, std::int64_t ttl_ms) override;
  std::optional<std::int64_t> do_left_ms(const term& key) const override;
  std::vector<std::optional<term>> do_get_many(
    std::span<const term> keys) const override;
  void do_set_many(term::entries entries, std::int64_t ttl_ms) override;
  bool do_insert_all_new(term::entries entries, std::int64_t ttl_ms) override;
  void do_clear() override;

private:
  Engine& engine() noexcept { return static_cast<Engine&>(*this); }
  const Engine& engine() const noexcept {
    return static_cast<const Engine&>(*this);
  }
};

} // namespace hornbeam::runtime
