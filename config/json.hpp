#pragma once

#include <string>

#include "config/settings.hpp"

namespace hornbeam::config {

/// One JSON object, `{"node": {...}, "log": {...}, "python": {...}}`, whose
/// keys are the fields of the settings: how a configuration is handed to
/// Python.
std::string to_json(const node_config& x);

} // namespace hornbeam::config
