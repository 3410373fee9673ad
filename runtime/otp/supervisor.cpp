#include "runtime/otp/supervisor.hpp"

#include <algorithm>
#include <deque>
#include <list>

#include "runtime/base/log.hpp"
#include "runtime/term/atoms.hpp"

// A supervisor is a gen_server that traps exits. Children stand in the order
// in which they are started; they are stopped in reverse. An exit message of a
// child decides by its restart type whether it is started again; how many
// others with it is the strategy's. A restart that fails is tried again by a
// cast of the supervisor to itself, and each try counts as a restart.

namespace hornbeam::runtime {

namespace {

const term restarting = term::constant("restarting");
const term not_found = term::constant("not_found");
const term running = term::constant("running");

term error_of(term reason) {
  return term::tuple({atoms::error, std::move(reason)});
}

bool is_error(const term& x) {
  return x.is(term::kind::tuple) && x.items().size() == 2
         && x.items()[0] == atoms::error;
}

bool is_normal_end(const term& reason) {
  if (reason == atoms::normal || reason == atoms::shutdown)
    return true;
  return reason.is(term::kind::tuple) && reason.items().size() == 2
         && reason.items()[0] == atoms::shutdown;
}

/// A reason in a line of the log: of an exception without its traceback.
std::string shown(const term& reason) {
  bool has_trace = reason.is(term::kind::tuple) && reason.items().size() == 2
                   && reason.items()[1].is(term::kind::string);
  return to_string(has_trace ? reason.items()[0] : reason);
}

struct child {
  child_spec spec;
  term pid; ///< or none, while it does not run
  bool restarting = false;
  term::sequence extra = {}; ///< under simple_one_for_one

  std::int64_t shutdown_ms() const {
    return spec.shutdown.value_or(spec.is_supervisor ? child_spec::infinity
                                                     : 5000);
  }
  term shown() const {
    return restarting      ? runtime::restarting
           : pid.is_none() ? atoms::undefined
                           : pid;
  }
};

class supervisor_server final : public gen_server {
public:
  supervisor_server(supervisor_flags flags, std::vector<child_spec> specs)
    : flags_(flags), specs_(std::move(specs)) {}

  task<server_result> init(self me) override {
    me.trap_exit(true);
    if (auto bad = check_all())
      co_return server_result::stop(*std::move(bad));
    if (simple()) {
      template_ = std::move(specs_.at(0));
      co_return server_result::noreply();
    }
    for (auto& spec : std::exchange(specs_, {})) {
      auto& c = children_.emplace_back(child{std::move(spec), {}});
      auto started = co_await start(me, c);
      if (is_error(started)) {
        auto why = term::tuple(
          {term::atom("failed_to_start_child"), c.spec.id, started.items()[1]});
        children_.pop_back();
        co_await stop_all(me);
        co_return server_result::stop(
          term::tuple({atoms::shutdown, std::move(why)}));
      }
      if (c.pid.is_none() && c.spec.restart == restart_type::temporary)
        children_.pop_back();
    }
    co_return server_result::noreply();
  }

  task<server_result> handle_call(self me, term request, term) override {
    co_return server_result::reply(co_await answer(me, std::move(request)));
  }

  task<server_result> handle_cast(self me, term request) override {
    if (!match("try_again", any)(request)) {
      co_await answer(me, std::move(request));
      co_return server_result::noreply();
    }
    auto i = find(request.items()[1]);
    if (i == children_.end() || !i->restarting)
      co_return server_result::noreply();
    co_return co_await restart(me, i);
  }

  task<server_result> handle_info(self me, term message) override {
    if (!match(atoms::exit, any_pid, any)(message))
      co_return server_result::noreply();
    auto i = std::find_if(children_.begin(), children_.end(),
                          [&](auto& c) { return c.pid == message.items()[1]; });
    if (i == children_.end())
      co_return server_result::noreply();
    auto reason = message.items()[2];
    i->pid = {};
    auto type = i->spec.restart;
    if (type == restart_type::permanent
        || (type == restart_type::transient && !is_normal_end(reason))) {
      auto id = to_string(i->spec.id);
      log::say_once_a_minute(log::level::warning, "processes", {}, id, [&] {
        return "the child " + id + " of a supervisor ended with "
               + shown(reason) + ": it is restarted";
      });
      co_return co_await restart(me, i);
    }
    bool significant = i->spec.significant;
    if (type == restart_type::temporary || simple())
      children_.erase(i);
    if (significant && ends_with_children())
      co_return server_result::stop(atoms::shutdown);
    co_return server_result::noreply();
  }

