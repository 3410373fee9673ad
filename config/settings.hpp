#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/settings/settings.hpp"

namespace hornbeam::config {

/// What a node's Python interpreter is started with.
struct python_settings {
  /// Folders put first in `sys.path`; absolute once loaded.
  std::vector<std::string> path;
  /// Modules imported when the node starts.
  std::vector<std::string> modules;
  /// Modules whose functions other nodes may call with `rpc_call`.
  std::vector<std::string> exports;
  /// Trees that live as long as the node, as `module:name`.
  std::vector<std::string> start;
  /// Threads for handlers, functions and tasks; 0: the default.
  unsigned pool = 0;
  /// A deadline for calls that have none of their own; 0: none.
  std::int64_t call_timeout_ms = 0;
  /// How long, for how many tasks and up to how many bytes results are kept.
  std::int64_t task_keep_ms = 3600000;
  std::uint64_t task_keep_count = 10000;
  std::uint64_t task_keep_bytes = 256 << 20;
};

/// All that one node is started with.
struct node_config {
  runtime::node_settings node;
  python_settings python;
  /// Files of plug-ins, started with the node; absolute once loaded.
  std::vector<std::string> plugins;
  /// The least that the log says; empty: its default.
  std::string log_level;
};

/// More than `intensity` restarts of one node within `period_ms`, and pauses
/// come before the next ones.
struct restart_settings {
  unsigned intensity = 3;
  std::int64_t period_ms = 5000;
};

/// Several nodes that `hornbeam up` starts together.
struct cluster_config {
  std::string name;
  std::vector<node_config> nodes;
  restart_settings restart;
};

} // namespace hornbeam::config
