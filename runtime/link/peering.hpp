#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/log.hpp"
#include "runtime/call/outcome.hpp"
#include "runtime/settings/settings.hpp"

namespace hornbeam::runtime {

/// Decides to whom a node connects, as a state machine: it knows no sockets,
/// threads or clocks. What happens is told to it with the time; what is to be
/// done then is taken from it as values. Of one thread at a time.
///
/// For each node that somebody wants there is at most one dial at a time. If
/// two nodes dial each other at the same time, the dial of the one with the
/// smaller name stands: the other's hello is refused, and who waits for it is
/// served by the link that comes in.
///
/// If another incarnation of a node that is connected says hello, the old link
/// has to prove that it lives: a node that was started again after its machine
/// has lost power would else wait until the silence is noticed.
///
/// A new peer is told the members that this node knows; each dials those it
/// does not know, so that the mesh is full. Whom this node has dialled and who
/// went down without a goodbye is dialled again, with growing pauses;
/// configured peers after a goodbye too.
///
/// What always holds: each waiter is answered exactly once; a node that nobody
/// wants, that is not connected and was not seen for `forget` is not kept.
class peering {
public:
  using time = clock::time_point;
  using milliseconds = std::chrono::milliseconds;

  struct options {
    /// The name of this node, which gets one when it first listens.
    std::function<std::string()> self;
    std::vector<peer_setting> peers; ///< to stay connected to
    bool hidden = false;             ///< tells nobody of others
    bool loopback_only = false;      ///< as without TLS
    milliseconds forget{600'000};    ///< how long to look for who is gone
    /// Where this host's registry says that a node is.
    std::function<std::optional<std::string>(const std::string& name)> on_host;
    unsigned seed = 1; ///< of the spread of pauses
  };

  /// A node as others are told of it.
  struct member {
    std::string name;
    std::string address;
  };

  // -- what is to be done ----------------------------------------------------

  /// Connect to `address`, and report on it as the dial `number`.
  struct dial {
    std::uint64_t number = 0;
    std::string name;
    runtime::address address;
    /// Why it has failed, for whoever waits.
    failure no(const std::string& why) const;
  };
  /// That dial is not needed any more: nothing is heard of it.
  struct abandon {
    std::uint64_t number = 0;
  };
  struct say_goodbye {
    std::string to;
  };
  struct tell_members {
    std::string to;
    std::vector<member> members;
  };
  /// Somebody who has called `want` waits no longer.
  struct answer {
    std::uint64_t waiter = 0;
    bool connected = false;
    failure why; ///< there is no connection
  };
  struct report {
    log::level how;
    std::string text;
  };
  using effect
    = std::variant<dial, abandon, say_goodbye, tell_members, answer, report>;

  /// What to answer to a hello.
  enum class reception {
    accept,
    both_dial, ///< refuse: this node's own dial stands
    prove,     ///< accept unless the old link proves that it lives
  };

  explicit peering(options o);

  /// What has become necessary since the last time, in order.
  std::vector<effect> take();
  /// When `tick` is due, if nothing else happens.
  std::optional<time> next() const;

  // -- what happens ----------------------------------------------------------

  /// Time for the configured peers.
  void start(time now);
  /// Somebody wants a connection, or also (`to_know`) that it is known what
  /// the other node has. `target`: `name@host[:port]`.
  void want(time now, std::uint64_t waiter, const std::string& target,
            time until, bool to_know);
  void tick(time now);

  /// The dial has reached somebody. False: nobody wants it any more; else a
  /// hello goes there now.
  bool reached(std::uint64_t number, const std::string& name);
  /// It has failed; `again`: trying again may help.
  void failed(time now, std::uint64_t number, const std::string& name,
              const failure& why, bool again);
  /// A node that has connected says hello.
  reception hello(const std::string& name, std::uint64_t incarnation) const;
  /// There is a link, by a dial of this node (`number`) or of the other (0).
  void linked(time now, std::uint64_t number, const member& peer,
              std::uint64_t incarnation, bool hidden);
  /// It is known what the peer has.
  void known(const std::string& name, std::uint64_t incarnation);
  /// A link is over; `left`: goodbyes were said.
  void closed(time now, const std::string& name, std::uint64_t incarnation,
              bool left);
  /// The user does not want that node any more: whatever others tell, it is not
  /// dialled until somebody wants it.
  void unwanted(const std::string& name);
  /// A peer tells of others.
  void told(time now, const std::vector<member>& members);

  /// More are not learned from what peers tell.
  static constexpr std::size_t most_told = 10'000;
  /// How many nodes are kept in mind.
  std::size_t size() const noexcept { return nodes_.size(); }

private:
  struct waiter {
    std::uint64_t id = 0;
    time until;
    bool to_know = false;
  };
  struct link {
    std::uint64_t incarnation = 0;
    bool hidden = false;
    bool known = false;           ///< what the peer has
    std::optional<time> known_by; ///< taken as known then
  };
  /// A node that is connected, wanted or was seen lately.
  struct node {
    std::optional<link> on;
    std::uint64_t dialling = 0; ///< the number of the dial; 0: none
    bool greets = false;        ///< it has reached somebody
    bool unwanted = false;      ///< what it brings is left again
    std::optional<time> dial_at;
    bool keep = false;        ///< dial it until it is forgotten
    bool on_host = false;     ///< this host's registry knew it
    std::string given;        ///< its address, by somebody who wants it
    std::string announced;    ///< its address, by itself or others
    std::optional<time> lost; ///< not reached since
    milliseconds pause{};     ///< before the next dial
    std::vector<waiter> waiters;
  };
  using entry = std::pair<const std::string, node>;

  void connect(time now, entry& x);
  void connect_later(time now, node& x);
  /// Nobody looks for that node, and what is under way to it is left again.
  static void let_go(node& x);
  /// Of those that wait, whoever needs no more than there is.
  void answer_waiters(node& x);
  /// Forgets it if there is nothing to remember.
  void tidy(time now, const std::string& name);
  bool configured(const std::string& name) const;
  bool looked_for_in_vain(time now, const entry& x) const;
  std::string address_of(const entry& x) const;

  const options options_;
  std::map<std::string, node> nodes_;
  bool said_that_full_ = false; ///< once: peers may tell again and again
  /// Those that the user does not want, until somebody asks for them, or they
  /// come.
  std::set<std::string> declined_;
  std::vector<effect> effects_;
  std::uint64_t last_dial_ = 0;
  std::minstd_rand random_;
};

} // namespace hornbeam::runtime
