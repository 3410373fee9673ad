#pragma once

#include <chrono>
#include <deque>

#include "config/settings.hpp"

namespace hornbeam::launcher {

/// When a node that has ended is started again: at once, unless that would be
/// more than `intensity` times within `period_ms`. Then after a pause, and each
/// next one is twice as long, up to a minute, until it has run for a whole
/// period.
class pacing {
public:
  using clock = std::chrono::steady_clock;
  static constexpr auto first_pause = std::chrono::seconds(1);
  static constexpr auto longest_pause = std::chrono::seconds(60);

  explicit pacing(const config::restart_settings& limits) : limits_(limits) {}

  void started(clock::time_point now) { started_ = now; }
  /// How long it is to wait, having ended now.
  std::chrono::seconds ended(clock::time_point now);
  /// Whether it is started after pauses, since it does not stay up.
  bool failing() const noexcept { return pause_.count() > 0; }

private:
  config::restart_settings limits_;
  clock::time_point started_;
  std::deque<clock::time_point> restarts_;
  std::chrono::seconds pause_{0};
};

} // namespace hornbeam::launcher
