#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "launcher/child.hpp"

namespace hornbeam::launcher {

/// Starts the nodes of a cluster as children of this process and restarts
/// those that die (one for one), until there is a reason to end:
///
/// - SIGINT, SIGTERM or SIGHUP: exit code 0;
/// - the node with the script ends: its exit code;
/// - too many restarts within the period: exit code 1.
///
/// Then every child gets SIGTERM, and SIGKILL after `patience`. A second
/// signal shortens that.
class supervisor {
public:
  static constexpr auto patience = std::chrono::seconds(3);

  /// `script_node` is the full name of the node that runs `script`; both are
  /// empty if there is none.
  supervisor(const config::cluster_config& cluster, const std::string& file,
             const std::string& script_node, const std::string& script);
  ~supervisor();

  int run();

private:
  using clock = std::chrono::steady_clock;

  void start(child& x, const char* how);
  void wait_for_events();
  void read_signals();
  void ended(child& x, int status);
  /// Counts one more restart; false if that is one too many.
  bool may_restart();
  void stop(int exit_code);
  bool all_ended() const;

  config::restart_settings limits_;
  std::vector<std::unique_ptr<child>> children_;
  const child* script_ = nullptr;
  int signals_ = -1;
  std::deque<clock::time_point> restarts_;
  bool stopping_ = false;
  clock::time_point kill_at_;
  int exit_code_ = 0;
};

} // namespace hornbeam::launcher
