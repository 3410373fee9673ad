#pragma once

#include <memory>
#include <string>

#include "actors/named_handlers.hpp"
#include "actors/rpc.hpp"
#include "actors/streams.hpp"
#include "actors/tasks.hpp"
#include "actors/topics.hpp"
#include "runtime/node.hpp"

namespace hornbeam::actors {

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

  /// A table of this node, with its actor.
  runtime::table_ptr table(const std::string& name);
  /// What `hornbeam status` shows.
  runtime::term status();
  void stop() { node->stop(); }

private:
  explicit services(std::shared_ptr<runtime::node> n, tasks::limits keep);
  void add_builtins();

  std::mutex tables_mutex_;
  runtime::clock::time_point started_ = runtime::clock::now();

public:
  const std::shared_ptr<runtime::node> node;
  actors::topics topics;
  named_handlers hooks;
  named_handlers functions;
  actors::rpc rpc;
  actors::tasks tasks;
  actors::streams streams;
};

/// A C++ handler from a callable that takes `const invocation&` and returns
/// an outcome.
template <class F>
handler_ptr make_function(F f) {
  return std::make_shared<function_handler>(std::move(f));
}

} // namespace hornbeam::actors
