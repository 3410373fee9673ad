#pragma once

#include <cstddef>

#include "pybridge/gil/gil.hpp"

namespace hornbeam::pybridge {

/// About how much memory a Python object takes with what it consists of:
/// containers, buffers such as arrays, attributes. Of a large container some
/// items stand for all. What it shares with others is counted as if it were its
/// own.
std::size_t memory_of(py::handle x) noexcept;

} // namespace hornbeam::pybridge
