#include "actors/call_stats.hpp"

namespace hornbeam::actors {

using runtime::term;

std::uint64_t call_stats::middle_of(std::size_t bucket) noexcept {
  if (bucket < parts)
    return bucket;
  auto power = bucket / parts + 2;
  auto width = std::uint64_t{1} << (power - 3);
  return (std::uint64_t{1} << power) + (bucket % parts) * width + width / 2;
}

term call_stats::to_term() const {
  std::array<std::uint64_t, size> seen{};
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < size; ++i)
    all += seen[i] = buckets_[i].load(std::memory_order_relaxed);
  auto percentile = [&](double share) {
    if (all == 0)
      return term{};
    auto wanted = static_cast<double>(all) * share;
    std::uint64_t below = 0;
    std::size_t i = 0;
    while (i + 1 < size && static_cast<double>(below += seen[i]) < wanted)
      ++i;
    return term{static_cast<double>(middle_of(i)) / 1e6};
  };
  auto number = [](auto n) { return term{static_cast<std::int64_t>(n)}; };
  return term::map({
    {term::string("calls"), number(calls_.load())},
    {term::string("errors"), number(errors_.load())},
    {term::string("open"), number(open())},
    {term::string("p50_ms"), percentile(0.5)},
    {term::string("p95_ms"), percentile(0.95)},
    {term::string("p99_ms"), percentile(0.99)},
  });
}

} // namespace hornbeam::actors
