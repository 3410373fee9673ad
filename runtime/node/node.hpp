#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <caf/fwd.hpp>

#include "runtime/call/service.hpp"
#include "runtime/node/tables.hpp"
#include "runtime/otp/groups.hpp"
#include "runtime/process/processes.hpp"
#include "runtime/settings/settings.hpp"

namespace hornbeam::runtime {

/// A node of the cluster, as it tells of itself.
struct member {
  enum class role : std::uint8_t {
    node,   ///< has a name of its own: `peers` shows it
    worker, ///< has none
    hidden, ///< a visiting tool
  };
  std::string name;
  role is = role::node;
  std::int64_t process = 0;
  std::string host;    ///< the computer, as that calls itself
  std::string address; ///< of its listener; empty if there is none
  /// When it was connected; of this node, when it was started.
  std::chrono::system_clock::time_point since;
};

/// One node: a name, an incarnation, a CAF actor system with its services,
/// and a link to each connected peer. All members are safe from any thread.
class node : public router {
public:
  /// Starts a node that neither listens nor connects yet. Raises
  /// `std::runtime_error` for settings that can't be used.
  static std::shared_ptr<node> start(node_settings settings);
  ~node() override;

  const node_settings& settings() const noexcept;
  /// Name and incarnation. The name of a node that was started without one
  /// changes once: when it first joins others.
  origin_ptr self() const override;
  std::string name() const;
  /// `x` as `name@host`: without a host it is one of this node's. Raises
  /// `bad_term` if it is not the name of a node.
  std::string full_name(const std::string& x) const;
  /// `host:port` of the listener, or empty.
  std::string address() const;
  caf::actor_system& system();
  runtime::tables& tables();
  runtime::processes& processes() noexcept;
  runtime::groups& groups() noexcept;
  pid make_pid();
  reference make_ref();

  /// Makes what `make` returns reachable as `name`, here and for peers. It
  /// runs under the node's supervisor, which makes it anew when it dies; what
  /// waits for it meanwhile is not lost.
  void add_service(const std::string& name,
                   std::function<std::unique_ptr<service>()> make);
  /// The CAF actor that serves `name` now, or none.
  caf::actor service_actor(const std::string& name) const;
  /// `make` is asked for services that nobody has added; it adds one and says
  /// true, or says false. To be called before `start_networking`.
  void on_unknown_service(std::function<bool(const std::string&)> make);
  /// `f` is asked before a call goes to the actor of its service; true if it
  /// has answered. It runs in the thread of a link, so it must neither wait
  /// nor raise. To be called before `start_networking`.
  void on_call(std::function<bool(const std::string& service, call& c)> f);
  /// Listens and connects as the settings say; to be called once, when the
  /// services are there, so that no peer meets a node without them.
  void start_networking();

  // -- router ----------------------------------------------------------------

  /// Of those that have a name of their own.
  std::vector<std::string> peers() const override;
  std::shared_ptr<wait_helper> helper_for(
    const std::string& node) const override;
  bool when_joined(std::function<void()> f) override;
  /// Connects first if there is no link; then it returns true at once.
  bool cast(const std::string& node, const std::string& service,
            const term& op) override;
  bool tell(const std::string& node, const std::string& service,
            const term& op) override;
  failure why_not(const std::string& node) const override;
  /// Connects first if there is no link.
  void request(const std::string& node, const std::string& service,
               const term& op, deadline until, std::uint32_t depth,
               responder reply) override;

  // -- peers -----------------------------------------------------------------

  /// `target` is `name@host` or `name@host:port`. Answers true, when what that
  /// node has is known here, or why not.
  void connect(const std::string& target, deadline until, responder reply);
  /// Says goodbye to a peer and does not connect to it again by itself.
  bool disconnect(const std::string& name);
  bool connected(const std::string& name) const;
  /// This node and all that are connected.
  std::vector<member> members() const;
  /// Requests to other nodes that have no answer yet.
  std::size_t open_requests() const;
  /// Casts to and from other nodes that could not be delivered.
  std::uint64_t lost_casts() const noexcept;
  /// Opens the listener if there is none.
  void listen();
  /// Reads the file of the cluster's secret again: see `node_core`.
  void reload_secret();
  /// Connects to the nodes of this cluster and user that live on this host
  /// now. Does not wait: `when_joined` does, if the settings say that this node
  /// joins. Whoever starts later joins this one.
  void join_host();

  /// Flushes what is on its way, says goodbye to all peers, ends the services
  /// and CAF. Returns within about a second whatever happens.
  void stop();
  /// Waits until no socket is being made for a listener or a first call to
  /// another node, and holds that off.
  void before_fork();
  void after_fork_in_parent();
  /// After a fork, in the child: closes the descriptors that the parent's
  /// node owns. The node must not be used or destroyed any more.
  void abandon_after_fork();

private:
  void ask_for_link(const std::string& target, deadline until, responder reply,
                    bool to_know);
  struct impl;
  explicit node(std::unique_ptr<impl> x);
  std::unique_ptr<impl> impl_;
};

/// `name` as `name@host`, taking the host of `self` if it has none. Raises
/// `bad_term` if it is not the name of a node.
std::string full_node_name(const std::string& name, const std::string& self);

struct listener_addresses {
  std::string here;      ///< for nodes of this host
  std::string elsewhere; ///< for all, as others are told
};

/// Where others reach the listener of the node `name` that is bound to `bound`.
listener_addresses addresses_of(const node_settings& s, const std::string& name,
                                const std::string& bound);

} // namespace hornbeam::runtime
