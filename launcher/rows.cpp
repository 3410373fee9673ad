#include "launcher/rows.hpp"

#include <algorithm>
#include <iostream>
#include <string>

namespace hornbeam::launcher {

std::string printable(const std::string& x) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : x)
    if (c < 0x20 || c == 0x7f)
      out += {'\\', 'x', digits[c >> 4], digits[c & 15]};
    else
      out += static_cast<char>(c);
  return out;
}

void print(std::vector<row> rows) {
  for (auto& r : rows)
    for (auto& text : r)
      text = printable(text);
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
