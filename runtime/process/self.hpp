#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/process/coroutine.hpp"
#include "runtime/process/process.hpp"
#include "runtime/term/pattern.hpp"

namespace hornbeam::runtime {

/// Ends the process that raises it: `exit(Reason)`.
struct exit_error {
  term reason;
};

/// A mistake, as `error(Reason)` has it; uncaught, it ends the process with
/// `{Reason, Stack}`. Calls of the runtime raise it with Erlang's reasons and
/// a text that names the culprit.
struct erlang_error : std::runtime_error {
  explicit erlang_error(term r) : runtime_error(to_string(r)), reason(r) {}
  erlang_error(const char* atom, const std::string& text)
    : runtime_error(text), reason(term::atom(atom)) {}
  term reason;
};

/// A value thrown as `throw(Value)`; uncaught, it ends the process with
/// `{{nocatch, Value}, Stack}`.
struct erlang_throw {
  term value;
};

/// The reason for the end of a process whose code an exception has left:
/// `((class name, message), traceback text)`.
term exception_reason(const std::exception& e);

/// How long a receive waits.
struct after {
  std::int64_t ms;
  explicit after(std::int64_t milliseconds) : ms(milliseconds) {}
  template <class Rep, class Period>
  explicit after(std::chrono::duration<Rep, Period> d)
    : ms(std::chrono::ceil<std::chrono::milliseconds>(d).count()) {}
};

template <class Match, bool Timed>
class receiver : public receiver_base {
public:
  receiver(process& p, Match m, signal** from, ticks until)
    : receiver_base(p, &receiver::scan_from, from, until),
      match_(std::move(m)) {}

  bool await_ready() {
    p_.enter();
    return p_.spend() && p_.ready(*this);
  }
  void await_suspend(std::coroutine_handle<> h) noexcept {
    p_.suspend(h, this);
  }
  auto await_resume() {
    p_.enter();
    if (error_)
      std::rethrow_exception(error_);
    if constexpr (Timed)
      return found_ ? std::optional{p_.take(at_)} : std::nullopt;
    else
      return p_.take(at_);
  }

private:
  static bool scan_from(receiver_base& base) {
    auto& r = static_cast<receiver&>(base);
    for (; *r.at_ != nullptr; r.at_ = &(*r.at_)->next)
      if (r.match_((*r.at_)->body))
        return r.found_ = true;
    return false;
  }
  Match match_;
};

struct yielder {
  process& p;
  bool await_ready() const {
    p.enter();
    return false;
  }
  void await_suspend(std::coroutine_handle<> h) const noexcept { p.yield(h); }
  void await_resume() const { p.enter(); }
};

/// What the code of a process can do; the first parameter of its body. Small
/// and copied freely, but of use to that process alone.
///
/// Errors are raised as `erlang_error` with the reason that Erlang has. If the
/// process has been ended by somebody else, every call raises
/// `process_killed`, which ends the body.
class self {
public:
  explicit self(process& p) noexcept : p_(&p) {}

  const term& pid() const;
  processes& owner() const noexcept { return p_->owner(); }
  /// The node's name as an atom.
  term node() const;

  // -- messages --------------------------------------------------------------

  /// To a pid, an alias, a name, or `{name, node}`. Silent if nobody is
  /// there, but for a name of this node that nobody has: `badarg`.
  void send(const term& to, term message) const;

  /// The first message in the order of the queue that `m` accepts.
  template <class Match>
  receiver<Match, false> receive(Match m) const {
    return {*p_, std::move(m), p_->first_message(), never};
  }
  receiver<any_t, false> receive() const { return receive(any); }
  /// The same, or none if it does not come in time. A timeout of 0 looks
  /// through the queue once; a negative one is `timeout_value`.
  template <class Match>
  receiver<Match, true> receive(Match m, after time) const {
    return {*p_, std::move(m), p_->first_message(), until(time)};
  }
  receiver<any_t, true> receive(after time) const { return receive(any, time); }
  /// Looks only at what comes behind `mark`, a `place()` of this process, if
  /// nothing has been received since: it need not skip what waits already.
  template <class Match>
  receiver<Match, true> receive_from(signal** mark, Match m, after time) const {
    return {*p_, std::move(m), mark, until(time)};
  }
  template <class Match>
  receiver<Match, false> receive_from(signal** mark, Match m) const {
    return {*p_, std::move(m), mark, never};
  }
  signal** place() const { return p_->mark(); }
  receiver<none_t, true> sleep(std::int64_t ms) const {
    return receive(none_t{}, after{ms});
  }
  /// Lets the others have their turn.
  yielder yield() const noexcept { return {*p_}; }
  /// What waits, in the order of the queue.
  std::vector<term> messages() const;

  // -- other processes -------------------------------------------------------

  /// Starts `f(self, xs...)`, a coroutine that returns `process_body`; see
  /// `processes::spawn`. Returns its pid.
  template <class F, class... Ts>
  term spawn(F f, Ts... xs) const;
  /// Linked from its first moment.
  template <class F, class... Ts>
  term spawn_link(F f, Ts... xs) const;
  /// Monitored from its first moment: its pid, and the reference.
  template <class F, class... Ts>
  std::pair<term, term> spawn_monitor(F f, Ts... xs) const;

  /// A dead local process: `noproc`, or, if this one traps exits, a message.
  void link(const term& other) const;
  void unlink(const term& other) const;
  /// To a pid, a name or `{name, node}`.
  term monitor(const term& what) const;
  /// The reference is an alias as well, see `alias_mode`.
  term monitor(const term& what, alias_mode mode) const;
  /// False if there was no such monitor. With `flush`, its message is taken
  /// out of the queue if it has come already.
  bool demonitor(const term& ref, bool flush = false) const;
  /// An exit signal: `exit(To, Reason)`.
  void exit(const term& to, term reason) const;
  /// Ends this process.
  [[noreturn]] void exit(term reason) const;

  /// Another address of this process, until `unalias`. With `once`, the first
  /// message ends it.
  term alias(bool once = false) const;
  bool unalias(const term& ref) const;

  /// Returns the value before.
  bool trap_exit(bool on) const;
  /// Turned on: `{nodeup, Node}` and `{nodedown, Node}` come of all nodes that
  /// have a name of their own, once for each time. Off ends all of that.
  void monitor_nodes(bool on) const;
  /// One `{nodedown, Node}` for each time it was turned on and not off again,
  /// when that node is lost or can't be reached.
  void monitor_node(const std::string& node, bool on) const;

  // -- names -----------------------------------------------------------------

  void register_name(const std::string& name, const term& pid) const;
  void register_name(const std::string& name) const;
  void unregister_name(const std::string& name) const;
  std::optional<term> whereis(const std::string& name) const;

  // -- the process dictionary ------------------------------------------------

  /// The value before.
  std::optional<term> put(const term& key, term value) const;
  std::optional<term> get(const term& key) const;
  std::optional<term> erase(const term& key) const;

  // -- timers ----------------------------------------------------------------

  /// Sends `message` in `ms` milliseconds to a local pid or a local name.
  term send_after(std::int64_t ms, const term& to, term message) const;
  /// Sends `{timeout, Ref, Message}`.
  term start_timer(std::int64_t ms, const term& to, term message) const;
  /// The milliseconds that were left, or none.
  std::optional<std::int64_t> cancel_timer(const term& ref) const;
  std::optional<std::int64_t> read_timer(const term& ref) const;

  process& impl() const noexcept { return *p_; }

private:
  ticks until(after time) const;
  term new_monitor(const term& what, bool is_alias, alias_mode mode) const;

  process* p_;
};

} // namespace hornbeam::runtime
