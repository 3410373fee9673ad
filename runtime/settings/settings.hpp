#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/settings/table_options.hpp"

namespace hornbeam::runtime {

/// Another node that this one should stay connected to.
struct peer_setting {
  std::string name;    ///< `name@host`
  std::string address; ///< `host:port`, or empty: look it up
};

/// How a table is made when it is first used.
struct table_setting {
  std::string name;
  table_options options;
};

/// What a node is started with.
struct node_settings {
  /// `name@host`; empty: `hornbeam@localhost` until it joins others.
  std::string name;
  /// Only nodes of the same cluster name connect; see `require_cluster_name`.
  std::string cluster = "hornbeam";
  /// Whether others can connect to this node.
  bool listen = false;
  /// Where to listen; port 0 takes a free one.
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  /// The PEM file with the cluster's key and certificate; made on first use.
  /// Empty: `default_secret_file()`.
  std::string secret;
  /// No encryption and no authentication, on loopback only.
  bool insecure_loopback_without_tls = false;
  /// Not listed by `nodes()` and told no news: a visiting tool.
  bool hidden = false;
  std::vector<peer_setting> peers;
  /// Scheduler threads; 0: one a core.
  unsigned workers = 0;
  std::int64_t heartbeat_ms = 1000;
  /// A peer that is silent for so long is down.
  std::int64_t detection_ms = 5000;
  /// How long to try to connect before a call fails.
  std::int64_t connect_ms = 5000;
  /// Joins the nodes of its cluster and user that live on this host.
  bool join = false;
  /// How long those that find nothing wait for that.
  std::int64_t join_ms = 2000;
  /// How long whoever connects may take to show who it is.
  std::int64_t handshake_ms = 5000;
  /// Requests and casts to a node are refused while so much waits for it.
  std::size_t link_buffer_bytes = std::size_t{64} << 20;
  /// A node that is not configured and not seen for so long is forgotten.
  std::int64_t forget_ms = 600'000;
  /// How long casts and publishes under way may take when the node ends.
  std::int64_t flush_ms = 500;
  std::vector<table_setting> tables;
};

/// Raises `std::runtime_error` that says what names of clusters look like,
/// unless `x` may be one: it is also that of a folder.
void require_cluster_name(const std::string& x);

} // namespace hornbeam::runtime
