#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "runtime/base/small_mutex.hpp"
#include "runtime/caf/caf.hpp"

#include <caf/policy/unprofiled.hpp>

// CAF's worker tells its logger before each job which actor runs. Debian's CAF
// logs nothing, but the telling takes a third of a job's time (a dynamic_cast,
// a lock and a hash table): our workers are compiled without it.
#pragma push_macro("CAF_PUSH_AID_FROM_PTR")
#undef CAF_PUSH_AID_FROM_PTR
#define CAF_PUSH_AID_FROM_PTR(job) static_cast<void>(0)
#include <caf/scheduler/coordinator.hpp>
#pragma pop_macro("CAF_PUSH_AID_FROM_PTR")

namespace hornbeam::runtime {

/// A policy for CAF's scheduler: a queue per worker, work stealing, and idle
/// workers asleep on a condition variable. CAF's own `stealing` polls, which
/// costs 95 µs for a request from outside and CPU when idle; its `sharing`
/// has one queue for all.
///
/// What always holds: a worker sleeps only after it has counted itself as
/// idle and then found every queue empty; whoever appends a job looks at that
/// count afterwards. So no job from outside waits while a worker sleeps.
///
/// A job that a worker appends to its own queue is one that it runs soon, as
/// when two processes talk to each other or one starts a few others: waking
/// somebody else costs each side as much as dozens of short jobs. In case they
/// are long, one idle worker is the watcher: it looks at all queues twice a
/// millisecond, until all workers have been idle for a while.
class parking : public caf::policy::unprofiled {
public:
  struct coordinator_data {
    explicit coordinator_data(caf::scheduler::abstract_coordinator*) {}
    std::mutex mutex;
    std::condition_variable work;
    std::atomic<int> idle{0};
    std::atomic<std::size_t> next{0};
    std::atomic<int> watchers{0}; ///< at most one
    int wakes = 0;                ///< under `mutex`
  };

  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}
    worker_data(const worker_data&) {}
    small_mutex mutex;
    std::deque<caf::resumable*> jobs;
  };

  /// Around the work of a thread that appends jobs one after the other and does
  /// not wait meanwhile: a worker is woken for all of them together, at the
  /// end. A job that ends before the next one comes would wake one each time.
  class batch_wakes_scope {
  public:
    batch_wakes_scope() noexcept { ++scopes; }
    ~batch_wakes_scope() {
      if (--scopes == 0 && to_wake != nullptr)
        wake_one(*std::exchange(to_wake, nullptr));
    }
    batch_wakes_scope(const batch_wakes_scope&) = delete;
    batch_wakes_scope& operator=(const batch_wakes_scope&) = delete;

  private:
    friend class parking;
    /// Whether the wake is left to a scope of this thread.
    static bool takes(coordinator_data& x) noexcept {
      if (scopes == 0 || (to_wake != nullptr && to_wake != &x))
        return false;
      to_wake = &x;
      return true;
    }
    static inline thread_local int scopes = 0;
    static inline thread_local coordinator_data* to_wake = nullptr;
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    auto n = d(self).next.fetch_add(1, std::memory_order_relaxed);
    self->worker_by_id(n % self->num_workers())->external_enqueue(job);
  }

  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    append(self, job, false);
  }

  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    append(self, job, true);
  }

  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    append(self, job, true);
  }

  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    auto& shared = d(self->parent());
    bool woken = false;
    for (;;) {
      if (auto* job = look_everywhere(self)) {
        if (woken)
          pass_on(self);
        return job;
      }
      shared.idle.fetch_add(1);
      if (auto* job = look_everywhere(self)) {
        shared.idle.fetch_sub(1);
        return job;
      }
      woken = false;
      auto* job = watch(self, woken);
      if (job == nullptr && !woken) {
        std::unique_lock lock{shared.mutex};
        shared.work.wait(lock, [&] { return shared.wakes > 0; });
        --shared.wakes;
        woken = true;
      }
      shared.idle.fetch_sub(1);
      if (job != nullptr) {
        pass_on(self);
        return job;
      }
    }
  }

  template <class Worker, class F>
  void foreach_resumable(Worker* self, F f) {
    for (auto* job = take(d(self)); job != nullptr; job = take(d(self)))
      f(job);
  }

  template <class Coordinator, class F>
  void foreach_central_resumable(Coordinator*, F) {}

