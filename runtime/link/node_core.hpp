#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "runtime/base/host_registry.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/caf/caf.hpp"
#include "runtime/caf/loop_actor.hpp"
#include "runtime/link/link.hpp"
#include "runtime/link/peering.hpp"
#include "runtime/link/service_box.hpp"
#include "runtime/net/tls.hpp"
#include "runtime/settings/settings.hpp"

namespace hornbeam::runtime {

class session;

/// What two nodes tell each other before anything else.
struct hello {
  /// Versions of the protocol that this node speaks. The highest that both
  /// speak is used; version 1 was spoken over another transport.
  static constexpr std::uint32_t lowest_version = 2;
  static constexpr std::uint32_t highest_version = 2;
  std::uint32_t lowest = lowest_version;
  std::uint32_t highest = highest_version;
  /// A bit for each thing that is not in all of them.
  static constexpr std::uint64_t tells_process = 1;
  std::uint64_t features = tells_process;
  std::string name;
  std::uint64_t incarnation = 0;
  std::string cluster;
  std::string address; ///< of the listener; empty if there is none
  bool hidden = false;
  bool worker = false;      ///< it has no name of its own
  std::int64_t process = 0; ///< its number; 0: it does not tell
  std::string host;         ///< the computer, as that calls itself
  std::uint64_t parent = 0; ///< see `node_settings::parent`

  /// Whether this node speaks a version that the other one does.
  bool spoken_here() const noexcept {
    return lowest <= highest_version && highest >= lowest_version;
  }

  template <class Archive>
  void serialize(Archive& ar, unsigned) {
    ar& lowest& highest;
    if (!spoken_here())
      return; // and is refused for that, whatever comes behind it
    ar& features& name& incarnation& cluster& address& hidden;
    if ((features & tells_process) != 0)
      ar& worker& process& host& parent;
  }
};

/// Why a node does not take another one.
struct refusal {
  failure why;
  bool again = false; ///< whether it may be otherwise in a moment
};

/// What the actors of a node share with its callers: who is connected, which
/// services are here. It does not own the actor system, so that actors may
/// hold it.
struct node_core : std::enable_shared_from_this<node_core> {
  struct peer {
    std::shared_ptr<runtime::link> link;
    hello said;
    std::chrono::system_clock::time_point since;
  };

  /// A node without a name, until it joins others.
  static constexpr auto unnamed = "hornbeam@localhost";

  explicit node_core(node_settings s);

  origin_ptr self() const { return self_; }
  hello greeting() const;

  /// Takes a new link into the table and tells the services, or says why not.
  /// Casts that have waited for it go out first.
  std::optional<refusal> add_peer(const hello& from,
                                  std::shared_ptr<runtime::link> x);
  /// The link is over: its requests fail, the services hear of it.
  void drop_peer(const std::shared_ptr<runtime::link>& x, const failure& why);
  /// One that takes something.
  std::shared_ptr<runtime::link> find_link(const std::string& name) const;
  /// Whether the link to that node has ended, and is still to be dropped.
  bool closes(const std::string& name) const;
  std::vector<peer> all_peers() const;

  /// Notes a link and its actor.
  void add_session(const std::shared_ptr<session>& x, const caf::actor& actor);
  /// The actors of links that have not gone.
  std::vector<caf::actor> link_actors() const;
  /// That of the link to a node, or none.
  std::shared_ptr<session> find_session(const std::string& name) const;

  /// Whether a node that is connected is at this host, an address.
  bool has_member_at(const std::string& host) const;

  /// Until `joined` whoever finds nothing waits. False: it has begun before.
  bool begin_join();
  /// Joins when each of those has answered, by name with their processes.
  void join_with(std::map<std::string, long> members);
  /// `well`: there is a connection.
  void member_answered(const std::string& name, bool well);
  /// Whoever has not answered is told of, and noted in the host's registry.
  void joined();
  bool when_joined(std::function<void()> f);

  /// Reads the cluster's secret, and makes it if there is none: once. Raises
  /// `std::runtime_error`. Nothing is done for nodes without TLS.
  void load_secret();
  /// Reads it again. New connections use what is there now, and links whose
  /// certificates are no longer among it end. Raises `std::runtime_error` if it
  /// can't be used, and leaves all as it is.
  void reload_secret();
  /// What was read; none without TLS.
  std::shared_ptr<const tls_context> tls() const;

