#pragma once

#include <atomic>
#include <vector>

#include "runtime/base/flag.hpp"
#include "runtime/base/log.hpp"

namespace hornbeam::runtime::log {

/// Takes records to a thread that may take its time, as one of Python's, which
/// needs the interpreter's lock. There are no locks in it: whoever says
/// something never waits, and a forked child finds it whole.
class queue : public sink {
public:
  /// What is said while so many records wait is counted instead.
  static constexpr std::size_t max_records = 1000;

  void write(const log::record& x) override;

  void open() noexcept { closed_ = false; }
  /// Whoever waits returns.
  void close() noexcept;

  /// Waits until there is something; empty once it is closed. For one thread.
  std::vector<log::record> wait();
  /// What is there, in order, and at the end how much was left out.
  std::vector<log::record> take();

  /// What waits here is the parent's, which passes it on itself.
  void after_fork_in_child();

private:
  struct node {
    log::record record;
    node* before;
  };

  std::atomic<node*> last_{nullptr};
  std::atomic<std::size_t> size_{0};
  std::atomic<std::size_t> left_out_{0};
  std::atomic<bool> closed_{true};
  flag ready_;
};

} // namespace hornbeam::runtime::log
