#pragma once

#include <string_view>

namespace hornbeam::runtime {

/// The version of this engine, as `0.1.0`: that of the project in the
/// CMakeLists.txt at the root, which is its only place.
std::string_view version() noexcept;

} // namespace hornbeam::runtime
