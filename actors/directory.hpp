#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "actors/silent_peers.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/service.hpp"

namespace hornbeam::actors {

/// Which node has how many of what: the members of a service (topics, hooks or
/// functions) in the whole cluster. Any thread reads it; each node announces
/// only its own members.
///
/// Protocol (after OTP's `pg`): a change here is announced to every peer with
/// the cast `announce name count`, by the thread that makes it and under the
/// lock, so that announcements leave in the order of the changes. A node that
/// comes up is sent all local members (`sync`); a node that goes down is
/// forgotten. Announcements go to the very actor that gets the service's other
/// casts: who subscribes and then publishes is known as a subscriber to
/// whoever gets the message. Between other nodes it is eventually consistent.
/// Behind what it has announced a node may `ask n`, and each peer says `known
/// n`.
class directory {
public:
  struct member {
    std::string node;
    std::int64_t count = 0;
  };

  using silence = std::shared_ptr<silent_peers>;

  /// `service` is the name of the actor that owns the members.
  directory(runtime::router& net, std::string service,
            silence silent = std::make_shared<silent_peers>(),
            std::size_t most_bytes_of_a_node = most_bytes)
    : net_(net),
      service_(std::move(service)),
      silent_(std::move(silent)),
      most_bytes_(most_bytes_of_a_node) {}

  const std::string& service() const noexcept { return service_; }

  /// Sets how many this node has.
  void set_local(const std::string& name, std::int64_t count);
  std::int64_t local(const std::string& name) const;
  /// Whether others are to find here what this node has. If not, it knows what
  /// they have, and they take it for one that has nothing.
  void offer(bool on);
  /// Answers `reply` (true) when each connected node knows what this one has
  /// now. A silent one is not waited for until it answers; whoever can't wait
  /// for the others for so long has to stop by itself.
  void when_known(runtime::responder reply);
  static constexpr auto patience = silent_peers::patience;
  /// What the names of one node may take here, a million of the usual length or
  /// more; it is as if it had not announced what is beyond.
  static constexpr std::size_t most_bytes = std::size_t{256} << 20;
  /// Whether there is anybody to wait for.
  bool has_peers() const;
  /// The other nodes that have it.
  std::vector<member> remote(const std::string& name) const;
  /// All names that some node has, in order.
  std::vector<std::string> names() const;
  /// The names that this node has, in order.
  std::vector<std::string> local_names() const;

  // -- by the service's actor ------------------------------------------------

  /// False if the call is none of the directory's.
  bool handle(runtime::call& c, const runtime::operation& op);
  void peer(const runtime::peer_event& e);

private:
  void set_remote(const std::string& node, const std::string& name,
                  std::int64_t count);
  static std::size_t cost_of(const std::string& name) noexcept;
  void forget(const std::string& node);
  void announce(const std::string& name, std::int64_t count);
  /// Answers when the last one who has it lets go.
  using answer_ptr = std::shared_ptr<runtime::responder>;
  struct question {
    std::string peer;
    answer_ptr answer;
  };

  runtime::router& net_;
  const std::string service_;
  const silence silent_;
  const std::size_t most_bytes_;
  mutable runtime::ranked_shared_mutex<runtime::lock_rank::directory> mutex_;
  std::map<std::string, std::int64_t> local_;
  bool offers_ = true;
  std::map<std::string, std::map<std::string, std::int64_t>> remote_;
  std::map<std::string, std::size_t> bytes_; ///< of the names of each node
  std::set<std::string> peers_;            ///< those that have been sent a sync
  std::map<std::uint64_t, question> open_; ///< questions by number
  std::uint64_t last_question_ = 0;
};

} // namespace hornbeam::actors
