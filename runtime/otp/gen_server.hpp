#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "runtime/process/processes.hpp"

namespace hornbeam::runtime {

/// What a callback of a `gen_server` wants next; see the OTP manual,
/// gen_server.
class server_result {
public:
  /// `{noreply, State}`; from `init`: `{ok, State}`.
  static server_result noreply() { return {}; }
  static server_result reply(term x) {
    server_result r;
    r.reply_ = std::move(x);
    return r;
  }
  static server_result stop(term reason) {
    server_result r;
    r.stop_ = std::move(reason);
    return r;
  }
  static server_result stop(term reason, term reply) {
    auto r = stop(std::move(reason));
    r.reply_ = std::move(reply);
    return r;
  }
  /// Only from `init`: the process ends, and nothing was started.
  static server_result ignore() {
    server_result r;
    r.ignore_ = true;
    return r;
  }
  /// `handle_info(timeout)` if nothing comes for so many milliseconds.
  server_result timeout(std::int64_t ms) && {
    timeout_ = ms;
    return std::move(*this);
  }
  /// `handle_continue(x)` before anything else.
  server_result then(term x) && {
    continue_ = std::move(x);
    return std::move(*this);
  }

private:
  friend class server_loop;
  std::optional<term> reply_;
  std::optional<term> stop_;
  std::optional<term> continue_;
  std::optional<std::int64_t> timeout_;
  bool ignore_ = false;
};

/// How a server is started.
struct server_options {
  // A constructor of its own, as in all that is passed to coroutines: GCC 12
  // copies aggregates in a `co_await` byte by byte.
  server_options(std::string registered = {}, bool linked = true)
    : name(std::move(registered)), link(linked) {}

  std::string name; ///< to register; empty: none
  bool link;
  /// How long `init` may take; negative: for ever. Then the server is killed
  /// and `{error, timeout}` returned.
  std::int64_t timeout_ms = -1;
};

/// A process that serves calls and casts one at a time, as OTP's gen_server.
/// Derive from it, keep the state in members, start it with `start`.
/// Callbacks are coroutines: they may call others meanwhile.
class gen_server {
public:
  virtual ~gen_server() = default;

  virtual task<server_result> init(self me);
  /// `from` is for `reply`, now or later.
  virtual task<server_result> handle_call(self me, term request, term from);
  virtual task<server_result> handle_cast(self me, term request);
  /// Any other message, and `timeout`.
  virtual task<server_result> handle_info(self me, term message);
  virtual task<server_result> handle_continue(self me, term x);
  /// Before the process ends, if it ends by itself, or by its parent while
  /// it traps exits.
  virtual task<> terminate(self me, term reason);
  /// What `get_state` shows.
  virtual term state() const { return {}; }
  /// Takes what `replace_state` sends. By default refused.
  virtual bool replace_state(term x);

  // -- for those who use one -----------------------------------------------

  /// Starts a server and waits for its `init`: `{ok, Pid}`, `{error, Reason}`
  /// or `ignore`.
  static task<term> start(self me, std::unique_ptr<gen_server> impl,
                          server_options o = {});
  /// The same from a C++ thread: does not wait.
  static term spawn(processes& on, std::unique_ptr<gen_server> impl,
                    std::string name = {});
  /// Who starts a server without being the process that it is linked to.
  struct starter {
    term parent; ///< linked to it before `init`; or none
    term to;     ///< gets `{ack, Tag, Result}` when `init` is over
    term tag;
  };
  static term spawn(processes& on, std::unique_ptr<gen_server> impl,
                    std::string name, starter by);

  /// Asks and waits for the answer: 5000 ms, unless told otherwise. Otherwise
  /// this process exits with `{Reason, {gen_server, call, [Server, Request]}}`;
  /// an answer that comes later is dropped.
  static task<term> call(self me, term server, term request);
  /// `ms` negative: without a limit.
  static task<term> call(self me, term server, term request, std::int64_t ms);
  /// Always succeeds.
  static void cast(self me, const term& server, term request);
  /// Answers a call; to `{Pid, Tag}` with a tag of one's own it sends
  /// `{Tag, Answer}`.
  static void reply(self me, const term& from, term answer);
  /// Ends a server with `reason` and waits until it has ended: `ms`
  /// milliseconds at the most, negative for ever. Otherwise this process exits,
  /// as OTP's `proc_lib:stop` says with what.
  static task<> stop(self me, term server, term reason, std::int64_t ms = -1);
  /// What its `state` returns.
  static task<term> get_state(self me, term server);
  /// Gives it another state: `ok`, or `{error, Reason}` if it has no such
  /// thing.
  static task<term> replace_state(self me, term server, term state);
  /// From here on it takes system messages alone, until `resume`.
  static task<term> suspend(self me, term server);
  static task<term> resume(self me, term server);
};

} // namespace hornbeam::runtime
