#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "actors/directory.hpp"
#include "actors/handler.hpp"

namespace hornbeam::actors {

/// Handlers that the whole cluster finds by name: the hooks are one of these,
/// the functions another.
///
/// Protocol: a node registers here and announces it through the directory. A
/// caller prefers its own node; otherwise it asks the nodes that have the
/// name in turn, with the request `invoke name action args kwargs`, or the
/// cast of the same form. The actor finds the handler, which answers later
/// from wherever it runs: the actor never waits.
class named_handlers {
public:
  /// `scope` is `hook` or `function`; the actor is called `hooks` or
  /// `functions`.
  named_handlers(std::string scope, runtime::router& net)
    : scope_(std::move(scope)), net_(net), directory_(net, scope_ + "s") {}

  const std::string& scope() const noexcept { return scope_; }
  const std::string& service_name() const noexcept {
    return directory_.service();
  }
  actors::directory& directory() noexcept { return directory_; }

  void add(const std::string& name, handler_ptr x);
  bool remove(const std::string& name);
  handler_ptr local(const std::string& name) const { return table_.find(name); }
  /// A node to ask, in turn; none if no node has the name.
  std::optional<std::string> pick(const std::string& name) const;
  std::vector<std::string> names() const { return directory_.names(); }

  /// Asks wherever the name lives. Never blocks.
  void invoke(invocation x, runtime::responder reply);
  /// One-way. False if nobody has the name.
  bool cast(const invocation& x);

  std::unique_ptr<runtime::service> make_service();

private:
  std::string scope_;
  runtime::router& net_;
  actors::directory directory_;
  handler_table table_;
  mutable std::atomic<std::size_t> turn_{0};
};

} // namespace hornbeam::actors
