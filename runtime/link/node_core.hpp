#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "runtime/base/host_registry.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/caf/caf.hpp"
#include "runtime/link/link.hpp"
#include "runtime/link/service_box.hpp"
#include "runtime/settings/settings.hpp"

namespace hornbeam::runtime {

/// What two nodes tell each other before anything else.
struct hello {
  static constexpr std::uint32_t current_version = 1;
  std::uint32_t version = current_version;
  std::string name;
  std::uint64_t incarnation = 0;
  std::string cluster;
  std::string address; ///< of the listener; empty if there is none
  bool hidden = false;

  template <class Archive>
  void serialize(Archive& ar, unsigned) {
    ar& version;
    if (version != current_version)
      return; // and is refused for that, whatever comes behind it
    ar& name& incarnation& cluster& address& hidden;
  }
};

/// What the actors of a node share with its callers: who is connected, which
/// services are here. It does not own the actor system, so that actors may
/// hold it.
struct node_core : std::enable_shared_from_this<node_core> {
  struct peer {
    std::shared_ptr<runtime::link> link;
    std::string address;
    bool hidden = false;
  };

  explicit node_core(node_settings s);

  origin_ptr self() const { return self_; }
  hello greeting() const;

  /// Takes a new link into the table and tells the services, or says why not.
  /// Casts that have waited for it go out first.
  outcome add_peer(const hello& from, std::shared_ptr<runtime::link> x);
  /// The link is over: its requests fail, the services hear of it.
  void drop_peer(const std::shared_ptr<runtime::link>& x, const failure& why);
  std::shared_ptr<runtime::link> find_link(const std::string& name) const;
  std::vector<peer> all_peers() const;

  /// Notes the actor of a link.
  void add_broker(const caf::actor& x);
  /// Those that have not gone.
  std::vector<caf::actor> all_brokers() const;

  void add_service(service_box_ptr x);
  /// Hands `c` to a service of this node.
  void dispatch(const std::string& service, call_ptr c);
  /// One-way to a peer. To a node that is not connected it waits until it is;
  /// true the first time, when the caller must connect.
  bool cast_or_wait(const std::string& to, const std::string& service,
                    std::string body, bool& taken);
  /// A cast that `to` has not taken is lost.
  void lose_casts(const link& to, std::uint64_t n = 1);
  /// No connection to that node came about: what waited for it is lost.
  void connection_failed(const std::string& to);

  /// Sends to the peering actor; nothing once the node has ended.
  template <class... Ts>
  void tell_peering(Ts&&... xs) const {
    caf::actor to;
    {
      shared_lock_scope lock{mutex};
      to = peering;
    }
    if (to)
      caf::anon_send(to, std::forward<Ts>(xs)...);
  }

  const node_settings settings;
  std::atomic<bool> stopping{false};
  /// Casts that could not be delivered.
  std::atomic<std::uint64_t> lost_casts{0};
  /// Casts that wait for a connection to be made.
  std::atomic<std::uint64_t> casts_connecting{0};
  /// Connections that are being made, whose sockets nobody else knows yet.
  std::atomic<int> dials_in_flight{0};
  host_registry registry;
  /// The actor system that connects to others; `node` sets it before the
  /// peering actor starts, which alone calls it.
  std::function<caf::actor_system&()> dialer;

  /// Asked for a service that is not there; true if it is now. Set before the
  /// node is reached.
  std::function<bool(const std::string&)> make_service;

  /// Asked first: true if it has answered the call. It never waits, as it runs
  /// in the thread of a link. Set before the node is reached.
  std::function<bool(const std::string& service, call& c)> answer_inline;

  /// Served by the thread that has the call, in the order of arrival, as they
  /// never wait: set before the node is reached.
  std::map<std::string, std::shared_ptr<service>> inline_services;

  mutable ranked_shared_mutex<lock_rank::node> mutex; ///< guards what follows
  std::string address;
  std::map<std::string, peer> peers;
  std::map<std::string, service_box_ptr> services;
  caf::actor peering;
  /// The actors of links. CAF takes down what they stand on without ending
  /// them, so that must come before.
  std::vector<caf::actor_addr> brokers;
  struct waiting_cast {
    std::string service;
    std::string body;
  };
  /// Casts to nodes that are being connected.
  std::map<std::string, std::vector<waiting_cast>> waiting_casts;

private:
  void tell_services(const peer_event& e);
  void lose_casts(const std::string& to, const char* why, std::uint64_t n);

  /// Held while a peer is taken in or dropped, so that everybody hears of ups
  /// and downs in their order.
  ranked_mutex<lock_rank::news> news_mutex_;
  const origin_ptr self_;
};
using core_ptr = std::shared_ptr<node_core>;

/// Starts the actor of a link in the middleman's thread. If `agent` is valid,
/// it says hello there first (this node asked for the connection); else
/// `remote` is the other side's link actor, which said hello to us.
caf::actor spawn_link_to_agent(caf::actor_system& sys, core_ptr core,
                               caf::actor agent, std::string expected_name,
                               caf::actor report_to);
caf::actor spawn_link_to_peer(caf::actor_system& sys, core_ptr core,
                              caf::actor remote, hello from);

/// Starts the actor that connects to others and is what others see first.
caf::actor spawn_peering(caf::actor_system& sys, core_ptr core);

/// Asks `peering` for a connection to `target` (`name@host[:port]`).
struct connect_request {
  std::string target;
  deadline until;
  responder reply;
};
using connect_request_ptr = std::shared_ptr<connect_request>;

/// How an attempt of `spawn_link_to_agent` ended.
struct attempt_result {
  std::string name; ///< the node that was asked for
  bool ok = false;
  bool again = false; ///< whether trying again may help
  failure why;
};

using dial_atom = caf::atom_constant<caf::atom("dial")>;
using retry_atom = caf::atom_constant<caf::atom("retry")>;
using flush_atom = caf::atom_constant<caf::atom("hbflush")>;
using beat_atom = caf::atom_constant<caf::atom("hbbeat")>;
using failed_atom = caf::atom_constant<caf::atom("hbfailed")>;
using shut_atom = caf::atom_constant<caf::atom("hbshut")>;
using forget_atom = caf::atom_constant<caf::atom("hbforget")>;

} // namespace hornbeam::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(hornbeam::runtime::connect_request_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(hornbeam::runtime::attempt_result)
