#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/table_lmdb/environment.hpp"

namespace hornbeam::runtime {

/// Group commit: writers of a durable file share its syncs. Whatever comes
/// while one commit is on its way to the disk is part of the next one. Nobody
/// returns before what it wrote is on the disk.
///
/// Leader and followers: one of the threads that wait leads. It takes the lock
/// of writers, runs what the others want one after the other, commits, and
/// tells them. Each is a transaction of its own inside, so that one which fails
/// is taken back alone.
class lmdb_group {
public:
  using step = std::function<void(lmdb_transaction&)>;

  /// Runs `change`, commits, then runs `after` before any other writer can
  /// write. Raises what `change` or the commit raises.
  void write(lmdb_environment& env, step change, std::function<void()> after);

private:
  struct member {
    step change;
    std::function<void()> after;
    std::exception_ptr error = {};
    bool done = false;
  };

  using mutex_type = ranked_mutex<lock_rank::lmdb_group>;

  void lead(lmdb_environment& env, std::unique_lock<mutex_type>& lock);

  mutex_type mutex_;
  ranked_condition done_;
  std::vector<member*> waiting_;
  bool leading_ = false;
};

} // namespace hornbeam::runtime
