#include "pybridge/gil/engine.hpp"

#include <cstdlib>

#include <malloc.h>

#include "pybridge/calls/jobs.hpp"
#include "pybridge/calls/python_mailbox.hpp"
#include "pybridge/tables/handle.hpp"

namespace hornbeam::pybridge {

engine& engine::get() {
  static auto* one = new engine;
  return *one;
}

namespace {

/// A message of a megabyte is copied several times on its way. glibc gives such
/// memory back to the kernel each time, and to touch it anew takes longer than
/// to copy it: six times as long for arrays of 1 MiB between two nodes. So some
/// of it is kept, unless the environment says what is to be done.
void keep_some_memory() {
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") != nullptr
      || std::getenv("MALLOC_MMAP_THRESHOLD_") != nullptr
      || std::getenv("GLIBC_TUNABLES") != nullptr)
    return;
  constexpr int mapped = 32 << 20; // the most that glibc takes
  constexpr int kept = 64 << 20;
  ::mallopt(M_MMAP_THRESHOLD, mapped);
  ::mallopt(M_TRIM_THRESHOLD, kept);
}

} // namespace

engine::engine() {
  keep_some_memory();
  runtime::at_fork(runtime::fork_stage::engine,
                   {[] { get().before_fork(); },
                    [] { get().after_fork_in_parent(); },
                    [] { get().after_fork_in_child(); }});
}

bool engine::start(runtime::node_settings settings,
                   actors::tasks::limits keep) {
  without_gil free; // to start may mean to wait for other processes
  runtime::lock_scope guard{mutex_};
  if (running_ != nullptr)
    return false;
  settings.parent = parent_incarnation_;
  auto owner = actors::services::start(std::move(settings), keep, inherited_);
  inherited_.clear();
  job_queue::get().open();
  owner->rpc.set_fallback(std::make_shared<python_handler>("module"));
  state_ = new table_handle{owner->table("state"), owner->node->name()};
  auto* services = owner.get();
  owner_ = new std::shared_ptr<actors::services>(std::move(owner));
  running_ = services;
  return true;
}

void engine::leave() {
  begin_shutdown();
  if (auto* services = running()) // others ask those that go on
    for (auto* x : {&services->hooks, &services->functions})
      x->serve_nobody();
  // This wakes the pool's threads, which find that Python is shutting down.
  for (auto& id : job_queue::get().close()) // of a node that runs
    running()->tasks.finish(id, {runtime::node_ended(), nullptr});
  // Those who do not sleep are in bounded code.
  wait_for_open_calls(std::chrono::milliseconds(300));
  // Before the node ends, which would wait for the code of these processes.
  python_mailbox::close_all();
  auto* state = PyEval_SaveThread();
  {
    runtime::lock_scope guard{mutex_};
    if (auto* node = running())
      node->stop();
  }
  PyEval_RestoreThread(state);
}

void engine::before_fork() {
  mutex_.lock();
  job_queue::get().lock();
  auto* services = running();
  if (services == nullptr)
    return;
  // In the child nobody could ask: a thread may hold the name's lock there.
  name_at_fork_ = services->node->name();
  services->node->before_fork();
  services->node->tables().before_fork();
}

void engine::after_fork_in_parent() {
  if (auto* services = running()) {
    services->node->tables().after_fork_in_parent();
    services->node->after_fork_in_parent();
  }
  job_queue::get().unlock();
  mutex_.unlock();
}

void engine::after_fork_in_child() {
  if (auto* services = running()) {
    parent_ = services->node.get();
    parent_incarnation_ = parent_->self()->incarnation;
    parent_->tables().after_fork_in_child();
    inherited_ = parent_->tables().all();
    // The parent's services, actors and threads are no concern of this
    // process any more; their memory stays.
    running_ = nullptr;
    state_ = nullptr;
    owner_ = nullptr;
  }
  job_queue::get().unlock();
  job_queue::get().reset();
  reset_shutdown();
  mutex_.unlock();
}

std::string engine::take_leave_of_parent() {
  if (parent_ != nullptr)
    std::exchange(parent_, nullptr)->abandon_after_fork();
  return std::exchange(name_at_fork_, {});
}

} // namespace hornbeam::pybridge