  task<> terminate(self me, term) override { co_await stop_all(me); }

  term state() const override {
    return term{static_cast<std::int64_t>(children_.size())};
  }

private:
  using iterator = std::list<child>::iterator;

  bool simple() const noexcept {
    return flags_.strategy == restart_strategy::simple_one_for_one;
  }

  iterator find(const term& id) {
    return std::find_if(children_.begin(), children_.end(), [&](auto& c) {
      return simple() ? c.pid == id : c.spec.id == id;
    });
  }

  std::optional<term> check_all() const {
    auto bad = [](const char* what, term value) {
      return term::tuple({term::atom(what), std::move(value)});
    };
    if (flags_.intensity < 0)
      return bad("supervisor_data",
                 bad("invalid_intensity", term{flags_.intensity}));
    if (flags_.period_ms <= 0)
      return bad("supervisor_data",
                 bad("invalid_period", term{flags_.period_ms / 1000}));
    if (simple() && specs_.size() != 1)
      return bad("bad_start_spec",
                 term{static_cast<std::int64_t>(specs_.size())});
    for (auto i = specs_.begin(); i != specs_.end(); ++i) {
      if (auto why = check(*i))
        return bad("start_spec", *why);
      if (std::any_of(specs_.begin(), i,
                      [&](auto& other) { return other.id == i->id; }))
        return bad("start_spec", bad("duplicate_child_name", i->id));
    }
    return std::nullopt;
  }

  /// Why a specification can't be used.
  std::optional<term> check(const child_spec& x) const {
    if (!x.start)
      return term::atom("missing_start");
    if (!x.significant)
      return std::nullopt;
    if (x.restart == restart_type::permanent)
      return term::tuple(
        {term::atom("bad_combination"),
         term::list(
           {term::tuple({term::atom("restart"), term::atom("permanent")}),
            term::tuple({term::atom("significant"), term{true}})})});
    if (flags_.auto_shutdown == auto_shutdown::never)
      return term::tuple(
        {term::atom("bad_combination"),
         term::list(
           {term::tuple({term::atom("auto_shutdown"), term::atom("never")}),
            term::tuple({term::atom("significant"), term{true}})})});
    return std::nullopt;
  }

  bool ends_with_children() const {
    if (flags_.auto_shutdown == auto_shutdown::any_significant)
      return true;
    return flags_.auto_shutdown == auto_shutdown::all_significant
           && std::none_of(children_.begin(), children_.end(), [](auto& c) {
                return c.spec.significant && (!c.pid.is_none() || c.restarting);
              });
  }

  // -- starting --------------------------------------------------------------

  /// Runs the start function; an error if it failed.
  task<term> start(self me, child& c) {
    term result;
    try {
      result = co_await c.spec.start(me, c.extra);
    } catch (const erlang_throw& e) {
      result = e.value; // as OTP's `catch` has it
    } catch (const exit_error& e) {
      result = error_of(term::tuple({atoms::exit, e.reason}));
    } catch (const erlang_error& e) {
      result = error_of(term::tuple(
        {atoms::exit,
         term::tuple({e.reason, term::list({term::string(e.what())})})}));
    } catch (const std::exception& e) {
      result = error_of(term::tuple({atoms::exit, exception_reason(e)}));
    }
    if (match("ignore")(result)) {
      c.restarting = false;
    } else if (match(atoms::ok, any_pid)(result)
               || match(atoms::ok, any_pid, any)(result)) {
      c.pid = result.items()[1];
      c.restarting = false;
    } else if (!is_error(result)) {
      result = error_of(result);
    }
    co_return result;
  }

  /// Notes a restart; false if there have been too many.
  bool may_restart(self me) {
    auto now = me.owner().clock().now();
    auto since = now - flags_.period_ms * 1'000'000;
    while (!restarts_.empty() && restarts_.front() < since)
      restarts_.pop_front();
    restarts_.push_back(now);
    return static_cast<std::int64_t>(restarts_.size()) <= flags_.intensity;
  }

