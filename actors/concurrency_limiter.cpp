#include "actors/concurrency_limiter.hpp"

#include <algorithm>
#include <utility>

namespace hornbeam::actors {

run_permit& run_permit::operator=(run_permit&& other) noexcept {
  if (this != &other) {
    end();
    limiter_ = std::move(other.limiter_);
    released_ = std::exchange(other.released_, false);
  }
  return *this;
}

void run_permit::end() {
  auto g = std::exchange(limiter_, nullptr);
  if (g && !std::exchange(released_, false))
    g->release();
}

void run_permit::release() {
  if (limiter_ && !std::exchange(released_, true))
    limiter_->release();
}

void run_permit::reacquire() {
  if (limiter_ && std::exchange(released_, false))
    limiter_->take();
}

std::uint64_t concurrency_limiter::acquire(start f) {
  std::uint64_t number = 0;
  {
    runtime::lock_scope guard{mutex_};
    if (running_ >= limit_) {
      if (waiting_.size() >= queue_)
        return 0;
      waiting_.push_back({next_, std::move(f)});
      return next_++;
    }
    ++running_;
    number = next_++;
  }
  f(run_permit{shared_from_this()});
  return number;
}

bool concurrency_limiter::give_up(std::uint64_t number) {
  start dropped; // outside of the lock
  runtime::lock_scope guard{mutex_};
  auto i = std::find_if(waiting_.begin(), waiting_.end(),
                        [&](auto& x) { return x.number == number; });
  if (i == waiting_.end())
    return false;
  dropped = std::move(i->begin);
  waiting_.erase(i);
  return true;
}

std::size_t concurrency_limiter::waiting() const {
  runtime::lock_scope guard{mutex_};
  return waiting_.size();
}

void concurrency_limiter::release() {
  start next;
  {
    runtime::lock_scope guard{mutex_};
    if (waiting_.empty() || running_ > limit_) {
      --running_;
      return;
    }
    next = std::move(waiting_.front().begin);
    waiting_.pop_front();
  }
  next(run_permit{shared_from_this()});
}

} // namespace hornbeam::actors
