#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/settings/address.hpp"
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
  /// `name@host`; empty: `hornbeam@localhost` until it joins others. With one
  /// `#`, as `web-#@host`: the first of `web-1@host`, `web-2@host`, ... that no
  /// process of this host has.
  std::string name;
  /// The name is none of its own, as that of a forked child: it is a worker of
  /// its host, a member of everything that `nodes()` does not show.
  bool worker = false;
  /// The incarnation of the node of the process that this one was forked from.
  std::uint64_t parent = 0;
  /// Only nodes of the same cluster name connect; see `require_cluster_name`.
  std::string cluster = "hornbeam";
  /// Whether others can connect to this node.
  bool listen = false;
  /// Where to listen; port 0 takes a free one.
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  /// Where others reach this node, `host` or `host:port`. Empty: at `host`, or
  /// if that stands for all addresses, at the host of `name`, or at this one.
  std::string advertise;
  /// The PEM file with the cluster's key and certificate; made on first use.
  /// Empty: `default_secret_file()`.
  std::string secret;
  /// No encryption and no authentication, on loopback only.
  bool insecure_loopback_without_tls = false;
  /// Whether processes of other nodes may look into servers of this one, change
  /// their state and suspend them.
  bool remote_debug = false;
  /// Not listed by `nodes()` and told no news: a visiting tool.
  bool hidden = false;
  /// Whether calls of other nodes by the name of a hook or a function may come
  /// here. Not, if it only calls others.
  bool serve = true;
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

/// A number among the settings, and what it may be.
template <class T>
struct node_number {
  const char* name;
  T node_settings::*member;
  std::int64_t least;
  std::int64_t most;
};

/// Calls `f` with a `node_number` for each: whoever reads settings has these
/// bounds.
template <class F>
void each_node_number(F f) {
  constexpr std::int64_t hour = 3'600'000;
  using s = node_settings;
  f(node_number<std::uint16_t>{"port", &s::port, 0, 65535});
  f(node_number<unsigned>{"workers", &s::workers, 0, 1024});
  f(node_number<std::int64_t>{"heartbeat_ms", &s::heartbeat_ms, 10, hour});
  f(node_number<std::int64_t>{"detection_ms", &s::detection_ms, 20, hour * 24});
  f(node_number<std::int64_t>{"connect_ms", &s::connect_ms, 1, hour * 24});
  f(node_number<std::int64_t>{"join_ms", &s::join_ms, 0, hour});
  f(node_number<std::int64_t>{"handshake_ms", &s::handshake_ms, 10, hour});
  f(node_number<std::int64_t>{"forget_ms", &s::forget_ms, 1000,
                              hour * 24 * 365});
  f(node_number<std::int64_t>{"flush_ms", &s::flush_ms, 0, hour});
  f(node_number<std::size_t>{"link_buffer_bytes", &s::link_buffer_bytes,
                             std::int64_t{64} << 10, std::int64_t{1} << 40});
}

/// Names of clusters, and of nodes in files, have no more letters.
constexpr std::size_t longest_word = 100;
/// Whether it is made of letters, digits, `_`, `-` and `.`, at most so many.
bool is_word(const std::string& x, std::size_t most = longest_word);
/// Whether `x` has the form of a node's name, `name@host`.
bool is_node_name(const std::string& x);
/// Whether it has a `#` instead of a number, which makes it a node's name.
bool is_numbered(const std::string& name);
/// Such a name with a number.
std::string with_number(std::string name, unsigned number);
/// The same for a name that may have no `#`, and is left as it is then.
std::string first_numbered(const std::string& name);
/// `name@host` of a name, also with a `#`, that lacks it; what can be no name
/// is left as it is.
std::string with_host(const std::string& name, const std::string& host);
/// The same with a host that can be looked up (see `is_host`).
bool is_full_name(const std::string& x);
/// The name and the address (`host:port`, or empty) of `name@host[:port]`.
peer_setting split_target(const std::string& x);
/// "between 1 and 9", or "at least 1" without a bound.
std::string bounds_text(std::int64_t least, std::int64_t most);
/// Where others reach the node `name` that listens at `port`.
address announced_address(const node_settings& x, const std::string& name,
                          std::uint16_t port);

/// Raises `std::invalid_argument` that begins with the name of the setting that
/// can't be, and says what it may be.
void require_settings(const node_settings& x);

/// Raises `std::runtime_error` that says what names of clusters look like,
/// unless `x` may be one: it is also that of a folder.
void require_cluster_name(const std::string& x);

} // namespace hornbeam::runtime
