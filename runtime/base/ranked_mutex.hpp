#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <utility>

// Clang's thread-safety analysis understands these, other compilers see
// nothing.
#if defined(__clang__)
#define HORNBEAM_THREAD_SAFETY(x) __attribute__((x))
#else
#define HORNBEAM_THREAD_SAFETY(x)
#endif

namespace hornbeam::runtime {

/// The order in which one thread may lock mutexes: each next one has a higher
/// rank. docs/internals/threads.md says what each guards.
///
/// What always holds: Python's lock is neither taken nor given back while a
/// thread holds any of them.
enum class lock_rank : std::uint8_t {
  engine,           ///< the node of this process
  services,         ///< which tables a node serves
  topics,           ///< subscribers of topics
  streams,          ///< open streams by number
  routes,           ///< hooks and functions of a node, and their calls
  directory,        ///< what other nodes have announced
  news,             ///< ups and downs of nodes in their order
  groups,           ///< members of groups
  tables,           ///< the tables of a node by name
  table_owner,      ///< owner and heir of a table
  index_build,      ///< building the index of a table
  index,            ///< the index of a table
  sweeper,          ///< the timer of a table file
  lmdb_table,       ///< which file a table uses
  lmdb_group,       ///< writers that share a sync
  lmdb_files,       ///< table files of this process
  lmdb_descriptors, ///< descriptors that a forked child closes
  table_watchers,   ///< who watches a table
  table_host,       ///< a node as its tables see it
  process_code,     ///< the code of a process that is a thread
  process_names,    ///< names of processes
  process_shard,    ///< processes by number
  process_remote,   ///< links and monitors across nodes
  process_handed,   ///< signals for other nodes
  listening,        ///< of a node
  root,             ///< the supervisor of a node's services
  node,             ///< peers and services of a node
  reloading,        ///< who reads the cluster's secret again
  secret,           ///< the cluster's secret, as it was read
  joining,          ///< who waits until a node has joined others
  handlers,         ///< hooks and functions by name
  tasks,            ///< tasks by id
  task,             ///< one task
  limiter,          ///< permits of a handler
  served_stream,    ///< a stream that a bounded handler serves
  job_queue,        ///< jobs for Python's threads
  generator,        ///< credit of a Python generator
  permit,           ///< a permit that was asked for
  completions,      ///< answers for an event loop
  timers,           ///< the clock of a node
  service_box,      ///< the queue of an actor
  connection,       ///< what is sent and received through a socket
  link_pending,     ///< open requests of a link
  link_out,         ///< what a link has still to send
  waitable,         ///< where one thread waits
  process_wait,     ///< a thread that waits for a message
  baton,            ///< threads that are woken one after the other
  small,            ///< in no order: those of four bytes
  log,              ///< what was said in the last minute
};

/// What a debug build knows of the mutexes that a thread holds. All of it is
/// empty otherwise.
namespace lock_check {
#ifdef HORNBEAM_CHECK_LOCKS
/// Ends the program with both names if a mutex of that or a higher rank is
/// held.
void before_lock(lock_rank x);
/// Notes that it is held. Without a check, as `try_lock` can't wait.
void locked(lock_rank x);
void unlocked(lock_rank x) noexcept;
/// Ends the program with the names of what this thread holds, if anything:
/// `what` is going to happen.
void require_none(const char* what);
/// Around a fork many of one rank are held.
void suspend(bool x) noexcept;
#else
inline void before_lock(lock_rank) {}
inline void locked(lock_rank) {}
inline void unlocked(lock_rank) noexcept {}
inline void require_none(const char*) {}
inline void suspend(bool) noexcept {}
#endif
} // namespace lock_check

/// A mutex with its place in the order of all. Costs what `std::mutex` costs
/// unless the build checks locks.
template <lock_rank Rank, class Mutex = std::mutex>
class HORNBEAM_THREAD_SAFETY(capability("mutex")) ranked_mutex {
public:
  ranked_mutex() = default;
  ranked_mutex(const ranked_mutex&) = delete;
  ranked_mutex& operator=(const ranked_mutex&) = delete;

