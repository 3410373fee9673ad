#pragma once

#include <cstdint>

namespace hornbeam::runtime {

/// What has something to do around a fork, in the order in which it is locked:
/// that of `lock_rank`. A child undoes it the other way round, so the
/// generation counts before anything else runs there.
enum class fork_stage : std::uint8_t {
  engine,      ///< the node of this process, its jobs and its tables
  table_files, ///< table files of this process
  event_loops, ///< of the links
  connections, ///< and what they have under way
  wakeups,     ///< threads that are woken one after the other
  python_log,  ///< what waits for Python's logging
  log,         ///< nothing is locked under it
  generation,  ///< `fork_generation`
  count
};

/// Called in the thread that forks. What was locked is unlocked in both, or
/// made anew in the child, where no other thread is left.
struct fork_handlers {
  void (*before)() = nullptr;
  void (*in_parent)() = nullptr;
  void (*in_child)() = nullptr;
};

/// Says what a stage does; once for each. Returns 0, for static initialisers.
int at_fork(fork_stage stage, fork_handlers x);

/// How many forks lie between this process and the first that had this
/// library: what was created in another generation belongs to a parent.
std::uint32_t fork_generation() noexcept;

} // namespace hornbeam::runtime
