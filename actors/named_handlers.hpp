#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "actors/call_stats.hpp"
#include "actors/directory.hpp"
#include "actors/handler.hpp"
#include "actors/served_handler.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::actors {

/// Handlers that the whole cluster finds by name: the hooks are one of these,
/// the functions another.
///
/// Protocol: a node registers here and announces it through the directory, as
/// 1 or, if a call may be sent again, 2; and as 3 or 4 if others should rather
/// be asked. A caller prefers its own node;
/// otherwise it asks, of the nodes that have the name, the one on which it
/// waits for the fewest calls, with the request `invoke name action args
/// kwargs`, or the cast of the same form. A call that never left this node, or
/// may be sent again, goes to the next one when its node is lost.
/// A node whose forked children are connected says that others should rather be
/// asked: these have its handlers, and the master of a web server has other
/// work.
///
/// What only starts is handed over by whoever reads the call; for the rest the
/// actor starts a process, and so it never waits.
class named_handlers {
public:
  /// Runs something that may take long, in another thread.
  using runner = std::function<void(std::function<void()>)>;

  /// `scope` is `hook` or `function`; the actor is called `hooks` or
  /// `functions`.
  named_handlers(std::string scope, runtime::router& net,
                 actors::directory::silence silent
                 = std::make_shared<silent_peers>())
    : scope_(std::move(scope)),
      net_(net),
      directory_(net, scope_ + "s", std::move(silent)) {}

  const std::string& scope() const noexcept { return scope_; }
  const std::string& service_name() const noexcept {
    return directory_.service();
  }
  actors::directory& directory() noexcept { return directory_; }
  /// Others don't find what is here: see `node_settings::serve`.
  void serve_nobody();
  /// Before the service starts; without one it runs all itself.
  void run_with(runner f) { run_ = std::move(f); }
  /// Runs something for a handler, elsewhere unless that only starts it.
  void run(const handler& h, std::function<void()> f) const {
    if (h.never_blocks() || !run_)
      f();
    else
      run_(std::move(f));
  }

  std::shared_ptr<served_handler> add(const std::string& name, handler_ptr x,
                                      const handler_options& options = {});
  bool remove(const std::string& name);
  /// The handler of this node; null if it has none.
  std::shared_ptr<served_handler> local(const std::string& name) const;
  /// The node to ask next; none if no node has the name.
  std::optional<std::string> pick(const std::string& name) const;
  struct provider {
    std::string node;
    bool retry = false; ///< a call may be sent again when it is lost
  };
  /// The same of the others, but for `tried`.
  std::optional<provider> pick_elsewhere(const std::string& name,
                                         const std::set<std::string>& tried
                                         = {}) const;
  /// Whether a call that has failed so is sent to the next node.
  static bool may_go_on(const runtime::failure& why, bool retry);
  std::vector<std::string> names() const { return directory_.names(); }
  /// A list of dicts, one for each name and node that this node has or has
  /// asked: `name`, `node`, what `call_stats` says, and for those of this node
  /// `concurrency`, `queue`, `retry` and `waiting`.
  runtime::term info() const;

  /// Asks wherever the name lives. Never blocks, but for a handler in C++ of
  /// this node, which runs at once.
  void invoke(invocation x, runtime::responder reply);
  /// The same, but no handler of this node.
  void invoke_elsewhere(invocation x, runtime::responder reply);
  /// One-way. False if nobody has the name.
  bool cast(const invocation& x);
  /// Hands a call over in the thread that has read it; false if it can't.
  bool answer_inline(const std::string& service, runtime::call& c);

  std::unique_ptr<runtime::service> make_service();

private:
  friend class named_handlers_service;
  static constexpr std::int64_t plain = 1;
  static constexpr std::int64_t retryable = 2;
  static constexpr std::int64_t rather_others = 2; ///< is added

  /// The calls from here to one node.
  struct route {
    explicit route(std::string n) : node(std::move(n)) {}
    const std::string node;
    call_stats stats;
  };
  using route_ptr = std::shared_ptr<route>;
  struct choice {
    route_ptr to;
    bool retry = false;
  };
  /// A call on its way to some node.
  struct pending_call {
    invocation call;
    runtime::responder reply;
    runtime::failure why; ///< of the last node that was lost
    std::set<std::string> tried;
  };

  choice choose(const std::string& name,
                const std::set<std::string>& but = {}) const;
  void send(const std::shared_ptr<pending_call>& x);
  /// False if nobody has the name.
  bool cast_elsewhere(const invocation& x);
  /// The same when this node has joined others, which it had to wait for.
  void cast_late(const invocation& x);
  void serve(handler_ptr h, invocation x, runtime::responder reply);
  void forget(const std::string& node);
  void child(const std::string& node, bool up);
  /// With `mutex_`.
  void announce(const std::string& name);

  std::string scope_;
  runtime::router& net_;
  actors::directory directory_;
  runner run_;
  mutable std::atomic<std::size_t> turn_{0};
  std::atomic<int> casts_waiting_{0}; ///< until this node has joined others
  mutable runtime::ranked_shared_mutex<runtime::lock_rank::routes>
    mutex_; ///< guards what follows
  std::map<std::string, std::shared_ptr<served_handler>> served_;
  std::set<std::string> children_; ///< nodes of forked children
  mutable std::map<std::string, std::map<std::string, route_ptr>> routes_;
};

} // namespace hornbeam::actors
