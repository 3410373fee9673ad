#pragma once

#include <cstdint>
#include <limits>

namespace hornbeam::runtime {

/// Moments of a node's clock in nanoseconds.
using ticks = std::int64_t;
inline constexpr ticks never = std::numeric_limits<ticks>::max();

} // namespace hornbeam::runtime
