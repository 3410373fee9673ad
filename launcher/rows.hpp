#pragma once

#include <string>
#include <vector>

namespace hornbeam::launcher {

using row = std::vector<std::string>;

/// Prints rows as columns; the first row is the heading.
void print(const std::vector<row>& rows);

} // namespace hornbeam::launcher
