#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hornbeam::launcher {

// One function for each command; the result is the exit code: 0 for done, 1
// for failed, 2 for arguments or a configuration that can't be used.

struct node_options {
  std::string config;
  std::string name;   ///< which one, if the file describes a cluster
  std::string script; ///< run it and end with it; empty: serve
  std::vector<std::string> plugins; ///< beside those of the configuration
};
int run_node(const node_options& opts);

struct up_options {
  std::string config;
  std::string run; ///< `NODE:SCRIPT` or empty
};
int run_up(const up_options& opts);

/// Which cluster a visiting tool goes to.
struct cluster_options {
  std::string config; ///< a file that says all that follows
  std::string cluster;
  std::string secret;
};

struct rpc_options {
  cluster_options where;
  std::string node;
  std::string module;
  std::string function;
  std::vector<std::string> args; ///< JSON, or else plain strings
  std::int64_t timeout_ms = 5000;
};
int run_rpc(const rpc_options& opts);

int run_status(const cluster_options& where);

struct state_options {
  std::string config;              ///< only the tables of this file
  std::string cluster;             ///< only the tables of this cluster
  std::vector<std::string> tables; ///< `TABLE`, `CLUSTER/TABLE` or a path
  std::string table;               ///< the same, of a command that takes one
  std::string file;                ///< a snapshot
  bool force = false;
};
/// The table files of this user on this host.
int run_state_list(const state_options& opts);
int run_state_remove(const state_options& opts);
/// Whether nothing of them is damaged.
int run_state_check(const state_options& opts);
/// All entries of one of them to a snapshot in `opts.file`, what can be read of
/// a damaged one, and back.
int run_state_dump(const state_options& opts);
int run_state_salvage(const state_options& opts);
int run_state_restore(const state_options& opts);

} // namespace hornbeam::launcher
