#pragma once

#include <cstddef>

namespace hornbeam::runtime {

/// Memory for signals. One thread sends and another receives: malloc would
/// lock the sender's arena for each message that is freed elsewhere. Here each
/// thread has a list of its own, and threads hand each other whole bundles of
/// blocks. Never waits; a bounded number of blocks is kept.
class signal_pool {
public:
  static constexpr std::size_t block_size = 48;

  static void* allocate();
  static void release(void* block) noexcept;
};

} // namespace hornbeam::runtime