  void lock() HORNBEAM_THREAD_SAFETY(acquire_capability()) {
    lock_check::before_lock(Rank);
    mutex_.lock();
    lock_check::locked(Rank);
  }
  bool try_lock() HORNBEAM_THREAD_SAFETY(try_acquire_capability(true)) {
    if (!mutex_.try_lock())
      return false;
    lock_check::locked(Rank);
    return true;
  }
  void unlock() HORNBEAM_THREAD_SAFETY(release_capability()) {
    lock_check::unlocked(Rank);
    mutex_.unlock();
  }
  void lock_shared() HORNBEAM_THREAD_SAFETY(acquire_shared_capability()) {
    lock_check::before_lock(Rank);
    mutex_.lock_shared();
    lock_check::locked(Rank);
  }
  void unlock_shared() HORNBEAM_THREAD_SAFETY(release_shared_capability()) {
    lock_check::unlocked(Rank);
    mutex_.unlock_shared();
  }

private:
  friend class ranked_condition;
  Mutex mutex_;
};

/// The same for many readers or one writer.
template <lock_rank Rank>
using ranked_shared_mutex = ranked_mutex<Rank, std::shared_mutex>;

/// A condition variable for ranked mutexes, at the cost of
/// `std::condition_variable`.
class ranked_condition {
public:
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }

  template <lock_rank Rank>
  void wait(std::unique_lock<ranked_mutex<Rank>>& lock) {
    borrowed inner{lock.mutex()->mutex_};
    condition_.wait(inner.lock);
  }
  template <lock_rank Rank, class Clock, class Duration>
  std::cv_status wait_until(
    std::unique_lock<ranked_mutex<Rank>>& lock,
    const std::chrono::time_point<Clock, Duration>& until) {
    borrowed inner{lock.mutex()->mutex_};
    return condition_.wait_until(inner.lock, until);
  }
  template <lock_rank Rank, class Ready>
  void wait(std::unique_lock<ranked_mutex<Rank>>& lock, Ready ready) {
    borrowed inner{lock.mutex()->mutex_};
    condition_.wait(inner.lock, std::move(ready));
  }
  template <lock_rank Rank, class Clock, class Duration, class Ready>
  bool wait_until(std::unique_lock<ranked_mutex<Rank>>& lock,
                  const std::chrono::time_point<Clock, Duration>& until,
                  Ready ready) {
    borrowed inner{lock.mutex()->mutex_};
    return condition_.wait_until(inner.lock, until, std::move(ready));
  }

private:
  /// The mutex inside, which `lock` holds before and afterwards.
  struct borrowed {
    explicit borrowed(std::mutex& x) : lock(x, std::adopt_lock) {}
    ~borrowed() { lock.release(); }
    std::unique_lock<std::mutex> lock;
  };
  std::condition_variable condition_;
};

/// Holds a mutex as long as it lives, as `std::lock_guard`, so that clang can
/// follow it.
template <class Mutex>
class HORNBEAM_THREAD_SAFETY(scoped_lockable) lock_scope {
public:
  explicit lock_scope(Mutex& x) HORNBEAM_THREAD_SAFETY(acquire_capability(x))
    : mutex_(x) {
    mutex_.lock();
  }
  ~lock_scope() HORNBEAM_THREAD_SAFETY(release_capability()) {
    mutex_.unlock();
  }
  lock_scope(const lock_scope&) = delete;
  lock_scope& operator=(const lock_scope&) = delete;

private:
  Mutex& mutex_;
};

/// The same for a reader, as `std::shared_lock`.
template <class Mutex>
class HORNBEAM_THREAD_SAFETY(scoped_lockable) shared_lock_scope {
public:
  explicit shared_lock_scope(Mutex& x)
    HORNBEAM_THREAD_SAFETY(acquire_shared_capability(x))
    : mutex_(x) {
    mutex_.lock_shared();
  }
  ~shared_lock_scope() HORNBEAM_THREAD_SAFETY(release_capability()) {
    mutex_.unlock_shared();
  }
  shared_lock_scope(const shared_lock_scope&) = delete;
  shared_lock_scope& operator=(const shared_lock_scope&) = delete;

private:
  Mutex& mutex_;
};

} // namespace hornbeam::runtime
