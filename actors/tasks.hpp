#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "actors/named_handlers.hpp"

namespace hornbeam::actors {

/// A result that lives in this process in a form of its own (a Python
/// object). Others ask for it as a term, which may take a while.
class local_result {
public:
  virtual ~local_result() = default;
  virtual void as_term(runtime::responder reply) const = 0;
};
using local_result_ptr = std::shared_ptr<const local_result>;

/// How a task ended.
struct task_result {
  runtime::outcome value;
  local_result_ptr local; ///< if set, it stands for a success
};

/// Tasks: calls of hooks whose result is kept until it is asked for, perhaps
/// more than once.
///
/// Protocol: a task lives on the node that runs it and its id names that node
/// and its incarnation, so anybody who has the id can find it. The submitter
/// makes the id and sends the cast `submit id name action args kwargs`.
/// Waiters ask `await id`, or `turn`, which says that all before it is done;
/// the actor keeps them and answers when the task ends. Results are kept for a
/// time and up to a number; what was kept longest goes first. When the node
/// dies, its link fails every waiter; a later incarnation of the node does not
/// know the id and says so.
class tasks {
public:
  struct limits {
    std::int64_t keep_ms = 3600 * 1000;
    std::size_t keep_count = 10000;
  };
  using callback = std::function<void(const task_result&)>;

  tasks(runtime::router& net, named_handlers& hooks, limits keep)
    : net_(net), hooks_(hooks), keep_(keep) {}

  /// The id of a new task on `node`, which may be this one.
  std::string make_id(const std::string& node);
  /// The node that an id names. Raises `bad_term` if it is no task id.
  static std::string node_of(const std::string& id);

  /// Notes a task of this node as running.
  void start(const std::string& id);
  void finish(const std::string& id, task_result result);
  /// Calls `f` when the task has ended, at once if it has. False if no such
  /// task is known here. Waiters that are past `until` are dropped in time.
  bool await(const std::string& id, runtime::deadline until, callback f);
  /// The same for callers of this node, who get `unknown` as the result: who
  /// told them of the id may have been faster than the submitter's cast, which
  /// is then on its way through the actor. So the actor has its turn first.
  void await_here(const std::string& id, runtime::deadline until, callback f);
  /// Starts the call of a hook as a task of this node.
  void run(const std::string& id, invocation x);
  /// Submits to the node that the id names. Never blocks.
  void submit(const std::string& id, const invocation& x);

  /// Running and kept tasks.
  std::pair<std::size_t, std::size_t> count() const;
  runtime::failure unknown(const std::string& id) const;

  std::unique_ptr<runtime::service> make_service();

private:
  struct task {
    std::optional<task_result> result;
    runtime::clock::time_point ended;
    std::vector<std::pair<runtime::deadline, callback>> waiters;
  };

  void drop_old();

  runtime::router& net_;
  named_handlers& hooks_;
  limits keep_;
  mutable std::mutex mutex_;
  std::uint64_t next_ = 1;
  std::map<std::string, task> tasks_;
  std::deque<std::string> ended_; ///< in the order in which they ended
};

} // namespace hornbeam::actors
