#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/reply.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::actors {

/// A result that lives in this process in a form of its own (a Python
/// object). Others ask for it as a term, which may take a while.
class local_result {
public:
  virtual ~local_result() = default;
  virtual void as_term(runtime::responder reply) const = 0;
  /// About how much memory it takes.
  virtual std::size_t bytes() const noexcept = 0;
};
using local_result_ptr = std::shared_ptr<const local_result>;

/// How a task ended.
struct task_result {
  runtime::outcome value;
  local_result_ptr local;    ///< if set, it stands for the value
  bool local_failed = false; ///< the local result is an error

  /// About how much memory it takes.
  std::size_t bytes() const noexcept;
};

/// What those who wait for a cancelled task get: Python's `TaskCancelled`.
inline constexpr const char* task_cancelled = "TaskCancelled";

/// One task of this node. Its handler has it while it works, in
/// `invocation::task`; the service `tasks` as long as the result is kept. Any
/// thread may call. What is called back is called under no lock, by the thread
/// that brings the news.
class task {
public:
  using callback = std::function<void(const task_result&)>;
  using answer = std::function<void(runtime::outcome)>;

  task(std::string id, std::string hook, std::string action);
  const std::string& id() const noexcept { return id_; }

  // -- for the handler

  /// The handler is about to run. False: the task has been cancelled, and it
  /// must not.
  bool begin();
  /// Nobody wants the result any more.
  bool cancelled() const noexcept { return cancelled_; }
  /// Calls `f` if the task is cancelled, at once if it has been.
  void on_cancel(std::function<void()> f);
  /// Reports progress: those who watch get the latest report.
  void progress(runtime::term x);

  // -- for the service

  /// Ends it, which is possible once: null if it has ended. The caller calls
  /// what is returned, which tells those who wait.
  std::function<void()> end(task_result x);
  std::function<void()> cancel();
  void await(runtime::deadline until, callback f);
  /// `f` gets `(n, x)` for the latest report `x`, the `n`-th, once that is
  /// another than the `seen`-th; or none when the task has ended and there is
  /// no such report.
  void watch(std::int64_t seen, runtime::deadline until, answer f);
  /// Somebody has got the result.
  bool fetched() const noexcept { return fetched_; }
  /// About how much memory the last report of progress takes.
  std::size_t progress_bytes() const;
  /// A map of what `hornbeam.tasks.status` shows.
  runtime::term status() const;

private:
  enum class state { waiting, running, done, failed, cancelled };
  template <class F>
  struct waiter {
    runtime::deadline until;
    F f;
  };

  std::function<void()> end_as(state how, task_result x);

  const std::string id_;
  const std::string hook_;
  const std::string action_;
  const double submitted_;
  mutable runtime::ranked_mutex<runtime::lock_rank::task> mutex_;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> fetched_{false};
  state state_ = state::waiting;
  double started_ = 0; ///< seconds since the epoch; 0: not yet
  double ended_ = 0;
  std::optional<task_result> result_;
  runtime::term progress_;
  std::int64_t reports_ = 0;
  std::vector<waiter<callback>> waiters_;
  std::vector<waiter<answer>> watchers_;
  std::vector<std::function<void()>> on_cancel_;
};
using task_ptr = std::shared_ptr<task>;

} // namespace hornbeam::actors
