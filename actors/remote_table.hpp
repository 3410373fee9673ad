#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "runtime/call/service.hpp"
#include "runtime/table/table.hpp"

namespace hornbeam::actors {

/// A table whose entries are on another node, its home: each operation is one
/// message to the table's actor there and one back (see `tables.hpp`), however
/// many keys it has.
///
/// The caller waits, until the deadline of `caller` or five seconds, so
/// this is for threads: a process or an actor in C++ sends the message itself.
/// Errors are those of the table at home, `failed` with `timeout` (it may have
/// been done), or with `no_connection`: at once while the home, which was
/// connected, is down.
///
/// Before the first operation, and whenever the home has come back, it is told
/// how the table was declared here; if it was declared otherwise there, that
/// is an error which says what differs.
///
/// Only processes can watch: their messages come straight from the home.
/// Owners, snapshots and forks are the business of the home.
class remote_table final : public runtime::table {
public:
  remote_table(std::string name, runtime::table_options options,
               std::shared_ptr<runtime::router> net);

  /// Another node came or went.
  void peer(const runtime::peer_event& e);

  void before_fork() const override {}
  void after_fork_in_parent() const override {}
  void after_fork_in_child() const override {}

protected:
  using term = runtime::term;

  std::optional<term> do_get(const term& key) const override;
  bool do_contains(const term& key) const override;
  void do_set(const term& key, term value, std::int64_t ttl_ms) override;
  bool do_insert_new(const term& key, term value, std::int64_t ttl_ms) override;
  std::optional<term> do_take(const term& key) override;
  std::size_t do_erase_object(const term& key, const term& value) override;
  std::optional<term> do_swap(const term& key, term value,
                              std::int64_t ttl_ms) override;
  runtime::swap_result do_compare_and_swap(const term& key,
                                           const std::optional<term>& expected,
                                           std::optional<term> desired,
                                           std::int64_t ttl_ms) override;
  term do_update_counter(const term& key, const term& delta,
                         std::int64_t ttl_ms) override;
  std::vector<term> do_update_counters(const term& key,
                                       std::span<const runtime::counter_op> ops,
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
  runtime::table_batch do_scan(const term& from,
                               std::size_t limit) const override;
  std::uint64_t add_watch(const runtime::table_interest& what,
                          const term& pid) override;
  bool remove_watch(std::uint64_t number) override;
  void check_watch() const override;
  void add_info(term::entries& out) const override;
  std::vector<runtime::table_entry> dump() const override;
  void replace(std::vector<runtime::table_entry> entries) override;
  void forget() override {}

private:
  template <class... Ts>
  term ask(const char* op, Ts&&... args) const {
    return request(runtime::make_op(op, std::forward<Ts>(args)...));
  }
  term request(const term& op) const;
  runtime::outcome request_once(const term& op, runtime::deadline until) const;
  void call_home() const;
  void introduce(runtime::deadline until) const;

  const std::shared_ptr<runtime::router> net_;
  const std::string service_;
  mutable std::atomic<bool> introduced_{false};
  std::atomic<bool> lost_{false};
  /// When the lost home may be called again, in ticks of `clock`.
  mutable std::atomic<runtime::clock::rep> call_again_{0};
};

} // namespace hornbeam::actors
