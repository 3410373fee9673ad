#include "actors/gate.hpp"

#include <algorithm>
#include <utility>

namespace hornbeam::actors {

gate::place& gate::place::operator=(place&& other) noexcept {
  if (this != &other) {
    leave();
    gate_ = std::move(other.gate_);
    lent_ = std::exchange(other.lent_, false);
  }
  return *this;
}

void gate::place::leave() {
  auto g = std::exchange(gate_, nullptr);
  if (g && !std::exchange(lent_, false))
    g->leave();
}

void gate::place::lend() {
  if (gate_ && !std::exchange(lent_, true))
    gate_->leave();
}

void gate::place::resume() {
  if (gate_ && std::exchange(lent_, false))
    gate_->take();
}

std::uint64_t gate::enter(start f) {
  std::uint64_t number = 0;
  {
    std::lock_guard guard{mutex_};
    if (running_ >= limit_) {
      if (waiting_.size() >= queue_)
        return 0;
      waiting_.push_back({next_, std::move(f)});
      return next_++;
    }
    ++running_;
    number = next_++;
  }
  f(place{shared_from_this()});
  return number;
}

bool gate::give_up(std::uint64_t number) {
  start dropped; // outside of the lock
  std::lock_guard guard{mutex_};
  auto i = std::find_if(waiting_.begin(), waiting_.end(),
                        [&](auto& x) { return x.number == number; });
  if (i == waiting_.end())
    return false;
  dropped = std::move(i->begin);
  waiting_.erase(i);
  return true;
}

std::size_t gate::waiting() const {
  std::lock_guard guard{mutex_};
  return waiting_.size();
}

void gate::leave() {
  start next;
  {
    std::lock_guard guard{mutex_};
    if (waiting_.empty() || running_ > limit_) {
      --running_;
      return;
    }
    next = std::move(waiting_.front().begin);
    waiting_.pop_front();
  }
  next(place{shared_from_this()});
}

} // namespace hornbeam::actors
