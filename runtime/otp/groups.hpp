#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/process/processes.hpp"

namespace hornbeam::runtime {

/// Process groups with scopes, as OTP's pg: processes of any node under a
/// common name.
///
/// Protocol: each node announces only its own members, with the casts `join
/// Scope Group Pids` and `leave Scope Group Pids`, in the order of the
/// changes. A node that comes up is sent all local members (`sync Scope
/// Members`); the members of a node that goes down are forgotten. A process
/// that joins n times is there n times; its end takes it out of all groups.
/// Reading is local; between nodes it is eventually consistent.
class groups : public std::enable_shared_from_this<groups> {
public:
  static constexpr const char* service_name = "groups";

  explicit groups(processes& of) : processes_(of) {}

  /// Raises `{nolocal, Pid}` for what is no process of this node.
  void join(const term& scope, const term& group,
            const std::vector<term>& pids);
  /// False if none of the pids was a member.
  bool leave(const term& scope, const term& group,
             const std::vector<term>& pids);
  std::vector<term> members(const term& scope, const term& group) const;
  std::vector<term> local_members(const term& scope, const term& group) const;
  /// The groups that have members, in order.
  std::vector<term> which(const term& scope) const;
  /// From here on `who` gets `{Ref, join | leave, Group, Pids}` for each
  /// change; returns the members now. With an empty group: of all groups, and
  /// the result is a map.
  std::pair<term, term> monitor(const term& scope, const term* group,
                                const term& who);
  bool demonitor(const term& scope, const term& ref);

  // -- by the service's actor ------------------------------------------------

  void handle(const std::string& from, const operation& op);
  void peer(const peer_event& e);

private:
  struct group_members {
    std::vector<term> local;
    std::map<std::string, std::vector<term>> remote; ///< by node
    bool empty() const { return local.empty() && remote.empty(); }
  };
  struct group_watcher {
    term ref;
    term pid;
    std::optional<term> group; ///< all groups if none
  };
  struct scope_data {
    std::map<term, group_members> groups;
    std::vector<group_watcher> watchers;
  };

  void member_ended(const term& pid);
  void announce(const char* what, const term& scope, const term& group,
                const std::vector<term>& pids);
  void notify(const scope_data& s, const char* what, const term& group,
              const std::vector<term>& pids);
  static std::vector<term> all_of(const group_members& g);
  void drop_if_empty(scope_data& s, const term& group);

  processes& processes_;
  mutable ranked_shared_mutex<lock_rank::groups>
    mutex_; ///< guards what follows
  std::map<term, scope_data> scopes_;
  std::set<std::uint64_t> watched_; ///< local members whose end is watched
  std::set<std::string> peers_;     ///< those that have been sent a sync
};

} // namespace hornbeam::runtime
