#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "actors/directory.hpp"
#include "runtime/mailbox.hpp"

namespace hornbeam::actors {

/// Topics: whoever subscribes on any node gets what is published on any node.
///
/// Protocol: subscribers of this node are kept here, under a lock that any
/// thread takes; the directory tells the others how many there are. `publish`
/// pushes into the local mailboxes and sends one cast `publish topic body` to
/// each node that has subscribers, whose topics actor pushes there. Messages
/// of one publishing thread reach a subscriber in order. A mailbox that has
/// closed is dropped when it is next met, and when its owner says so.
class topics {
public:
  explicit topics(runtime::router& net)
    : net_(net), directory_(net, "topics") {}

  actors::directory& directory() noexcept { return directory_; }
  const actors::directory& directory() const noexcept { return directory_; }

  /// Each subscribes once however often it asks; false if it was there.
  bool subscribe(const std::string& topic, runtime::mailbox_ptr who);
  bool unsubscribe(const std::string& topic, const runtime::mailbox_ptr& who);
  /// The mailbox ends: it leaves all topics.
  void leave_all(const runtime::mailbox_ptr& who);
  /// How many subscribers in the cluster the message was sent to.
  std::int64_t publish(const std::string& topic, const runtime::term& body);
  /// Pushes to the subscribers of this node; how many took it.
  std::int64_t deliver(const std::string& topic, const runtime::term& body);
  /// Subscribers in the cluster, as far as this node knows.
  std::int64_t count(const std::string& topic) const;

  std::unique_ptr<runtime::service> make_service();

private:
  using subscribers = std::vector<runtime::mailbox_ptr>;

  std::shared_ptr<const subscribers> find(const std::string& topic) const;
  /// Replaces the list of a topic by one without `who`.
  bool remove(const std::string& topic, const runtime::mailbox_ptr& who);

  runtime::router& net_;
  actors::directory directory_;
  mutable std::shared_mutex mutex_;
  /// Lists are replaced, never changed: a publisher reads without the lock.
  std::map<std::string, std::shared_ptr<const subscribers>> local_;
};

} // namespace hornbeam::actors
