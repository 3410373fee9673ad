#pragma once

#include <stdexcept>

namespace hornbeam::config {

/// A configuration that can't be used. Its message says where, what is wrong
/// and what would be right: `FILE:LINE: KEY: ...`.
struct config_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace hornbeam::config
