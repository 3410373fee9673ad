#include "runtime/caf/caf.hpp"

namespace hornbeam::runtime {

void configure(caf::actor_system_config& cfg) {
  cfg.add_message_type<envelope>("hornbeam.envelope");
  cfg.set("scheduler.max-throughput", size_t{300});
  cfg.set("middleman.workers", size_t{0});
}

} // namespace hornbeam::runtime
