#pragma once

#include <cstdint>

#include "runtime/call/outcome.hpp"

namespace hornbeam::runtime {

/// Who acts in this thread, and how long that may take. A process in C++ is
/// known by itself; whoever runs code for another one says so:
///
///     caller_scope as{{pid.as_pid().serial}};
struct caller {
  std::uint64_t process = 0; ///< serial of a process of this node; 0: nobody
  /// For what has to ask another node; by default five seconds.
  deadline until = {};
  std::uint32_t depth = 0; ///< calls that are open around this one

  static caller current() noexcept;
};

/// Somebody else acts in this thread while it lives.
class caller_scope {
public:
  explicit caller_scope(const caller& x) noexcept;
  ~caller_scope();
  caller_scope(const caller_scope&) = delete;
  caller_scope& operator=(const caller_scope&) = delete;

private:
  const caller* before_;
  const caller now_;
};

/// Said by whoever runs the code of a process in this thread, which is
/// `caller::current` unless a scope says otherwise; 0 afterwards.
void set_running_process(std::uint64_t serial) noexcept;

} // namespace hornbeam::runtime
