#include "runtime/caf/caf.hpp"

namespace hornbeam::runtime {

void configure(caf::actor_system_config& cfg) {
  cfg.set("scheduler.max-throughput", size_t{300});
}

} // namespace hornbeam::runtime
