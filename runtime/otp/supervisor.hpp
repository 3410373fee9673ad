#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/otp/gen_server.hpp"

namespace hornbeam::runtime {

// Supervisors, as in the OTP manual, supervisor.

/// Which children are started again with one that has died.
enum class restart_strategy : std::uint8_t {
  one_for_one,
  one_for_all,       ///< all of them
  rest_for_one,      ///< those that were started after it
  simple_one_for_one ///< only itself; all are made from one specification
};

enum class restart_type : std::uint8_t {
  permanent, ///< always
  transient, ///< unless it ended with normal, shutdown or {shutdown, _}
  temporary, ///< never, and it is forgotten
};

/// Whether a supervisor ends when significant children end by themselves.
enum class auto_shutdown : std::uint8_t {
  never,
  any_significant,
  all_significant
};

struct child_spec {
  child_spec() {} // NOLINT: see server_options

  /// Milliseconds; or one of these.
  static constexpr std::int64_t infinity = -1;
  static constexpr std::int64_t brutal_kill = -2;

  term id;
  /// Starts the child linked to the process that calls it: `{ok, Pid}`,
  /// `{error, Reason}` or `ignore`. `extra` are the arguments of
  /// `start_child` under `simple_one_for_one`.
  std::function<task<term>(self me, term::sequence extra)> start;
  restart_type restart = restart_type::permanent;
  bool significant = false;
  bool is_supervisor = false;
  /// How long it may take to end before it is killed; by default 5000 for a
  /// worker, infinity for a supervisor.
  std::optional<std::int64_t> shutdown = {};
  term modules = term::list({});
};

struct supervisor_flags {
  restart_strategy strategy = restart_strategy::one_for_one;
  /// More than `intensity` restarts within `period_ms`: it gives up.
  std::int64_t intensity = 1;
  std::int64_t period_ms = 5000;
  runtime::auto_shutdown auto_shutdown = runtime::auto_shutdown::never;
};

/// `{ok, Pid}`, `ignore`, or `{error, Reason}`, as when a child does not start:
/// then the ones before it have been stopped again.
task<term> start_supervisor(self me, supervisor_flags flags,
                            std::vector<child_spec> children,
                            server_options o = {});
/// From a C++ thread: does not wait.
term spawn_supervisor(processes& on, supervisor_flags flags,
                      std::vector<child_spec> children, std::string name = {});
/// The same, linked to somebody; see `gen_server::spawn`.
term spawn_supervisor(processes& on, supervisor_flags flags,
                      std::vector<child_spec> children, std::string name,
                      gen_server::starter by);

/// `{ok, Pid}`, or `{error, already_present | {already_started, Pid} | ...}`.
task<term> start_child(self me, term supervisor, child_spec spec);
/// Under `simple_one_for_one`.
task<term> start_child(self me, term supervisor, term::sequence extra);
/// From a C++ thread: does not wait.
void start_child(processes& on, const term& supervisor, child_spec spec);
/// By id, or by pid under `simple_one_for_one`: `ok`, `{error, not_found}`.
task<term> terminate_child(self me, term supervisor, term id);
task<term> restart_child(self me, term supervisor, term id);
task<term> delete_child(self me, term supervisor, term id);
/// `[{Id, Pid | undefined | restarting, worker | supervisor, Modules}]`.
task<term> which_children(self me, term supervisor);
/// `{ok, Map}` of a child's specification, without its start function, by id
/// or pid; or `{error, not_found}`.
task<term> get_childspec(self me, term supervisor, term id);
/// What a call `start_child` carries for a specification.
term hand_over(processes& on, child_spec spec);
/// `[{specs, N}, {active, N}, {supervisors, N}, {workers, N}]`.
task<term> count_children(self me, term supervisor);

} // namespace hornbeam::runtime
