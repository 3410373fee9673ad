#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>

#include "runtime/caf.hpp"

#include <caf/policy/unprofiled.hpp>
#include <caf/scheduler/coordinator.hpp>

namespace hornbeam::runtime {

/// A policy for CAF's scheduler: a queue per worker, work stealing, and idle
/// workers asleep on a condition variable. CAF's own `stealing` polls, which
/// costs 95 µs for a request from outside and CPU when idle; its `sharing`
/// has one queue for all.
///
/// What always holds: a worker sleeps only after it has counted itself as
/// idle and then found every queue empty; whoever appends a job looks at that
/// count afterwards. So no job waits while a worker sleeps.
class parking : public caf::policy::unprofiled {
public:
  struct coordinator_data {
    explicit coordinator_data(caf::scheduler::abstract_coordinator*) {}
    std::mutex mutex;
    std::condition_variable work;
    std::atomic<int> idle{0};
    std::atomic<std::size_t> next{0};
    int wakes = 0; ///< under `mutex`
  };

  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}
    worker_data(const worker_data&) {}
    std::mutex mutex;
    std::deque<caf::resumable*> jobs;
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    auto n = d(self).next.fetch_add(1, std::memory_order_relaxed);
    self->worker_by_id(n % self->num_workers())->external_enqueue(job);
  }

  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    append(self, job);
  }

  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    append(self, job);
  }

  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    append(self, job);
  }

  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    auto& shared = d(self->parent());
    for (;;) {
      if (auto* job = look_everywhere(self))
        return job;
      shared.idle.fetch_add(1);
      if (auto* job = look_everywhere(self)) {
        shared.idle.fetch_sub(1);
        return job;
      }
      std::unique_lock lock{shared.mutex};
      shared.work.wait(lock, [&] { return shared.wakes > 0; });
      --shared.wakes;
      shared.idle.fetch_sub(1);
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

  template <class Worker>
  void append(Worker* self, caf::resumable* job) {
    {
      std::lock_guard guard{d(self).mutex};
      d(self).jobs.push_back(job);
    }
    auto& shared = d(self->parent());
    // A write, not a load: either it sees the worker that has counted itself
    // as idle, or that worker's count comes later and then sees the job.
    if (shared.idle.fetch_add(0) == 0)
      return;
    {
      std::lock_guard guard{shared.mutex};
      if (shared.wakes >= shared.idle.load())
        return; // enough are on their way
      ++shared.wakes;
    }
    shared.work.notify_one();
  }
};

/// CAF's scheduler with the policy above. Being the first module to start, it
/// also gives the system a random node id: CAF makes one from host and
/// process number, which collide between containers and after a fork.
class scheduler : public caf::scheduler::coordinator<parking> {
public:
  using super = caf::scheduler::coordinator<parking>;
  using super::super;

  static caf::actor_system::module* make(caf::actor_system& sys,
                                         caf::detail::type_list<>) {
    return new scheduler(sys);
  }

protected:
  void start() override {
    std::random_device random;
    caf::node_id::default_data::host_id_type host;
    for (auto& byte : host)
      byte = static_cast<std::uint8_t>(random());
    const_cast<caf::node_id&>(system().node()) = caf::make_node_id(random(),
                                                                   host);
    super::start();
  }
};

} // namespace hornbeam::runtime
