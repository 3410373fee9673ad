#pragma once

#include <cstddef>

#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// About how many bytes of memory a value takes. What it shares with other
/// values is counted as if it were its own.
std::size_t bytes_of(const term& x) noexcept;

} // namespace hornbeam::runtime
