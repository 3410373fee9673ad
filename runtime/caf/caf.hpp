#pragma once

// The only file that includes CAF for the rest of the project, so that another
// version of CAF touches few files. It also names our message types.

#include <caf/all.hpp>

#include <memory>
#include <string>

#include "runtime/call/service.hpp"

namespace hornbeam::runtime {

/// Makes the scheduler fair.
void configure(caf::actor_system_config& cfg);

} // namespace hornbeam::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(hornbeam::runtime::call_ptr)