  void add_service(service_box_ptr x);
  /// Calls `f`, in any thread, when each service has handled what it has got
  /// until now.
  void after_services(std::function<void()> f);
  /// Hands `c` to a service of this node.
  void dispatch(const std::string& service, call c);
  /// One-way to a peer. To a node that is not connected it waits until it is;
  /// true the first time, when the caller must connect.
  bool cast_or_wait(const std::string& to, const std::string& service,
                    std::string body, bool& taken);
  /// How another node is told of a failure: of "this node" it would think its
  /// own.
  failure as_told(failure why) const;
  /// A cast that `to` has not taken is lost.
  void lose_casts(const link& to, std::uint64_t n = 1);
  /// No connection to that node came about: what waited for it is lost.
  void connection_failed(const std::string& to);

  /// Has the peering actor call `f`; nothing once the node has ended.
  void tell_peering(
    std::function<void(runtime::peering&, clock::time_point)> f) const;
  /// Asks it for a connection to `target` (`name@host[:port]`); with `to_know`
  /// it is answered when it is known what the other one has.
  void want_peer(const std::string& target, deadline until, responder reply,
                 bool to_know) const;

  const node_settings settings;
  const std::chrono::system_clock::time_point started
    = std::chrono::system_clock::now();
  std::atomic<bool> stopping{false};
  /// Casts that could not be delivered.
  std::atomic<std::uint64_t> lost_casts{0};
  /// Casts that wait for a connection to be made.
  std::atomic<std::uint64_t> casts_connecting{0};
  host_registry registry;

  /// Set by the node before anything is connected.
  std::shared_ptr<event_loop> loop;
  std::shared_ptr<loop_unit> unit;
  caf::actor_system* system = nullptr;
  /// In the loop: sessions of this node's dials, by number, that have no
  /// answer.
  std::map<std::uint64_t, std::weak_ptr<session>> dialling;

  /// Asked for a service that is not there; true if it is now. Set before the
  /// node is reached.
  std::function<bool(const std::string&)> make_service;

  /// Asked first: true if it has answered the call. It never waits, as it runs
  /// in the thread of a link. Set before the node is reached.
  std::function<bool(const std::string& service, call& c)> answer_inline;

  /// Asked before a cast is decoded: true if it has taken it as it came. It
  /// never waits either. Set before the node is reached.
  std::function<bool(const std::string& service, std::string_view op)>
    take_encoded;

  /// Served by the thread that has the call, in the order of arrival, as they
  /// never wait: set before the node is reached.
  std::map<std::string, std::shared_ptr<service>> inline_services;

  mutable ranked_shared_mutex<lock_rank::node> mutex; ///< guards what follows
  std::string address;
  std::map<std::string, peer> peers;
  std::map<std::string, service_box_ptr> services;
  caf::actor peering;
  struct known_session {
    std::weak_ptr<session> on;
    caf::actor_addr actor;
  };
  std::vector<known_session> sessions;
  struct waiting_cast {
    std::string service;
    std::string body;
  };
  /// Casts to nodes that are being connected.
  std::map<std::string, std::vector<waiting_cast>> waiting_casts;

private:
  /// Nothing once the node has ended.
  template <class T>
  void send_to_peering(T x) const;
  void tell_services(const hello& from, bool up);
  void lose_casts(const std::string& to, const char* why, std::uint64_t n);

  /// Held while a peer is taken in or dropped, so that everybody hears of ups
  /// and downs in their order.
  ranked_mutex<lock_rank::news> news_mutex_;
  ranked_mutex<lock_rank::joining> joining_mutex_;
  std::atomic<bool> joining_{false};
  bool ends_joining_ = false;
  std::vector<std::function<void()>> when_joined_;
  std::map<std::string, long> missing_; ///< members that have not answered
  ranked_mutex<lock_rank::reloading> reloading_mutex_;
  mutable ranked_mutex<lock_rank::secret> secret_mutex_;
  std::shared_ptr<const tls_context> tls_;
  const origin_ptr self_;
};
using core_ptr = std::shared_ptr<node_core>;

/// Starts the actor that connects to others and decides about those who come.
caf::actor spawn_peering(const core_ptr& core);

/// What is told to it.
struct peering_event {
  std::function<void(peering&, clock::time_point)> f;
};
struct connect_request {
  std::string target;
  deadline until;
  responder reply;
  bool to_know = false;
};
using connect_request_ptr = std::shared_ptr<connect_request>;

/// What a link has to take apart from its thread.
struct to_read {
  std::function<void()> f;
};

using shut_atom = caf::atom_constant<caf::atom("hbshut")>;
using tick_atom = caf::atom_constant<caf::atom("hbtick")>;

} // namespace hornbeam::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(hornbeam::runtime::connect_request_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(hornbeam::runtime::peering_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(hornbeam::runtime::to_read)
