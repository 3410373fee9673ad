#pragma once

#include <any>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <caf/fwd.hpp>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/service.hpp"
#include "runtime/process/self.hpp"
#include "runtime/process/timers.hpp"

namespace hornbeam::runtime {

struct mark_key;

/// The processes of one node. All members are safe from any thread.
///
/// Protocol between nodes: the service `processes` takes only casts, which
/// the link keeps in their order, so signals of one process to another arrive
/// in the order in which they were sent:
///
///   send To Message, link From To, unlink From To Id, unlink_ack From To Id,
///   exit From To Reason, link_exit From To Reason, monitor Ref From To,
///   demonitor Ref To, down Ref To Reason, ping
///
/// Who has unlinked takes no link of that process before it has acknowledged
/// (erl_dist_protocol, "Link Protocol"): links and unlinks that cross leave
/// both sides of one mind. What a process notes of such a link and what it
/// says of it happen in one step (`links_mutex_`), else they could cross here.
///
/// Links and monitors are written down here before the cast leaves. When the
/// node they lead to is lost, or was never reached, each is taken out of the
/// books and answered with `noconnection`: so exactly once.
class processes {
public:
  static constexpr const char* service_name = "processes";

  /// `clock_by_hand`: no timer thread, as tests want it.
  processes(caf::actor_system& sys, router& net, bool clock_by_hand = false);
  ~processes();
  processes(const processes&) = delete;
  processes& operator=(const processes&) = delete;

  /// Starts a process whose code is the coroutine `f(self, xs...)`, which
  /// takes its parameters by value. What `f` captures lives as long as the
  /// process.
  template <class F, class... Ts>
  term spawn(F f, Ts... xs) {
    return start({}, std::move(f), std::move(xs)...).first;
  }

  struct start_options {
    process* parent = nullptr; ///< who links to it or monitors it
    bool link = false;
    bool monitor = false;
  };
  /// The pid, and the reference of the monitor if one was asked for.
  template <class F, class... Ts>
  std::pair<term, term> start(const start_options& o, F f, Ts... xs) {
    auto p = make_process();
    if constexpr (std::is_empty_v<F> || std::is_pointer_v<F>) {
      auto body = f(self{*p}, std::move(xs)...);
      return launch(std::move(p), std::move(body), nullptr, o);
    } else {
      auto keep = std::make_shared<F>(std::move(f));
      auto body = (*keep)(self{*p}, std::move(xs)...);
      return launch(std::move(p), std::move(body), std::move(keep), o);
    }
  }

  // -- from outside any process ----------------------------------------------

  void send(const term& to, term message);
  /// An exit signal that nobody sent; `from` is the process itself.
  void exit(const term& to, const term& reason);
  /// `badarg` for a process of another node.
  bool alive(const term& pid) const;
  std::optional<term> whereis(const std::string& name) const;
  void register_name(const std::string& name, const term& pid);
  /// The same; but if another process has the name, returns its pid.
  std::optional<term> claim_name(const std::string& name, const term& pid);
  void unregister_name(const std::string& name);
  std::vector<std::string> registered() const;
  /// The pids of all processes that are alive.
  std::vector<term> all() const;
  /// One item of Erlang's `process_info`: `links`, `monitors`,
  /// `monitored_by`, `registered_name`, `message_queue_len`, `trap_exit`,
  /// `dictionary`, `status`. None if the process is dead; `badarg` for a
  /// process of another node or an unknown item.
  std::optional<term> info(const term& pid, const std::string& item) const;
  /// Calls `f` with the reason when the process ends (`noproc` if it has), in
  /// the thread that ends it: `f` must be short.
  void on_exit(const term& pid, std::function<void(const term& reason)> f);

  /// Calls what `on_owner_end` was given, when the process ends, before its
  /// links and monitors hear of it. False if it has ended.
  bool mark_owner(const term& pid);
  /// To be called before there are processes.
  void on_owner_end(std::function<void(const term& pid)> f) {
    release_tables_ = std::move(f);
  }

  /// Processes that are alive, and code that has not yet heard that its
  /// process is dead.
  std::pair<std::size_t, std::size_t> count() const noexcept;
  std::vector<term> abandoned() const;

  runtime::pid make_pid();
  term make_ref();
  /// A reference that leads to `p`, while `p` has it as an active alias.
  term make_alias(process& p);
  origin_ptr node() const noexcept { return node_; }
  router& net() const noexcept { return net_; }
  runtime::timers& clock() noexcept { return clock_; }
  caf::actor_system& system() const noexcept { return system_; }

  /// Ends all processes and waits for their code until `patience` is over;
  /// whatever never suspends is logged and left behind.
  void stop(std::chrono::milliseconds patience);

  // -- other nodes -----------------------------------------------------------

  /// What another node's processes say. `from` is its name.
  void handle(const std::string& from, const operation& op);
  /// One that another node has sent.
  void take_message(const term& to, term message);
  void peer(const peer_event& e);
  /// Whether messages by which `sys` looks into servers or changes them come in
  /// from other nodes; else they are answered with `{error, {not_allowed,
  /// remote_debug}}`. Before the first of them.
  void allow_remote_debug(bool on) noexcept { remote_debug_ = on; }

  // -- for the parts of this class -------------------------------------------

