#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/named_handlers.hpp"
#include "actors/task.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::actors {

/// Tasks: calls of hooks whose result is kept until it is asked for, perhaps
/// more than once.
///
/// Protocol: a task lives on the node that runs it and its id names that node
/// and its incarnation, so anybody who has the id can find it. The submitter
/// makes the id and sends the cast `submit name action args kwargs id ttl
/// depth`; from then on the task needs him no more. Waiters ask `await id`, or
/// `turn`, which says that all before it is done; the actor keeps them and
/// answers when the task ends. `watch id n` is answered with `(n, x)` as soon
/// as there is another report of progress than the `n`-th, or with none once
/// the task has ended: whoever watches asks again after each answer, so a slow
/// one only gets what is new by then. Who asks for a task may be faster than
/// its submitter: of an id that is not known that one is sent `look n`, and
/// says `looked n` behind all that it has submitted. `status id` and `list`
/// tell the state, `cancel id` says whether there was something to cancel, and
/// `forget id` whether there was something to forget.
/// Results are kept for a time, up to a number and up to what they take; what
/// was kept longest goes first, and who asks for it later is told which bound
/// it was. When the node dies, its link fails every waiter; a later incarnation
/// of the node does not know the id and says so.
class tasks {
public:
  struct limits {
    std::int64_t keep_ms = 3'600'000;
    std::size_t keep_count = 10000;
    /// All results together; the one that came last is kept even if it takes
    /// more, unless this is 0.
    std::size_t keep_bytes = std::size_t{256} << 20;
  };

  tasks(runtime::router& net, named_handlers& hooks, limits keep)
    : net_(net), hooks_(hooks), records_(std::make_shared<records>(keep)) {}

  /// The id of a new task on `node`, which may be this one.
  std::string make_id(const std::string& node);
  /// The incarnation of the node that has made an id; 0: it is none.
  static std::uint64_t submitter_of(const std::string& id);
  /// The node that an id names. Raises `bad_term` if it is no task id.
  static std::string node_of(const std::string& id);

  /// Notes a task of this node.
  task_ptr start(const std::string& id, const std::string& hook,
                 const std::string& action);
  void finish(const std::string& id, task_result result);
  /// False if it has ended, none if no such task is known here. Code of it that
  /// runs sees it at its task.
  std::optional<bool> cancel(const std::string& id);
  /// Keeps the result no longer, or, of a task that has not ended, will not
  /// keep it: those who wait by then get it. False if there is none.
  bool forget(const std::string& id);
  /// A task of this node that has not ended or is kept; null if there is none.
  task_ptr find(const std::string& id);
  /// Calls `f` when the task has ended, at once if it has. False if no such
  /// task is known here. Waiters that are past `until` are dropped in time.
  bool await(const std::string& id, runtime::deadline until, task::callback f);
  /// The same for callers of this node, who get `unknown` as the result: who
  /// told them of the id may have been faster than the submitter's cast, which
  /// is then on its way through the actor. So the actor has its turn first.
  void await_here(const std::string& id, runtime::deadline until,
                  task::callback f);
  /// Starts the call of a hook as a task of this node.
  void run(const std::string& id, invocation x);
  /// Submits to the node that the id names. Never blocks. Raises `failed` if
  /// it can't be sent there.
  void submit(const std::string& id, const invocation& x);

  /// Those that have not ended, and kept ones.
  std::pair<std::size_t, std::size_t> count() const;
  /// What `status` tells of each task, in the order of their ids.
  runtime::term list();
  /// Why there is no such task, and what to do if its result was dropped.
  runtime::failure unknown(const std::string& id) const;
  /// The name of this node.
  std::string node() const { return net_.self()->name(); }

  std::unique_ptr<runtime::service> make_service();

private:
  friend class tasks_service;
  /// The tasks that there are. A handler may answer when all else has ended.
  struct records {
    explicit records(limits x) : keep(x) {}
    /// Ends a task by `how`, which is `task::end` or `task::cancel`, with a
    /// result that takes so many bytes.
    template <class F>
    std::optional<bool> end(const std::string& id, std::size_t bytes, F how);

    /// Why a result is no longer kept.
    enum class reason { age, count, bytes, forgotten };
    struct ended_task {
      runtime::clock::time_point at;
      std::string id;
      std::size_t bytes;
    };
    struct record {
      task_ptr task;
      bool forget = false; ///< when it ends
      std::optional<std::list<ended_task>::iterator> ended = std::nullopt;
    };
    using by_id = std::unordered_map<std::string, record>;
    /// What was dropped, for a caller to destroy without the lock.
    using garbage = std::vector<task_ptr>;

    // With `mutex`:
    void drop_old(garbage& out);
    void drop(by_id::iterator x, reason why, garbage& out);
    std::optional<reason> out_of_bounds() const;

    const limits keep;
    mutable runtime::ranked_mutex<runtime::lock_rank::tasks>
      mutex; ///< guards what follows
    by_id all;
    std::list<ended_task> ended; ///< in the order in which they ended
    std::size_t bytes = 0;       ///< of those
    /// Why the results were dropped that were dropped last.
    std::unordered_map<std::string, reason> dropped;
    std::deque<std::string> dropped_in_order;
  };

  runtime::router& net_;
  named_handlers& hooks_;
  const std::shared_ptr<records> records_;
  /// Connected nodes by incarnation; by the service's actor.
  std::map<std::uint64_t, std::string> submitters_;
  /// Calls that wait for a submitter, by the number of the question.
  std::map<std::int64_t, std::pair<std::string, runtime::call_ptr>>
    on_their_way_;
  std::int64_t last_look_ = 0;
  std::atomic<std::uint64_t> next_{1};
};

} // namespace hornbeam::actors