  task<server_result> restart(self me, iterator failed) {
    if (!may_restart(me)) {
      failed->restarting = false;
      auto id = to_string(failed->spec.id);
      log::say_once_a_minute(
        log::level::error, "processes", {}, "too often " + id, [&] {
          return "a supervisor ends: its child " + id
                 + " made it restart more"
                   " than "
                 + std::to_string(flags_.intensity) + " times within "
                 + std::to_string(flags_.period_ms) + " ms";
        });
      co_return server_result::stop(atoms::shutdown);
    }
    auto first = failed;
    auto last = std::next(failed);
    if (flags_.strategy == restart_strategy::one_for_all)
      first = children_.begin();
    if (flags_.strategy == restart_strategy::one_for_all
        || flags_.strategy == restart_strategy::rest_for_one) {
      co_await stop(me, first, children_.end());
      // Temporary ones were stopped for the sake of others: they are gone.
      for (auto i = first; i != children_.end();) {
        bool gone = i->spec.restart == restart_type::temporary && i != failed;
        if (gone && i == first)
          ++first;
        i = gone ? children_.erase(i) : std::next(i);
      }
      last = children_.end();
    }
    for (auto i = first; i != last; ++i) {
      auto started = co_await start(me, *i);
      if (!is_error(started))
        continue;
      i->restarting = true;
      i->pid = {};
      auto id = simple() ? failed_mark(*i) : i->spec.id;
      gen_server::cast(me, me.pid(), make_op("try_again", id));
      break;
    }
    co_return server_result::noreply();
  }

  /// Under simple_one_for_one, ids are pids: a child that waits for its next
  /// try has a mark instead.
  term failed_mark(child& c) {
    c.pid = term{static_cast<std::int64_t>(++marks_)};
    return c.pid;
  }

  // -- stopping --------------------------------------------------------------

  task<> stop_all(self me) {
    if (simple())
      co_await stop_together(me);
    else
      co_await stop(me, children_.begin(), children_.end());
  }

  task<> stop(self me, iterator first, iterator last) {
    while (last != first) {
      --last;
      co_await stop_one(me, *last);
    }
  }

  task<> stop_one(self me, child& c) {
    c.restarting = false;
    if (!c.pid.is(term::kind::pid)) {
      c.pid = {};
      co_return;
    }
    auto pid = std::exchange(c.pid, {});
    auto ref = watch(me, pid);
    auto ms = c.shutdown_ms();
    auto down = match(atoms::down, ref, any, any, any);
    if (ms == child_spec::brutal_kill) {
      me.exit(pid, atoms::kill);
    } else {
      me.exit(pid, atoms::shutdown);
      if (ms != child_spec::infinity) {
        if (co_await me.receive(down, after{ms}))
          co_return;
        me.exit(pid, atoms::kill);
      }
    }
    co_await me.receive(down);
  }

