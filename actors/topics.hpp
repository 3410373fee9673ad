#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/directory.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/process/processes.hpp"

namespace hornbeam::actors {

/// What a topic sends to a subscriber: `{'$topic', Topic, Body}`.
runtime::term topic_message(runtime::term topic, runtime::term body);
bool is_topic_message(const runtime::term& x) noexcept;

/// Topics: processes that subscribe on any node get what is published on any
/// node.
///
/// Protocol: subscribers of this node are kept here, under a lock that any
/// thread takes; the directory tells the others how many there are. `publish`
/// sends to the local processes and one cast `publish topic body` to each node
/// that has subscribers, whose topics actor does the same there. Messages of
/// one publishing thread reach a subscriber in order. A process that ends has
/// leaves all topics.
class topics {
public:
  topics(runtime::router& net, runtime::processes& processes,
         actors::directory::silence silent = std::make_shared<silent_peers>())
    : net_(net),
      processes_(processes),
      directory_(net, "topics", std::move(silent)) {}

  actors::directory& directory() noexcept { return directory_; }
  const actors::directory& directory() const noexcept { return directory_; }

  /// Subscribes a process of this node, once however often; false if it was
  /// there. Raises `failed` if it does not live.
  bool subscribe(const std::string& topic, const runtime::term& pid);
  bool unsubscribe(const std::string& topic, const runtime::term& pid);
  /// How many subscribers in the cluster the message was sent to.
  std::int64_t publish(const std::string& topic, const runtime::term& body);
  /// Sends to the subscribers of this node; to how many.
  std::int64_t deliver(const std::string& topic, const runtime::term& body);
  /// Subscribers in the cluster, as far as this node knows.
  std::int64_t count(const std::string& topic) const;

  std::unique_ptr<runtime::service> make_service();

private:
  /// Replaced, never changed: a publisher reads without the lock.
  struct subscribers {
    runtime::term topic;
    std::vector<runtime::process_ptr> members;
  };

  std::shared_ptr<const subscribers> find(const std::string& topic) const;
  /// Replaces the list of a topic by one without `who`.
  bool remove(const std::string& topic, const runtime::process* who);
  void leave_all(const runtime::process* who);

  runtime::router& net_;
  runtime::processes& processes_;
  actors::directory directory_;
  mutable runtime::ranked_shared_mutex<runtime::lock_rank::topics> mutex_;
  std::map<std::string, std::shared_ptr<const subscribers>> local_;
  /// Where each process is that has ever subscribed and not ended.
  std::unordered_map<const runtime::process*, std::vector<std::string>> of_;
};

} // namespace hornbeam::actors
