#include "launcher/pacing.hpp"

#include <algorithm>

namespace hornbeam::launcher {

std::chrono::seconds pacing::ended(clock::time_point now) {
  auto period = std::chrono::milliseconds(limits_.period_ms);
  if (failing() && now - started_ < period)
    return pause_ = std::min<std::chrono::seconds>(2 * pause_, longest_pause);
  pause_ = {};
  while (!restarts_.empty() && now - restarts_.front() > period)
    restarts_.pop_front();
  restarts_.push_back(now);
  if (restarts_.size() > limits_.intensity) {
    restarts_.clear();
    pause_ = first_pause;
  }
  return pause_;
}

} // namespace hornbeam::launcher
