#include "runtime/base/fork.hpp"

#include <array>
#include <atomic>
#include <cstddef>

#include <pthread.h>

#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::runtime {

namespace {

constexpr auto stages = static_cast<std::size_t>(fork_stage::count);

std::atomic<std::uint32_t> generation{0};

/// By stage. Written before there are threads that could fork.
std::array<fork_handlers, stages>& handlers() {
  static std::array<fork_handlers, stages> all;
  return all;
}

void before_fork() {
  lock_check::suspend(true);
  for (auto& x : handlers())
    if (x.before != nullptr)
      x.before();
}

void backwards(void (*fork_handlers::*what)()) {
  for (auto i = stages; i-- > 0;)
    if (auto* f = handlers()[i].*what)
      f();
  lock_check::suspend(false);
}

[[maybe_unused]] const int registered = ::pthread_atfork(
  &before_fork, [] { backwards(&fork_handlers::in_parent); },
  [] { backwards(&fork_handlers::in_child); });
[[maybe_unused]] const int counts
  = at_fork(fork_stage::generation, {nullptr, nullptr, [] { ++generation; }});

} // namespace

int at_fork(fork_stage stage, fork_handlers x) {
  handlers()[static_cast<std::size_t>(stage)] = x;
  return 0;
}

std::uint32_t fork_generation() noexcept {
  return generation.load(std::memory_order_relaxed);
}

} // namespace hornbeam::runtime
