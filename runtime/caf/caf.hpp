#pragma once

// The only file that includes CAF for the rest of the project, so that another
// version of CAF touches few files. It also names our message types.

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>

#include <memory>
#include <string>

#include "runtime/call/service.hpp"

namespace hornbeam::runtime {

/// All that crosses a node border is bytes of ours in this envelope.
struct envelope {
  std::string bytes;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, envelope& x) {
  return f(x.bytes);
}

/// Adds our message types to a configuration, and makes the scheduler fair.
void configure(caf::actor_system_config& cfg);

class link;

} // namespace hornbeam::runtime

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(hornbeam::runtime::call_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<hornbeam::runtime::link>)
