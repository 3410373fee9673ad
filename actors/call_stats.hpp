#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

#include "runtime/call/outcome.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::actors {

/// How the calls of one handler, or to one node, went. Any thread writes and
/// reads it, without a lock.
class call_stats {
public:
  void begin() noexcept { open_.fetch_add(1, std::memory_order_relaxed); }
  void end(bool ok, std::chrono::nanoseconds took) noexcept {
    open_.fetch_sub(1, std::memory_order_relaxed);
    count(ok);
    add(took);
  }
  /// Of calls that take less time than to look at a clock, some are timed.
  bool to_be_timed() const noexcept {
    return calls_.load(std::memory_order_relaxed) % one_in == 0;
  }
  /// A call that took no time worth measuring, or whose time is not known.
  void count(bool ok) noexcept {
    calls_.fetch_add(1, std::memory_order_relaxed);
    if (!ok)
      errors_.fetch_add(1, std::memory_order_relaxed);
  }
  void add(std::chrono::nanoseconds took) noexcept {
    auto n = static_cast<std::uint64_t>(took.count() < 0 ? 0 : took.count());
    buckets_[bucket_of(n)].fetch_add(1, std::memory_order_relaxed);
  }

  /// Calls that have not ended.
  std::int64_t open() const noexcept {
    return open_.load(std::memory_order_relaxed);
  }
  /// As a dict: `calls`, `errors`, `open`, and in milliseconds `p50_ms`,
  /// `p95_ms`, `p99_ms`, each within an eighth, or none before the first call.
  runtime::term to_term() const;

private:
  static constexpr std::uint64_t one_in = 16;
  // Eight buckets for each power of two: an error of an eighth at the most.
  static constexpr std::size_t parts = 8;
  static constexpr std::size_t size = 64 * parts;

  static std::size_t bucket_of(std::uint64_t ns) noexcept {
    if (ns < parts)
      return ns;
    auto power = std::bit_width(ns) - 1;
    auto part = (ns >> (power - 3)) & (parts - 1);
    return static_cast<std::size_t>(power - 2) * parts + part;
  }
  static std::uint64_t middle_of(std::size_t bucket) noexcept;

  std::atomic<std::int64_t> open_{0};
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> errors_{0};
  std::array<std::atomic<std::uint32_t>, size> buckets_{};
};

} // namespace hornbeam::actors
