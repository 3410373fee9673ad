#pragma once

#include <array>
#include <mutex>
#include <unordered_map>

#include "runtime/table.hpp"

namespace hornbeam::runtime {

/// A table of keys and values in the memory of this node that any thread may
/// read and write at any time, as an ETS table with `write_concurrency`: the
/// keys are spread over shards, each under a lock of its own that is held for
/// one bounded operation only and never while foreign code runs.
class memory_table final : public table {
public:
  explicit memory_table(std::string name, table_options options = {});

  void before_fork() const override;
  void after_fork_in_parent() const override;
  void after_fork_in_child() const override;

protected:
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
  std::size_t do_size() const override;
  std::vector<term> do_keys(std::string_view prefix,
                            std::size_t limit) const override;
  table_batch do_scan(const term& from, std::size_t limit) const override;
  void add_info(term::entries& out) const override;
  std::vector<table_entry> dump() const override;
  void replace(std::vector<table_entry> entries) override;

private:
  mutable std::mutex mutex_;
  std::unordered_map<term, term, term_hash> entries_;
};

} // namespace hornbeam::runtime
