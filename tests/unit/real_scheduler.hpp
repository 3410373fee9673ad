#pragma once

#include "process_fixture.hpp"

namespace hornbeam::test {

/// A deadline that only a test that hangs will meet.
inline deadline soon() {
  return deadline::in(20'000);
}

/// One node, `a@h`, whose processes run on the scheduler that nodes have,
/// with several threads, and whose clock runs.
class real_node {
public:
  explicit real_node(unsigned workers = 3);
  ~real_node();

  /// Waits until only `alive` processes live and no code of others runs.
  bool settles(std::size_t alive);

private:
  struct world;
  std::unique_ptr<world> world_;

public:
  processes& a;
};

} // namespace hornbeam::test
