#include "runtime/caf/loop_actor.hpp"

namespace hornbeam::runtime {

namespace {

/// Messages that an actor works off before the others have their turn.
constexpr std::size_t messages_in_a_row = 100;

} // namespace

void loop_unit::exec_later(caf::resumable* job) {
  later(caf::intrusive_ptr<caf::resumable>{job, false});
}

void loop_unit::later(caf::intrusive_ptr<caf::resumable> job) {
  loop_->post([self = shared_from_this(), job = std::move(job)] {
    logger_share_scope here;
    if (job->resume(self.get(), messages_in_a_row)
        == caf::resumable::resume_later)
      self->later(job);
  });
}

} // namespace hornbeam::runtime
