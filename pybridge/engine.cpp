#include "pybridge/engine.hpp"

#include "pybridge/jobs.hpp"

namespace hornbeam::pybridge {

engine& engine::get() {
  static auto* one = new engine;
  return *one;
}

bool engine::start(runtime::node_settings settings,
                   actors::tasks::limits keep) {
  std::lock_guard guard{mutex_};
  if (running_ != nullptr)
    return false;
  auto owner = actors::services::start(std::move(settings), keep, inherited_);
  inherited_.clear();
  job_queue::get().open();
  owner->rpc.set_fallback(std::make_shared<python_handler>("module"));
  state_ = owner->table("state").get();
  running_ = owner.get();
  owner_ = new std::shared_ptr<actors::services>(std::move(owner));
  return true;
}

void engine::stop() {
  std::lock_guard guard{mutex_};
  if (running_ == nullptr)
    return;
  job_queue::get().close();
  running_->stop();
}

void engine::before_fork() {
  mutex_.lock();
  job_queue::get().lock();
  if (running_ != nullptr)
    running_->node->tables().lock_all();
}

void engine::after_fork_in_parent() {
  if (running_ != nullptr)
    running_->node->tables().unlock_all();
  job_queue::get().unlock();
  mutex_.unlock();
}

void engine::after_fork_in_child() {
  if (running_ != nullptr) {
    auto& node = *running_->node;
    node.tables().unlock_all();
    inherited_ = node.tables().all();
    node.abandon_after_fork();
    // The parent's services, actors and threads are no concern of this
    // process any more; their memory stays.
    running_ = nullptr;
    state_ = nullptr;
    owner_ = nullptr;
  }
  job_queue::get().unlock();
  job_queue::get().reset();
  open_gate();
  mutex_.unlock();
}

} // namespace hornbeam::pybridge