private:
  /// So many jobs in one queue are worth a wake.
  static constexpr std::size_t worth_a_wake = 128;

  static caf::resumable* take(worker_data& from) {
    std::lock_guard guard{from.mutex};
    if (from.jobs.empty())
      return nullptr;
    auto* job = from.jobs.front();
    from.jobs.pop_front();
    return job;
  }

  template <class Worker>
  caf::resumable* look_everywhere(Worker* self) {
    if (auto* job = take(d(self)))
      return job;
    auto* parent = self->parent();
    auto n = parent->num_workers();
    for (std::size_t i = 1; i < n; ++i)
      if (auto* job = take(d(parent->worker_by_id((self->id() + i) % n))))
        return job;
    return nullptr;
  }

  /// Wakes the next worker if there is more to do. At most one is being woken
  /// at a time, and each that has been woken looks for the next: a burst of
  /// short jobs does not wake everybody.
  template <class Worker>
  void pass_on(Worker* self) {
    auto* parent = self->parent();
    for (std::size_t i = 0; i < parent->num_workers(); ++i) {
      auto& x = d(parent->worker_by_id(i));
      std::unique_lock lock{x.mutex};
      if (x.jobs.empty())
        continue;
      lock.unlock();
      wake_one(d(parent));
      return;
    }
  }

  static void wake_one(coordinator_data& shared) {
    {
      std::lock_guard guard{shared.mutex};
      // Whoever is on its way looks at all queues after it has taken the wake.
      if (shared.wakes > 0 || shared.idle.load() == 0)
        return;
      ++shared.wakes;
    }
    shared.work.notify_one();
  }

  /// Watches until there is a job or a wake, or all has been quiet for a
  /// while: then there is neither.
  template <class Worker>
  caf::resumable* watch(Worker* self, bool& woken) {
    using namespace std::chrono_literals;
    auto& shared = d(self->parent());
    auto all = static_cast<int>(self->parent()->num_workers());
    if (shared.watchers.exchange(1) != 0)
      return nullptr;
    caf::resumable* job = nullptr;
    for (int quiet = 0; quiet < 20 && job == nullptr && !woken; ++quiet) {
      std::unique_lock lock{shared.mutex};
      if (shared.work.wait_for(lock, 500us, [&] { return shared.wakes > 0; })) {
        --shared.wakes;
        woken = true;
        break;
      }
      lock.unlock();
      if (shared.idle.load() < all)
        quiet = 0;
      job = look_everywhere(self);
    }
    shared.watchers.store(0);
    // Whoever saw the watcher until now relies on this look.
    return job != nullptr ? job : look_everywhere(self);
  }

  template <class Worker>
  void append(Worker* self, caf::resumable* job, bool by_itself) {
    std::size_t waiting = 0;
    {
      std::lock_guard guard{d(self).mutex};
      d(self).jobs.push_back(job);
      waiting = d(self).jobs.size();
    }
    // Plain loads do: a worker counts itself as idle, or no longer as the
    // watcher, before it looks at this queue for the last time. Either it has
    // locked the queue after us and sees the job, or before us, and then we
    // see what it has counted.
    auto& shared = d(self->parent());
    if (shared.idle.load(std::memory_order_relaxed) == 0)
      return;
    if (by_itself && waiting < worth_a_wake
        && shared.watchers.load(std::memory_order_relaxed) != 0)
      return;
    if (!batch_wakes_scope::takes(shared))
      wake_one(shared);
  }
};

/// CAF's scheduler with that policy.
class scheduler : public caf::scheduler::coordinator<parking> {
public:
  using super = caf::scheduler::coordinator<parking>;
  using super::super;

  static caf::actor_system::module* make(caf::actor_system& sys,
                                         caf::detail::type_list<>) {
    return new scheduler(sys);
  }
};

} // namespace hornbeam::runtime
