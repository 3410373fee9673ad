#pragma once

#include <cstdint>
#include <string>

#include "node.hpp"

namespace hornbeam::simulation {

/// How a run went.
struct verdict {
  std::uint64_t steps = 0;
  std::string fault; ///< the first rule that was broken, or empty
  std::string story; ///< what was done to the nodes, a line each
};

/// A few nodes that live through half a minute of good and bad luck, all of
/// which comes from `seed`; then all is healed, and they must find each other.
verdict run(std::uint64_t seed, bug with);

} // namespace hornbeam::simulation