  /// All at once: each gets the same time.
  task<> stop_together(self me) {
    std::vector<term> refs;
    auto ms = template_.shutdown.value_or(
      template_.is_supervisor ? child_spec::infinity : 5000);
    for (auto& c : children_) {
      if (!c.pid.is(term::kind::pid))
        continue;
      refs.push_back(watch(me, c.pid));
      me.exit(c.pid,
              ms == child_spec::brutal_kill ? atoms::kill : atoms::shutdown);
    }
    auto until = ms >= 0 ? me.owner().clock().in(ms) : never;
    std::size_t i = 0;
    for (; i < refs.size() && until != never; ++i) {
      auto left = std::max<ticks>(until - me.owner().clock().now(), 0);
      if (!co_await me.receive(match(atoms::down, refs[i], any, any, any),
                               after{(left + 999'999) / 1'000'000}))
        break;
    }
    if (until != never && i < refs.size())
      for (auto& c : children_)
        if (c.pid.is(term::kind::pid))
          me.exit(c.pid, atoms::kill);
    for (; i < refs.size(); ++i)
      co_await me.receive(match(atoms::down, refs[i], any, any, any));
    children_.clear();
  }

  /// From here on the child's end comes as a down message.
  static term watch(self me, const term& pid) {
    auto ref = me.monitor(pid);
    me.unlink(pid);
    return ref;
  }

  // -- what others ask for ---------------------------------------------------

  /// Whoever asks for what makes no sense is told so: that ends no tree.
  task<term> answer(self me, term request) {
    try {
      co_return co_await operate(me, request);
    } catch (const bad_term& e) {
      co_return error_of(
        term::tuple({term::atom("badarg"), term::string(e.what()), request}));
    }
  }

  task<term> operate(self me, term request) {
    operation op{request};
    if (op.name == "start_child")
      co_return co_await add(me, op.arg(0));
    if (op.name == "which_children")
      co_return which();
    if (op.name == "count_children")
      co_return count();
    if (op.name == "get_childspec") {
      auto& wanted = op.arg(0);
      if (simple())
        co_return term::tuple({atoms::ok, described(template_)});
      auto i = std::find_if(children_.begin(), children_.end(), [&](auto& c) {
        return c.spec.id == wanted || c.pid == wanted;
      });
      if (i == children_.end())
        co_return error_of(not_found);
      co_return term::tuple({atoms::ok, described(i->spec)});
    }
    if (op.name != "terminate_child" && op.name != "restart_child"
        && op.name != "delete_child")
      co_return error_of(term::tuple({term::atom("unknown"), request}));
    auto& id = op.arg(0);
    if (simple() && (op.name != "terminate_child" || !id.is(term::kind::pid)))
      co_return error_of(term::atom("simple_one_for_one"));
    auto i = find(id);
    if (i == children_.end()) {
      // Who has ended already needs no end.
      bool over = simple() && me.owner().is_local(id.as_pid())
                  && !me.owner().alive(id);
      co_return over ? atoms::ok : error_of(not_found);
    }
    if (op.name == "terminate_child") {
      co_await stop_one(me, *i);
      if (i->spec.restart == restart_type::temporary || simple())
        children_.erase(i);
      co_return atoms::ok;
    }
    if (i->restarting)
      co_return error_of(restarting);
    if (!i->pid.is_none())
      co_return error_of(running);
    if (op.name == "delete_child") {
      children_.erase(i);
      co_return atoms::ok;
    }
    co_return ok_undefined(co_await start(me, *i));
  }

  /// What a caller sees for a child whose start said `ignore`.
  static term ok_undefined(term started) {
    if (match("ignore")(started))
      return term::tuple({atoms::ok, atoms::undefined});
    return started;
  }

  task<term> add(self me, term what) {
    if (simple()) {
      if (!what.is(term::kind::list))
        throw bad_term("the further arguments of a child are a list");
      child c{template_, {}, false, what.to_sequence()};
      auto started = co_await start(me, c);
      if (!c.pid.is_none())
        children_.push_back(std::move(c));
      co_return ok_undefined(std::move(started));
    }
    auto found = handed_over(me, what);
    if (!found)
      co_return error_of(
        term::tuple({term::atom("invalid_child_spec"), std::move(what)}));
    auto spec = *std::move(found);
    if (auto why = check(spec))
      co_return error_of(*std::move(why));
    if (auto i = find(spec.id); i != children_.end())
      co_return error_of(
        i->pid.is_none()
          ? term::atom("already_present")
          : term::tuple({term::atom("already_started"), i->pid}));
    children_.push_back({std::move(spec), {}});
    auto i = std::prev(children_.end());
    auto started = co_await start(me, *i);
    if (is_error(started) && !match("already_started", any)(started.items()[1]))
      started = error_of(term::tuple({started.items()[1], described(i->spec)}));
    if (is_error(started)
        || (i->pid.is_none() && i->spec.restart == restart_type::temporary))
      children_.erase(i);
    co_return ok_undefined(std::move(started));
  }

  /// What `hand_over` has kept in this node.
  static std::optional<child_spec> handed_over(self me, const term& what) {
    if (!match(any_ref, any)(what)
        || !me.owner().is_local(*what.items()[0].as_reference().node))
      return std::nullopt;
    auto kept = me.owner().take_over(
      static_cast<std::uint64_t>(what.items()[1].as_int()));
    auto* spec = std::any_cast<child_spec>(&kept);
    return spec ? std::optional{std::move(*spec)} : std::nullopt;
  }

  /// A specification as others see it: all but the start function.
  static term described(const child_spec& x) {
    auto entry = [](const char* key, term value) {
      return std::pair{term::atom(key), std::move(value)};
    };
    auto ms = x.shutdown.value_or(x.is_supervisor ? child_spec::infinity
                                                  : 5000);
    return term::map(
      {entry("id", x.id),
       entry("restart",
             term::atom(x.restart == restart_type::permanent   ? "permanent"
                        : x.restart == restart_type::transient ? "transient"
                                                               : "temporary")),
       entry("significant", term{x.significant}),
       entry("shutdown", ms == child_spec::infinity ? atoms::infinity
                         : ms == child_spec::brutal_kill
                           ? term::atom("brutal_kill")
                           : term{ms}),
       entry("type", term::atom(x.is_supervisor ? "supervisor" : "worker")),
       entry("modules", x.modules)});
  }

  term which() const {
    term::sequence out;
    for (auto i = children_.rbegin(); i != children_.rend(); ++i)
      out.push_back(term::tuple(
        {simple() ? atoms::undefined : i->spec.id, i->shown(),
         term::atom(i->spec.is_supervisor ? "supervisor" : "worker"),
         i->spec.modules}));
    return term::list(std::move(out));
  }

  term count() const {
    std::int64_t active = 0;
    std::int64_t supervisors = 0;
    for (auto& c : children_) {
      active += c.pid.is(term::kind::pid);
      supervisors += c.spec.is_supervisor;
    }
    auto all = static_cast<std::int64_t>(children_.size());
    auto entry = [](const char* name, std::int64_t n) {
      return term::tuple({term::atom(name), term{n}});
    };
    return term::list(
      {entry("specs", simple() ? 1 : all), entry("active", active),
       entry("supervisors", supervisors), entry("workers", all - supervisors)});
  }

  supervisor_flags flags_;
  std::vector<child_spec> specs_; ///< until `init`
  child_spec template_;           ///< under simple_one_for_one
  std::list<child> children_;
  std::deque<ticks> restarts_;
  std::uint64_t marks_ = 0;
};

task<term> operate(self me, term supervisor, const char* name) {
  return gen_server::call(me, std::move(supervisor), make_op(name),
                          child_spec::infinity);
}

task<term> operate(self me, term supervisor, const char* name, term arg) {
  return gen_server::call(me, std::move(supervisor),
                          make_op(name, std::move(arg)), child_spec::infinity);
}

} // namespace

term hand_over(processes& on, child_spec spec) {
  // Another node has other keys: the reference says whose this is.
  auto key = static_cast<std::int64_t>(on.hand_over(std::move(spec)));
  return term::tuple({on.make_ref(), term{key}});
}

task<term> start_supervisor(self me, supervisor_flags flags,
                            std::vector<child_spec> children,
                            server_options o) {
  return gen_server::start(
    me, std::make_unique<supervisor_server>(flags, std::move(children)),
    std::move(o));
}

term spawn_supervisor(processes& on, supervisor_flags flags,
                      std::vector<child_spec> children, std::string name) {
  return gen_server::spawn(
    on, std::make_unique<supervisor_server>(flags, std::move(children)),
    std::move(name));
}

term spawn_supervisor(processes& on, supervisor_flags flags,
                      std::vector<child_spec> children, std::string name,
                      gen_server::starter by) {
  return gen_server::spawn(
    on, std::make_unique<supervisor_server>(flags, std::move(children)),
    std::move(name), std::move(by));
}

task<term> start_child(self me, term supervisor, child_spec spec) {
  return operate(me, std::move(supervisor), "start_child",
                 hand_over(me.owner(), std::move(spec)));
}

task<term> start_child(self me, term supervisor, term::sequence extra) {
  return operate(me, std::move(supervisor), "start_child",
                 term::list(std::move(extra)));
}

void start_child(processes& on, const term& supervisor, child_spec spec) {
  on.send(supervisor, term::tuple({term::atom("$gen_cast"),
                                   make_op("start_child",
                                           hand_over(on, std::move(spec)))}));
}

task<term> terminate_child(self me, term supervisor, term id) {
  return operate(me, std::move(supervisor), "terminate_child", std::move(id));
}

task<term> restart_child(self me, term supervisor, term id) {
  return operate(me, std::move(supervisor), "restart_child", std::move(id));
}

task<term> delete_child(self me, term supervisor, term id) {
  return operate(me, std::move(supervisor), "delete_child", std::move(id));
}

task<term> which_children(self me, term supervisor) {
  return operate(me, std::move(supervisor), "which_children");
}

task<term> get_childspec(self me, term supervisor, term id) {
  return operate(me, std::move(supervisor), "get_childspec", std::move(id));
}

task<term> count_children(self me, term supervisor) {
  return operate(me, std::move(supervisor), "count_children");
}

} // namespace hornbeam::runtime
