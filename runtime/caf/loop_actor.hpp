#pragma once

#include <memory>
#include <utility>

#include "runtime/caf/caf.hpp"
#include "runtime/net/event_loop.hpp"

namespace hornbeam::runtime {

/// While it lives, this thread may spawn and send: CAF lends it a share in the
/// logger of its system, which it must give back, as CAF ends a system only
/// when nobody else has one.
class logger_share_scope {
public:
  logger_share_scope() = default;
  ~logger_share_scope() {
    if (!had_one_)
      caf::logger::set_current_actor_system(nullptr);
  }
  logger_share_scope(const logger_share_scope&) = delete;
  logger_share_scope& operator=(const logger_share_scope&) = delete;

private:
  const bool had_one_ = caf::logger::current_logger() != nullptr;
};

/// Lets actors run in an event loop.
class loop_unit : public caf::execution_unit,
                  public std::enable_shared_from_this<loop_unit> {
public:
  loop_unit(caf::actor_system& sys, std::shared_ptr<event_loop> loop)
    : caf::execution_unit(&sys), loop_(std::move(loop)) {}
  void exec_later(caf::resumable* job) override;

private:
  void later(caf::intrusive_ptr<caf::resumable> job);

  const std::shared_ptr<event_loop> loop_;
};

/// An actor that lives in an event loop: its handlers run in the thread that
/// turns it, so that they may use what is there, and no worker that is held up
/// keeps it waiting.
template <class State>
class loop_actor : public caf::stateful_actor<State> {
public:
  using super = caf::stateful_actor<State>;

  /// `init` prepares the state, whose `run(self)` is the behavior.
  template <class F>
  loop_actor(caf::actor_config& cfg, std::shared_ptr<loop_unit> unit,
             const F& init)
    : super(cfg), unit_(std::move(unit)) {
    init(this->state);
  }

  void enqueue(caf::mailbox_element_ptr x, caf::execution_unit*) override {
    super::enqueue(std::move(x), unit_.get());
  }
  void launch(caf::execution_unit*, bool lazy, bool hide) override {
    super::launch(unit_.get(), lazy, hide);
  }
  caf::behavior make_behavior() override { return this->state.run(this); }

private:
  const std::shared_ptr<loop_unit> unit_;
};

} // namespace hornbeam::runtime
