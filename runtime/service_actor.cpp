#include "runtime/caf.hpp"

namespace hornbeam::runtime {

namespace {

struct service_state {
  std::unique_ptr<service> impl;
  static inline const char* name = "hornbeam.service";
};

void answer(service& s, call& c) {
  if (c.until.expired()) { // nobody waits any more: don't start
    if (c.reply)
      c.reply(failure{error_code::timeout,
                      "the deadline passed before the call was started",
                      {},
                      {},
                      {}});
    return;
  }
  try {
    s.handle(c);
  } catch (...) {
    if (c.reply)
      c.reply(current_failure());
  }
}

caf::behavior run(caf::stateful_actor<service_state>* self,
                  const std::shared_ptr<std::unique_ptr<service>>& impl) {
  self->state.impl = std::move(*impl);
  return {
    [self](const call_ptr& c) { answer(*self->state.impl, *c); },
    [self](const peer_event& e) { self->state.impl->peer(e); },
  };
}

} // namespace

void configure(caf::actor_system_config& cfg) {
  cfg.add_message_type<envelope>("hornbeam.envelope");
  cfg.set("scheduler.max-throughput", size_t{300});
  cfg.set("middleman.workers", size_t{0});
}

caf::actor spawn_service(caf::actor_system& sys,
                         std::unique_ptr<service> impl) {
  return sys.spawn(run,
                   std::make_shared<std::unique_ptr<service>>(std::move(impl)));
}

} // namespace hornbeam::runtime
