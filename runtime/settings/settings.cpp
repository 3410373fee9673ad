#include "runtime/settings/settings.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace hornbeam::runtime {

namespace {

constexpr std::size_t longest_name = 100;

/// On one line, and not the whole of what is far too long.
std::string shown(const std::string& x) {
  constexpr const char* digits = "0123456789abcdef";
  std::string out;
  for (unsigned char c : x.substr(0, longest_name + 1))
    if (std::iscntrl(c))
      out += {'\\', 'x', digits[c >> 4], digits[c & 15]};
    else
      out += static_cast<char>(c);
  return x.size() > longest_name + 1 ? out + "..." : out;
}

} // namespace

void require_cluster_name(const std::string& x) {
  bool valid = !x.empty() && x.size() <= longest_name && x[0] != '.'
               && std::all_of(x.begin(), x.end(), [](unsigned char c) {
                    return std::isalnum(c) || c == '_' || c == '-' || c == '.';
                  });
  if (!valid)
    throw std::runtime_error(
      "a cluster's name is made of letters, digits, '_', '-' and (not in "
      "front) '.', at most "
      + std::to_string(longest_name) + " of them, unlike '" + shown(x) + "'");
}

} // namespace hornbeam::runtime
