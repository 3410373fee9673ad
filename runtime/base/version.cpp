#include "runtime/base/version.hpp"

namespace hornbeam::runtime {

std::string_view version() noexcept {
  return HORNBEAM_VERSION;
}

} // namespace hornbeam::runtime
