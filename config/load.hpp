#pragma once

#include <string>

#include "config/error.hpp"
#include "config/settings.hpp"

namespace hornbeam::config {

// All of these raise `config_error`. Relative paths in a file are taken from
// the folder of that file; a leading `~/` is the user's home.

/// Reads a file that describes one node: `[node]`, and where needed
/// `[cluster]` and `[python]`. See config/node.toml.
node_config load_node(const std::string& path);

/// Reads a file that describes several nodes: `[cluster]`, `[defaults]` and
/// `[nodes.NAME]`. Each node listens and has all others as peers. See
/// config/demo.toml.
cluster_config load_cluster(const std::string& path);

/// Reads either kind; one node counts as a cluster of one.
cluster_config load(const std::string& path);

/// The node called `name`, given in full or without its host. Of a numbered one
/// (`web-#`) each number is a node, which has that name then.
node_config find_node(const cluster_config& cluster, const std::string& name);

} // namespace hornbeam::config
