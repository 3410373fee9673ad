#pragma once

#include <string>

namespace hornbeam::runtime {

/// `$HOME`, else what the user's entry in passwd says; empty if neither names a
/// folder by its full path.
std::string home_folder();

} // namespace hornbeam::runtime
