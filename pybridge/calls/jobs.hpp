#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/handler.hpp"
#include "actors/tasks.hpp"
#include "pybridge/gil/gil.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::pybridge {

class python_handler;
class python_source;

/// Something that Python code must do. `kind` says what:
/// `hook`, `function`, `module`: run a handler and answer;
/// `stream`: run a generator as far as there is credit;
/// `local`, `result`: the task named `call.target` of this process shall be
/// run, or its result be turned into a term;
/// `forget`: there is something in `forgotten`;
/// `call`: run what Python keeps under the number `call.target`.
struct job {
  std::string kind;
  actors::invocation call;
  std::shared_ptr<runtime::responder> reply;
  std::shared_ptr<python_source> source;
  std::shared_ptr<python_handler> by = {}; ///< what the caller has found
  /// In a forked child, the jobs of the parent are nobody's.
  std::uint32_t created_in = fork_generation();
};

/// The way from CAF's threads to Python's: jobs wait here for a thread of the
/// pool. The threads are Python's own (see hornbeam/_pool.py), so that no C++
/// frame lies under the code of a handler; a thread takes a job only while
/// fewer than `limit` jobs run. A job whose thread waits in a call of ours
/// does not count meanwhile, so nested calls don't deadlock. A job is given to
/// the thread that has been idle for the shortest time, whose memory is still
/// in the caches.
///
/// Threads of Python run one at a time: while one runs jobs, no other is woken
/// for what comes in from other nodes, unless that one takes no further job for
/// a fraction of a millisecond, as one that sleeps or computes. And what it
/// answers meanwhile is sent together.
///
/// The queue has no bound of its own: what other nodes ask for is refused
/// before it comes here if as much of theirs waits as may (`call::charge`).
class job_queue {
public:
  static job_queue& get();

  /// False if the queue is closed.
  bool push(job x);
  /// Waits for a job until `until`, without Python's lock.
  std::optional<job> next(runtime::clock::time_point until);
  /// The job that `next` gave this thread is done.
  void done();
  /// Answers a job: at the next call of `next`, which has no need of Python's
  /// lock, if this thread runs one. Whoever is woken by the answer wants the
  /// lock at once, and would find it taken. Else now, without the lock.
  void answer(std::function<void()> f);
  /// The result of a task of this process is kept no longer. A thread that is
  /// about to look for its next job sees to that itself.
  void forget(std::string task);
  std::vector<std::string> forgotten();
  /// Takes a reference to a Python object, which goes when a thread that has
  /// Python's lock takes what was dropped.
  void drop(PyObject* x);
  std::vector<PyObject*> dropped();
  void set_limit(std::size_t n);
  std::size_t waiting() const;
  /// Threads that wait for a job.
  std::size_t idle() const;
  /// Whether a thread has ever come for one; then there always is one.
  bool attended() const noexcept { return attended_; }

  /// Around code of this thread that runs in a permit of a bounded handler.
  static void hold(std::shared_ptr<actors::run_permit> x);
  static void let_go();

  /// Around a wait of this thread in one of our calls: others may run, and
  /// have its permits, meanwhile.
  class pause {
  public:
    pause();
    ~pause();
  };

  void open();
  /// Nothing is taken in any more and `next` returns at once; what waits is
  /// answered as ended. Returns the `local` tasks that never began.
  std::vector<std::string> close();
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  /// In a forked child: nothing waits, nothing runs.
  void reset();

private:
  using lock_type
    = std::unique_lock<runtime::ranked_mutex<runtime::lock_rank::job_queue>>;

  /// A thread that waits for a job.
  struct waiter {
    runtime::flag called; ///< to come and look
    std::optional<job> given;
  };
  using waiter_ptr = std::shared_ptr<waiter>;
  static waiter_ptr& this_thread();

  /// Sends what this thread has to answer; `more`: there is another job for it.
  static void answer_now(bool more);
  /// The job that this thread runs from here on.
  job begin(job x);
  // With `mutex_`.
  /// Whether a job waits that may run now.
  bool has_one() const;
  /// Takes that job.
  job take();
  /// Gives waiting jobs to idle threads and wakes those without `lock`.
  void give(lock_type lock);
  /// Whether to leave a new job to the threads that run; a loop looks after it.
  bool leave();
  /// Gives what was left, without `mutex_`, if no job has begun since the last
  /// time. False if nothing is left.
  bool give_if_overdue();

