#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "actors/named_handlers.hpp"
#include "actors/remote_table.hpp"
#include "actors/rpc.hpp"
#include "actors/streams.hpp"
#include "actors/tasks.hpp"
#include "actors/topics.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/node/node.hpp"

namespace hornbeam::actors {

/// Of a cache of results that Python programs have.
struct cache_counts {
  std::atomic<std::int64_t> hits{0};
  std::atomic<std::int64_t> misses{0};
};

/// A node with all services: what a program holds.
///
///     auto app = hornbeam::actors::services::start({});
///     app->functions.add("add", make_function([](auto& x) { ... }));
class services {
public:
  /// `known` are tables that exist already, as in a forked child.
  static std::shared_ptr<services> start(
    runtime::node_settings settings, tasks::limits keep = {},
    const std::vector<runtime::table_ptr>& known = {});
  ~services();

  /// A table, made as it was declared when it is first asked for: one of this
  /// node, with its actor, or one whose home is another node.
  runtime::table_ptr table(const std::string& name);
  /// The same as `declare_table` and `table`.
  runtime::table_ptr table(const std::string& name,
                           const runtime::table_options& options);
  /// How a table is to be made. Raises `failed`, which says what differs, if
  /// it was declared or made otherwise.
  void declare_table(const std::string& name, runtime::table_options options);
  /// A new table of this node, as `ets:new`. Raises `failed` if there is one
  /// of that name.
  runtime::table_ptr new_table(const std::string& name,
                               const runtime::table_options& options,
                               const runtime::table_ownership& whose);
  /// What `hornbeam status` shows.
  runtime::term status();
  void stop() { node->stop(); }

private:
  explicit services(std::shared_ptr<runtime::node> n, tasks::limits keep);
  void add_builtins();
  void serve(const std::string& table);
  std::unique_ptr<runtime::service> make_tables_service();

  runtime::ranked_mutex<runtime::lock_rank::services> tables_mutex_;
  std::set<std::string> served_; ///< tables that have an actor
  std::map<std::string, std::shared_ptr<remote_table>> remote_tables_;
  runtime::clock::time_point started_ = runtime::clock::now();
  const directory::silence silent_ = std::make_shared<silent_peers>();

public:
  const std::shared_ptr<runtime::node> node;
  actors::topics topics;
  named_handlers hooks;
  named_handlers functions;
  actors::rpc rpc;
  actors::tasks tasks;
  actors::streams streams;
  cache_counts inference;
};

/// A C++ handler from a callable that takes `const invocation&` and returns
/// an outcome.
template <class F>
handler_ptr make_function(F f) {
  return std::make_shared<function_handler>(std::move(f));
}

} // namespace hornbeam::actors
