#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "actors/served_handler.hpp"
#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

/// A turn in the gate of a bounded handler: asked for, had, and given back.
class turn {
public:
  turn(const std::shared_ptr<actors::served_handler>& of,
       std::function<void()> come)
    : gate_(of->bounds()), x_(std::make_shared<shared>()) {
    x_->number
      = gate_->enter([x = x_, come = std::move(come)](actors::gate::place p) {
          {
            std::lock_guard guard{x->mutex};
            if (x->gone)
              return; // `p` goes back
            *x->place = std::move(p);
          }
          come();
        });
    if (x_->number == 0)
      raise(of->overloaded());
  }
  /// Of a call that has it, and gives it back itself.
  explicit turn(std::shared_ptr<actors::gate::place> had)
    : x_(std::make_shared<shared>()) {
    x_->place = std::move(had);
  }
  ~turn() {
    if (gate_)
      leave();
  }
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;

  const std::shared_ptr<actors::gate::place>& place() const {
    return x_->place;
  }
  void leave() {
    {
      std::lock_guard guard{x_->mutex};
      x_->gone = true;
    }
    if (gate_)
      gate_->give_up(x_->number);
    x_->place->leave();
  }

private:
  struct shared {
    std::mutex mutex;
    std::uint64_t number = 0;
    bool gone = false;
    std::shared_ptr<actors::gate::place> place
      = std::make_shared<actors::gate::place>();
  };
  std::shared_ptr<actors::gate> gate_;
  std::shared_ptr<shared> x_;
};

} // namespace hornbeam::pybridge