  mutable runtime::ranked_mutex<runtime::lock_rank::job_queue> mutex_;
  std::deque<job> jobs_;
  std::vector<std::string> forgotten_;
  std::vector<PyObject*> dropped_;
  std::vector<waiter_ptr> idle_; ///< the last one has been idle the shortest
  std::size_t running_ = 0;
  std::size_t limit_ = 8;
  std::uint64_t begun_ = 0;   ///< jobs in all
  std::uint64_t seen_ = 0;    ///< of those, by `give_if_overdue`
  int eager_ = 0;             ///< so many jobs wake a thread each
  bool looked_after_ = false; ///< there is going to be a `give_if_overdue`
  bool open_ = true;
  std::atomic<bool> attended_{false};
};

/// A hook, function or module that Python answers.
class python_handler : public actors::handler,
                       public std::enable_shared_from_this<python_handler> {
public:
  /// Of modules: the pool finds them.
  explicit python_handler(std::string kind) : kind_(std::move(kind)) {}
  /// `self` is a `hornbeam._handlers.Handler`; `target` is called, or has the
  /// actions as its methods. With Python's lock.
  python_handler(std::string kind, py::object self, py::object target,
                 bool by_method)
    : kind_(std::move(kind)),
      self_(self.release().ptr()),
      target_(target.release().ptr()),
      by_method_(by_method) {}
  /// Any thread may drop it.
  ~python_handler() override;

  const std::string& kind() const noexcept { return kind_; }
  PyObject* self() const noexcept { return self_; }
  PyObject* target() const noexcept { return target_; }
  bool by_method() const noexcept { return by_method_; }

  bool never_blocks() const noexcept override { return true; }
  void invoke(actors::invocation x, runtime::responder reply) override;
  std::shared_ptr<actors::chunk_source> open_stream(
    actors::invocation x, std::shared_ptr<actors::chunk_sink> to) override;

private:
  const std::string kind_;
  PyObject* const self_ = nullptr;
  PyObject* const target_ = nullptr;
  const bool by_method_ = false;
};

/// A generator that the pool runs while there is credit. At most one job for
/// it waits or runs at a time.
class python_source : public actors::chunk_source,
                      public std::enable_shared_from_this<python_source> {
public:
  python_source(std::shared_ptr<python_handler> by, actors::invocation x,
                std::shared_ptr<actors::chunk_sink> to);

  std::uint64_t id() const noexcept { return id_; }
  void credit(std::uint64_t n) override;
  void close() override;

  // By the pool's thread that runs it.

  /// Whether it has not been asked for anything yet, and is to be.
  bool fresh() const;
  bool has_credit() const;
  /// Takes one unit of credit. False: there is none, and the thread must stop
  /// running this source, or it is closed.
  bool take_credit();
  bool closed() const;
  /// Whether this is the first time that it is asked.
  bool begins() { return std::exchange(begins_, false); }
  actors::chunk_sink& sink() { return *sink_; }

private:
  void schedule();

  const std::shared_ptr<python_handler> by_;
  actors::invocation call_;
  std::shared_ptr<actors::chunk_sink> sink_;
  std::uint64_t id_;
  mutable runtime::ranked_mutex<runtime::lock_rank::generator> mutex_;
  std::uint64_t credit_ = 0;
  bool begins_ = true;
  bool scheduled_ = false;
  bool closed_ = false;
};

/// The result of a task that is a Python object in this process.
class python_result : public actors::local_result,
                      public std::enable_shared_from_this<python_result> {
public:
  python_result(std::string id, std::size_t bytes)
    : id_(std::move(id)), bytes_(bytes) {}
  ~python_result() override;
  void as_term(runtime::responder reply) const override;
  std::size_t bytes() const noexcept override { return bytes_; }

private:
  std::string id_;
  std::size_t bytes_;
};

} // namespace hornbeam::pybridge
