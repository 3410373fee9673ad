#pragma once

#include <string>
#include <vector>

namespace hornbeam::launcher {

using row = std::vector<std::string>;

/// Without control characters: names of others must neither end a line nor
/// move the terminal's cursor.
std::string printable(const std::string& x);

/// Prints rows as columns; the first row is the heading.
void print(std::vector<row> rows);

} // namespace hornbeam::launcher
