#pragma once

#include <memory>
#include <string>

#include "config/settings.hpp"
#include "launcher/commands.hpp"
#include "runtime/node/node.hpp"

namespace hornbeam::launcher {

/// A hidden node that asks something of a cluster and leaves again. It is
/// started by the first call.
class cluster_client {
public:
  explicit cluster_client(const cluster_options& where);

  /// `name` in full, as its cluster knows it. Raises `bad_term`.
  std::string full_name(const std::string& name) const;
  const std::string& cluster() const { return settings_.cluster; }

  /// Calls `module:function(args...)` on the node of that full name. Raises
  /// `std::runtime_error` if there is no secret.
  void call(const std::string& name, const std::string& module,
            const std::string& function, runtime::term::sequence args,
            runtime::deadline until, runtime::responder reply);

private:
  config::cluster_config config_; ///< empty if only a name was given
  runtime::node_settings settings_;
  std::shared_ptr<runtime::node> node_;
};

/// For people: what went wrong, and the traceback of the other side.
std::string describe(const runtime::failure& x);

} // namespace hornbeam::launcher
