#pragma once

#include <memory>
#include <string>

#include "interpreter/ast.hpp"

namespace hornbeam::conformance {

/// Reads a scenario with the files that it includes. Raises `script_error`
/// for what is not of the subset of Erlang that README.md describes.
std::shared_ptr<const module> parse_file(const std::string& path);

} // namespace hornbeam::conformance
