#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "runtime/service.hpp"

namespace hornbeam::actors {

/// Which node has how many of what: the members of topics, hooks and
/// functions in the whole cluster. Any thread reads it; each node announces
/// only its own members.
///
/// Protocol (after OTP's `pg`): a change here is noted under the lock and a
/// `changed` is sent to the directory actor, which announces the number that
/// holds at that moment to every peer: whatever the order of changes, the last
/// announcement is right. A node that comes up is sent all local members
/// (`sync`); a node that goes down is forgotten. The directory is eventually
/// consistent.
class directory {
public:
  struct member {
    std::string node;
    std::int64_t count = 0;
  };

  explicit directory(runtime::router& net) : net_(net) {}

  /// Sets how many this node has.
  void set_local(const std::string& scope, const std::string& name,
                 std::int64_t count);
  std::int64_t local(const std::string& scope, const std::string& name) const;
  /// The other nodes that have it.
  std::vector<member> remote(const std::string& scope,
                             const std::string& name) const;
  /// All names of a scope that some node has, in order.
  std::vector<std::string> names(const std::string& scope) const;
  /// The names of a scope that this node has, in order.
  std::vector<std::string> local_names(const std::string& scope) const;

  /// The actor's part.
  std::unique_ptr<runtime::service> make_service();

private:
  friend class directory_service;
  using key = std::pair<std::string, std::string>;

  void set_remote(const std::string& node, const key& k, std::int64_t count);
  void forget(const std::string& node);
  std::map<key, std::int64_t> all_local() const;

  runtime::router& net_;
  mutable std::shared_mutex mutex_;
  std::map<key, std::int64_t> local_;
  std::map<key, std::map<std::string, std::int64_t>> remote_;
};

} // namespace hornbeam::actors
