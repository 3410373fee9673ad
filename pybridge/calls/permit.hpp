#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "actors/served_handler.hpp"
#include "pybridge/values/convert.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::pybridge {

/// A permit of a bounded handler as Python has it: asked for, held, and given
/// back.
class held_permit {
public:
  held_permit(const std::shared_ptr<actors::served_handler>& of,
              std::function<void()> come)
    : limiter_(of->bounds()), x_(std::make_shared<shared>()) {
    x_->number = limiter_->acquire(
      [x = x_, come = std::move(come)](actors::run_permit p) {
        {
          runtime::lock_scope guard{x->mutex};
          if (x->gone)
            return; // `p` goes back
          *x->permit = std::move(p);
        }
        come();
      });
    if (x_->number == 0)
      raise(of->overloaded());
  }
  /// Of a call that has it, and gives it back itself.
  explicit held_permit(std::shared_ptr<actors::run_permit> had)
    : x_(std::make_shared<shared>()) {
    x_->permit = std::move(had);
  }
  ~held_permit() {
    if (limiter_)
      end();
  }
  held_permit(const held_permit&) = delete;
  held_permit& operator=(const held_permit&) = delete;

  const std::shared_ptr<actors::run_permit>& permit() const {
    return x_->permit;
  }
  void end() {
    {
      runtime::lock_scope guard{x_->mutex};
      x_->gone = true;
    }
    if (limiter_)
      limiter_->give_up(x_->number);
    x_->permit->end();
  }

private:
  struct shared {
    runtime::ranked_mutex<runtime::lock_rank::permit> mutex;
    std::uint64_t number = 0;
    bool gone = false;
    std::shared_ptr<actors::run_permit> permit
      = std::make_shared<actors::run_permit>();
  };
  std::shared_ptr<actors::concurrency_limiter> limiter_;
  std::shared_ptr<shared> x_;
};

} // namespace hornbeam::pybridge
