#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "actors/services.hpp"
#include "pybridge/gil/gil.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::pybridge {

class table_handle;

/// The node of this process. There is at most one; it is left behind, never
/// destroyed, when the process ends or forks.
class engine {
public:
  static engine& get();

  /// The node that runs, or null.
  actors::services* running() const noexcept {
    return running_.load(std::memory_order_acquire);
  }
  /// Starts a node unless one runs; false if one did. Raises what starting
  /// raises. `on_start` registers the Python handlers before the node listens.
  bool start(runtime::node_settings settings, actors::tasks::limits keep);
  /// For Python's exit hook, with its lock held: parks all other threads, then
  /// flushes what is under way and ends the node.
  void leave();

  /// The default table of the running node.
  const table_handle* state() const noexcept {
    return state_.load(std::memory_order_acquire);
  }

  /// From Python's hook in a forked child: closes its share of the parent's
  /// descriptors. Returns the name of the parent's node, or an empty string.
  std::string take_leave_of_parent();

private:
  engine();

  // Around every fork, inside of it: the tables are held so that the child
  // gets them whole. Not in Python's hooks, between which other threads run
  // and would wait for a table with Python's lock.
  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child();

  runtime::ranked_mutex<runtime::lock_rank::engine> mutex_;
  std::shared_ptr<actors::services>* owner_ = nullptr;
  std::atomic<actors::services*> running_{nullptr};
  std::atomic<const table_handle*> state_{nullptr};
  /// What the parent's tables held; for the child's node.
  std::vector<runtime::table_ptr> inherited_;
  /// In a forked child: the node of the parent.
  runtime::node* parent_ = nullptr;
  std::string name_at_fork_;
  std::uint64_t parent_incarnation_ = 0; ///< 0: no parent has had a node
};

} // namespace hornbeam::pybridge