  void schedule(caf::resumable* job);
  void adopt(process& p);
  void retire(process& p);
  /// The process with this number, alive or not.
  process_ptr find(std::uint64_t serial) const;
  /// The process that a pid of this node names; null if it is another's or
  /// gone.
  process_ptr local(const runtime::pid& x) const;
  /// The same without counting, where whoever has `x` keeps the process; else
  /// `hold` does.
  process* reach(const runtime::pid& x, process_ptr& hold) const;
  /// Whether a pid or a reference is of this node: of this start or an earlier
  /// one.
  bool is_local(const origin& x) const noexcept;
  bool is_local(const runtime::pid& x) const noexcept {
    return is_local(*x.node);
  }
  term pid_of(process& p) const;
  void end(process& p, term reason);
  void watch_nodes(process& p, bool on);
  void refuse_debug(const term& caller);
  void watch_node(process& p, const std::string& node, bool on);
  /// Keeps what no term can hold until the process that gets the key takes
  /// it, once.
  std::uint64_t hand_over(std::any x);
  std::any take_over(std::uint64_t key);
  term set_timer(std::int64_t ms, const term& to,
                 std::function<term(const term& ref)> message);
  std::optional<std::int64_t> cancel_timer(const term& ref);

  struct watcher;
  struct ending;

private:
  friend class self;
  friend class process;
  friend class attached_process;

  process_ptr make_process();
  void give_memory_back();
  std::pair<term, term> launch(process_ptr p, process_body body,
                               std::shared_ptr<void> keep,
                               const start_options& o);

  // signals.cpp
  void add_link(process& from, const term& to);
  void remove_link(process& from, const term& to);
  /// It has been acknowledged, or never will be.
  void forget_unlink(process& from, const term& to, std::uint64_t id);
  void add_monitor(process& from, const term& ref, const term& what,
                   bool is_alias);
  bool remove_monitor(process& from, std::uint64_t ref);
  void exit_signal(const term& from, const term& to, const term& reason);
  void end_all(std::vector<ending> work);
  void take_link_exit(process& to, const term& from, const term& reason,
                      std::vector<ending>& work);
  void deliver_down(process& to, std::uint64_t ref, const term& reason);
  void announce(process& p, const term& reason, relations& rel,
                std::vector<ending>& work);

  // remote_signals.cpp
  bool cast(const std::string& node, const term& op);
  /// What another node must hear to know what a link or a monitor has come to:
  /// as `cast`, but never refused because too much waits to be sent there.
  bool tell(const std::string& node, const term& op);
  void count_remote(const std::string& node, std::uint64_t serial, int delta);
  void node_lost(const std::string& node);
  void forget_named(const mark_key& ref);

  void route(const term& to, term message);
  process_ptr named(const std::string& name) const;

  caf::actor_system& system_;
  router& net_;
  const origin_ptr node_;
  bool remote_debug_ = false;
  runtime::timers clock_;
  std::atomic<std::uint64_t> next_serial_{1};

  static constexpr std::size_t shard_count = 64;
  struct alignas(64) shard {
    mutable ranked_mutex<lock_rank::process_shard> mutex;
    std::unordered_map<std::uint64_t, process*> by_serial;
  };
  std::array<shard, shard_count> shards_;
  std::atomic<std::int64_t> alive_{0};
  std::atomic<std::int64_t> bodies_{0};
  /// The most there were, since memory was last given back to the system.
  std::atomic<std::int64_t> most_bodies_{0};
  /// From so many processes on, most of which have gone, it is given back.
  static constexpr std::int64_t storm = 50'000;
  std::atomic<bool> stopping_{false};

  std::function<void(const term& pid)> release_tables_;

  mutable ranked_shared_mutex<lock_rank::process_names> names_mutex_;
  std::unordered_map<std::string, process_ptr> names_;

  ranked_mutex<lock_rank::process_handed> handed_mutex_;
  std::unordered_map<std::uint64_t, std::any> handed_;

  /// Held while a link to another node is noted or erased, and the cast that
  /// says so leaves. Never together with `remote_mutex_`.
  ranked_mutex<lock_rank::process_remote> links_mutex_;

  ranked_mutex<lock_rank::process_remote> remote_mutex_;
  /// For each node, the local processes that have links or monitors to or
  /// from it, and how many.
  std::unordered_map<std::string, std::unordered_map<std::uint64_t, int>>
    remote_;
  std::multiset<std::uint64_t> node_watchers_; ///< once for each subscription
  /// Who wants to hear of the end of a node, and how often.
  std::unordered_map<std::string, std::unordered_map<std::uint64_t, int>>
    single_node_watchers_;
  /// Monitors from other nodes that were set by name: the process.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t>
    named_monitors_;
  std::atomic<bool> node_watchers_in_use_{false};
};

template <class F, class... Ts>
term self::spawn(F f, Ts... xs) const {
  p_->enter();
  return owner().start({}, std::move(f), std::move(xs)...).first;
}

template <class F, class... Ts>
term self::spawn_link(F f, Ts... xs) const {
  p_->enter();
  return owner().start({p_, true, false}, std::move(f), std::move(xs)...).first;
}

template <class F, class... Ts>
std::pair<term, term> self::spawn_monitor(F f, Ts... xs) const {
  p_->enter();
  return owner().start({p_, false, true}, std::move(f), std::move(xs)...);
}

} // namespace hornbeam::runtime
