#pragma once

#include <memory>
#include <string>

#include "actors/handler.hpp"

namespace hornbeam::actors {

/// Functions of modules, called on a node by name.
///
/// Protocol: the request `call module function args` goes to the node that
/// the caller names; the cast of the same form wants no answer. A module is a
/// C++ handler registered here; what is not found goes to the fallback, which
/// is how Python modules that a node exports are reached.
class rpc {
public:
  explicit rpc(runtime::router& net) : net_(net) {}

  /// The name of this node.
  std::string node() const { return net_.self()->name(); }

  void add_module(const std::string& name, handler_ptr x) {
    modules_.set(name, std::move(x));
  }
  bool remove_module(const std::string& name) { return modules_.erase(name); }
  void set_fallback(handler_ptr x) { fallback_.store(std::move(x)); }
  /// What runs the functions of a module; null: nothing.
  handler_ptr find(const std::string& module) const;

  std::unique_ptr<runtime::service> make_service();

private:
  runtime::router& net_;
  handler_table modules_;
  std::atomic<handler_ptr> fallback_;
};

} // namespace hornbeam::actors
