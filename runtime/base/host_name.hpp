#pragma once

#include <string>

namespace hornbeam::runtime {

/// What this computer calls itself, in letters, digits, `_`, `-` and `.`, or
/// `localhost` if it has no such name. Containers have names of their own.
std::string host_name();

} // namespace hornbeam::runtime
