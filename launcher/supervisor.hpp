#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>

#include "config/settings.hpp"
#include "launcher/child.hpp"
#include "launcher/output.hpp"
#include "launcher/pacing.hpp"

namespace hornbeam::launcher {

/// Starts the nodes of a cluster as children of this process and restarts
/// those that die (one for one, after pauses if they don't stay up), until
/// there is a reason to end:
///
/// - SIGINT, SIGTERM, or SIGHUP at a terminal: exit code 0;
/// - the node with the script ends: its exit code;
/// - no node stays up: exit code 1.
///
/// Then every child gets SIGTERM, and SIGKILL after `patience`. A second
/// signal shortens that; what comes within `one_signal` of one belongs to it,
/// as when both a program and its process group are told.
///
/// It owes nothing to whoever started it: nobody must read its output, nohup's
/// SIGHUP is ignored, without a terminal it is passed on to the nodes, and as
/// process 1 it waits for all that end.
class supervisor {
public:
  static constexpr auto patience = std::chrono::seconds(3);
  static constexpr auto one_signal = std::chrono::milliseconds(500);

  /// `script_node` is the full name of the node that runs `script`; both are
  /// empty if there is none.
  supervisor(const config::cluster_config& cluster, const std::string& file,
             const std::string& script_node, const std::string& script);
  ~supervisor();

  int run();

private:
  using clock = std::chrono::steady_clock;
  struct member {
    child process;
    pacing pace;
    std::optional<clock::time_point> start_at; ///< unless it runs
  };

  void take_signals();
  void start(member& x, const char* how);
  void wait_for_events();
  /// The next moment at which something is to be done.
  std::optional<clock::time_point> next_moment() const;
  void do_what_is_due();
  void read_signals();
  void reap();
  void ended(member& x, int status);
  void restart(member& x);
  void stop(int exit_code);
  bool all_ended() const;

  config::restart_settings limits_;
  std::shared_ptr<output> out_;
  std::shared_ptr<output> err_; ///< the same if both are one file
  std::vector<std::unique_ptr<member>> members_;
  const member* script_ = nullptr;
  int signals_ = -1;
  bool at_terminal_ = false;
  std::optional<clock::time_point> signalled_;
  bool stopping_ = false;
  clock::time_point kill_at_;
  int exit_code_ = 0;
};

} // namespace hornbeam::launcher
