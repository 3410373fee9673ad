#include "runtime/base/host_name.hpp"

#include <algorithm>
#include <cctype>

#include <unistd.h>

namespace hornbeam::runtime {

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  std::string out{name};
  bool plain = std::all_of(out.begin(), out.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.';
  });
  return plain && !out.empty() ? out : "localhost";
}

} // namespace hornbeam::runtime
