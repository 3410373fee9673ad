#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "actors/directory.hpp"
#include "network.hpp"
#include "runtime/link/link.hpp"
#include "runtime/link/peering.hpp"

namespace hornbeam::simulation {

/// Faults that are put in on purpose, to see that the checks find them.
enum class bug {
  none,
  no_sync,         ///< a new peer is not told what is here
  loss_is_goodbye, ///< nobody looks for a peer that was lost
  open_for_ever,   ///< what was open at a loss is not failed
  no_down,         ///< a peer is replaced, and the services hear of no loss
  no_members,      ///< a new peer is not told of the others
  no_timers,       ///< the pauses between dials never end
  swapped,         ///< a service gets two of its messages in the wrong order
  doubled,         ///< a batch arrives twice
  told_late,       ///< who asks again because of a loss is taken for connected
};

/// What all nodes of a run share.
struct surroundings {
  timeline clock;
  dice random;
  network net{clock, random};
  bug with = bug::none;
  bool one_host = false; ///< its registry knows all nodes
  std::map<std::string, std::string> registry;
  std::vector<std::string> faults; ///< rules that were broken

  explicit surroundings(std::uint64_t seed) : random(seed) {}
  void broken(std::string what) { faults.push_back(std::move(what)); }
};

/// How long things may take in these runs.
inline constexpr milliseconds heartbeat{1000};
inline constexpr milliseconds detection{5000};
inline constexpr milliseconds connecting{5000};
inline constexpr milliseconds forgetting{60'000};

class session;

/// A node: the real `peering`, `link` and `directory`, with a model of what is
/// around them in a process: the table of peers, sessions, services that take
/// one message after the other, and a clock of its own.
class node : public runtime::router, public std::enable_shared_from_this<node> {
public:
  node(surroundings& world, int machine, std::string name, std::string address,
       std::uint64_t incarnation, std::vector<runtime::peer_setting> peers);
  void start();

  const std::string& name() const noexcept { return self_->name_; }
  std::uint64_t incarnation() const noexcept { return incarnation_; }
  const std::string& address() const noexcept { return address_; }
  runtime::clock::time_point now() const { return world_.clock.now() + ahead_; }

  // -- what its program does -------------------------------------------------

  void connect(const std::string& target, milliseconds patience, bool to_know);
  void disconnect(const std::string& peer);
  void request(const std::string& peer, milliseconds patience);
  void cast(const std::string& peer, std::size_t bytes);
  void set_members(const std::string& topic, std::int64_t count);
  /// Says goodbye to all; the process is to end in a moment.
  void leave();

  // -- what happens to it ----------------------------------------------------

  void end_process(); ///< at once; the kernel closes what it had open
  void lose_power();
  void freeze(milliseconds d);
  void jump(milliseconds ahead);

  // -- to look at ------------------------------------------------------------

  bool alive() const noexcept { return alive_; }
  /// Whether its program has disconnected that node, and not asked for it
  /// since.
  bool declines(const std::string& peer) const {
    return declined_.contains(peer);
  }
  /// Names of connected nodes and their incarnations.
  std::map<std::string, std::uint64_t> links() const;
  const actors::directory& topics() const noexcept { return topics_; }
  std::size_t known_nodes() const noexcept { return peering_.size(); }
  /// What should have been answered and was not.
  std::string unanswered() const;

  // -- router ----------------------------------------------------------------

  runtime::origin_ptr self() const override { return origin_; }
  std::vector<std::string> peers() const override;
  bool cast(const std::string& to, const std::string& service,
            const runtime::term& op) override;
  bool tell(const std::string& to, const std::string& service,
            const runtime::term& op) override;
  void request(const std::string& to, const std::string& service,
               const runtime::term& op, runtime::deadline until,
               std::uint32_t depth, runtime::responder reply) override;

private:
  friend class session;
  struct self_name {
    std::string name_;
  };
  using note = std::variant<runtime::peer_event, runtime::call_ptr,
                            std::function<void()>>;

  /// Has `f` happen in this process, when it is not frozen, and does what
  /// follows from it.
  void run(std::function<void()> f);
  void after(milliseconds d, std::function<void()> f);
  void thaw();
  void want(const std::string& target, milliseconds patience, bool to_know);
  /// Has `f` happen to `peering` a little later, in order: as by a mailbox.
  void tell_peering(std::function<void(runtime::peering&)> f);
  void take_mail();
  void do_what_is_asked();
  void settle();
  void post(note x);
  void serve();
  void handle(const runtime::call& c);

  void perform(const runtime::peering::dial& x);
  void perform(const runtime::peering::abandon& x);
  void perform(const runtime::peering::say_goodbye& x);
  void perform(const runtime::peering::tell_members& x);
  void perform(const runtime::peering::answer& x);
  void perform(const runtime::peering::report&) {}

  std::optional<bool> add_peer(const std::shared_ptr<session>& s);
  void drop_peer(session& s);
  std::shared_ptr<session> to(const std::string& peer) const;

  surroundings& world_;
  const int machine_;
  const std::shared_ptr<self_name> self_;
  const std::string address_;
  const std::uint64_t incarnation_;
  const runtime::origin_ptr origin_;
  runtime::peering peering_;
  actors::directory topics_;
  bool alive_ = true;
  time frozen_until_{};
  std::deque<std::function<void()>> frozen_; ///< what has happened meanwhile
  runtime::clock::duration ahead_{};
  time awake_since_{}; ///< by its own clock: then it could do what was due
  std::optional<time> wakes_;
  int ticks_ = 0; ///< that are planned
  std::deque<std::function<void(runtime::peering&)>> mail_;
  bool mail_comes_ = false;
  std::map<std::string, int> made_; ///< links
  std::set<std::string> declined_;  ///< by its program

  std::map<std::string, std::shared_ptr<session>> peers_;
  std::vector<std::shared_ptr<session>> sessions_; ///< oldest first
  std::map<std::string, std::uint64_t> up_; ///< as the services have heard
  std::deque<note> notes_;                  ///< that they have not handled
  bool serving_ = false;

  struct waiter {
    bool answered = false;
    time until;
    std::string whom;
    int made = 0; ///< links to it by then
    bool had_link = false;
  };
  std::map<std::uint64_t, waiter> waiters_;
  struct open_call {
    std::weak_ptr<session> on;
    bool answered = false;
    time until;
  };
  std::map<std::uint64_t, open_call> calls_;
  std::uint64_t last_id_ = 0;
};

/// What a connection carries, as `link/session` does it: first the hellos, then
/// a link.
class session : public runtime::link::sink,
                public std::enable_shared_from_this<session> {
public:
  session(node& on, end_ptr wire, std::optional<runtime::peering::dial> dial);
  void open(milliseconds patience);

  void on_request(std::uint64_t id, const std::string& service,
                  runtime::deadline until, std::uint32_t depth,
                  std::string_view body) override;
  void on_cast(const std::string& service, std::string_view body) override;
  void on_bye() override;
  void on_announced() override;
  void apart(std::function<void()> f) override;

private:
  friend class node;
  struct greeting {
    std::string name;
    std::uint64_t incarnation = 0;
    std::string address;
  };

  void say(char what, const std::string& body);
  void received(const std::string& message);
  void take_hello(std::string_view body);
  void decide(const runtime::peering& p);
  void take_answer(char what, std::string_view body);
  void accept();
  void refuse(bool again);
  std::optional<bool> connect();
  void tell_linked();
  void closed();
  void give_up(bool again);
  void beat();
  void leave();
  void end();
  void drop();
  void read_on();
  void prove_alive(std::function<void()> f);
  void flush();
  std::string greet() const;

  node& node_;
  const end_ptr wire_;
  const std::optional<runtime::peering::dial> dial_;
  greeting peer_;
  bool heard_hello_ = false;
  bool over_ = false;
  std::optional<time> leaving_;
  time heard_{};
  std::unique_ptr<runtime::link> link_;
  std::vector<std::function<void()>> when_proved_;
  std::deque<std::function<void()>> apart_;
  std::int64_t sent_casts_ = 0;
  std::int64_t got_casts_ = 0;
};

} // namespace hornbeam::simulation
