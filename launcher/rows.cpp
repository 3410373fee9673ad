#include "launcher/rows.hpp"

#include <algorithm>
#include <iostream>

namespace hornbeam::launcher {

void print(const std::vector<row>& rows) {
  std::vector<std::size_t> widths;
  for (auto& r : rows)
    for (std::size_t i = 0; i < r.size(); ++i) {
      if (i == widths.size())
        widths.push_back(0);
      // What follows a node that does not answer is one long remark.
      if (r.size() == rows.front().size())
        widths[i] = std::max(widths[i], r[i].size());
    }
  for (auto& r : rows) {
    std::string line;
    for (std::size_t i = 0; i < r.size(); ++i) {
      auto text = r[i];
      if (i + 1 < r.size())
        text.resize(std::max(text.size(), widths[i]), ' ');
      line += (i == 0 ? "" : "  ") + text;
    }
    std::cout << line << '\n';
  }
  std::cout.flush();
}

} // namespace hornbeam::launcher
