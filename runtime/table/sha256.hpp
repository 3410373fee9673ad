#pragma once

#include <array>
#include <string_view>

namespace hornbeam::runtime {

using sha256_digest = std::array<char, 32>;

/// The SHA-256 of `x`. Raises `std::runtime_error` if OpenSSL has none.
sha256_digest sha256(std::string_view x);

} // namespace hornbeam::runtime
