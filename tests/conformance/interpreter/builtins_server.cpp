#include "interpreter/machine.hpp"
#include "runtime/otp/gen_server.hpp"

// gen_server and sys: the runtime's server with callbacks of the scenario.

namespace hornbeam::conformance {

namespace {

using runtime::server_result;

[[noreturn]] void bad_return(const term& x) {
  throw runtime::exit_error{tuple({atom("bad_return_value"), x})};
}

class script_server : public runtime::gen_server {
public:
  script_server(machine& m, term argument)
    : m_(m), argument_(std::move(argument)) {}

  task<server_result> init(self me) override {
    context c{m_, me};
    auto x = co_await result_of(c, "init", argument_);
    if (x.is_atom("ignore"))
      co_return server_result::ignore();
    if (is(x, "ok", 2) || is(x, "ok", 3))
      co_return with_state(server_result::noreply(), x, 1);
    if (is(x, "stop", 2))
      co_return server_result::stop(x.items()[1]);
    bad_return(x);
  }

  task<server_result> handle_call(self me, term request, term from) override {
    context c{m_, me};
    auto x = co_await result_of(c, "handle_call", request, from, state_);
    if (is(x, "reply", 3) || is(x, "reply", 4))
      co_return with_state(server_result::reply(x.items()[1]), x, 2);
    if (is(x, "stop", 4)) {
      state_ = x.items()[3];
      co_return server_result::stop(x.items()[1], x.items()[2]);
    }
    co_return other_result(x);
  }

  task<server_result> handle_cast(self me, term request) override {
    context c{m_, me};
    auto x = co_await result_of(c, "handle_cast", request, state_);
    co_return other_result(x);
  }

  task<server_result> handle_info(self me, term message) override {
    if (m_.find("handle_info", 2) == nullptr)
      co_return server_result::noreply();
    context c{m_, me};
    auto x = co_await result_of(c, "handle_info", message, state_);
    co_return other_result(x);
  }

  task<server_result> handle_continue(self me, term what) override {
    context c{m_, me};
    auto x = co_await result_of(c, "handle_continue", what, state_);
    co_return other_result(x);
  }

  task<> terminate(self me, term reason) override {
    if (m_.find("terminate", 2) == nullptr)
      co_return;
    context c{m_, me};
    co_await result_of(c, "terminate", reason, state_);
  }

  term state() const override { return state_; }
  bool replace_state(term x) override {
    state_ = std::move(x);
    return true;
  }

private:
  static bool is(const term& x, const char* tag, std::size_t size) {
    return x.is(term::kind::tuple) && x.items().size() == size
           && x.items()[0].is_atom(tag);
  }

  /// What a callback returns; in OTP that may be thrown as well.
  template <class... Ts>
  task<term> result_of(context& c, const char* name, Ts... xs) {
    std::vector<term> args{std::move(xs)...};
    auto* f = m_.find(name, args.size());
    if (f == nullptr)
      raise("undef");
    term x;
    try {
      x = co_await apply(c, *f, std::move(args));
    } catch (const runtime::erlang_throw& thrown) {
      x = thrown.value;
    } catch (const script_error& e) {
      m_.outside().fail(e.what());
    }
    co_return x;
  }

  server_result other_result(const term& x) {
    if (is(x, "noreply", 2) || is(x, "noreply", 3))
      return with_state(server_result::noreply(), x, 1);
    if (!is(x, "stop", 3))
      bad_return(x);
    state_ = x.items()[2];
    return server_result::stop(x.items()[1]);
  }

  /// Takes the state at place `i`, and the timeout or `continue` behind it.
  server_result with_state(server_result r, const term& x, std::size_t i) {
    state_ = x.items()[i];
    if (x.items().size() == i + 1)
      return r;
    auto& more = x.items()[i + 1];
    if (is(more, "continue", 2))
      return std::move(r).then(more.items()[1]);
    if (more.is(term::kind::integer))
      return std::move(r).timeout(more.as_int());
    if (more.is_atom("hibernate") || more.is_atom("infinity"))
      return r;
    bad_return(x);
  }

  machine& m_;
  term argument_;
  term state_;
};

/// ([{local, Name},] Module, Argument, Options)
task<term> start(context& c, std::vector<term> xs, bool link) {
  runtime::server_options o;
  o.link = link;
  if (xs.size() == 4) {
    o.name = xs[0].at(1).text();
    xs.erase(xs.begin());
  }
  for (auto& option : xs[2].items()) {
    if (!option.at(0).is_atom("timeout"))
      throw script_error("gen_server:start knows {timeout, Ms} only");
    o.timeout_ms = option.at(1).as_int();
  }
  auto impl = std::make_unique<script_server>(c.m, xs[1]);
  return runtime::gen_server::start(c.me, std::move(impl), std::move(o));
}

task<term> start_free(context& c, std::vector<term> xs) {
  return start(c, std::move(xs), false);
}

task<term> start_link(context& c, std::vector<term> xs) {
  return start(c, std::move(xs), true);
}

task<term> start_monitor(context& c, std::vector<term> xs) {
  auto x = co_await start(c, std::move(xs), false);
  if (!x.is(term::kind::tuple) || !x.items()[0].is_atom("ok"))
    co_return x;
  auto ref = c.me.monitor(x.items()[1]);
  co_return tuple({atom("ok"), tuple({x.items()[1], ref})});
}

task<term> call(context& c, std::vector<term> xs) {
  if (xs.size() == 2)
    return runtime::gen_server::call(c.me, xs[0], xs[1]);
  return runtime::gen_server::call(
    c.me, xs[0], xs[1], xs[2].is_atom("infinity") ? -1 : xs[2].as_int());
}

task<term> stop(context& c, std::vector<term> xs) {
  auto reason = xs.size() > 1 ? xs[1] : atom("normal");
  auto ms = xs.size() > 2 && !xs[2].is_atom("infinity") ? xs[2].as_int() : -1;
  co_await runtime::gen_server::stop(c.me, xs[0], reason, ms);
  co_return atom("ok");
}

/// The function is called here: the runtime's servers take a new state.
task<term> replace_state(context& c, std::vector<term> xs) {
  auto state = co_await runtime::gen_server::get_state(c.me, xs[0]);
  state = co_await apply_fun(c, xs[1], std::vector<term>(1, state));
  co_await runtime::gen_server::replace_state(c.me, xs[0], state);
  co_return state;
}

} // namespace

void add_server_builtins(builtin_table& t) {
  for (std::size_t n : {3, 4}) {
    t[{"gen_server", "start", n}].waiting = start_free;
    t[{"gen_server", "start_link", n}].waiting = start_link;
    t[{"gen_server", "start_monitor", n}].waiting = start_monitor;
  }
  t[{"gen_server", "call", 2}].waiting = call;
  t[{"gen_server", "call", 3}].waiting = call;
  t[{"gen_server", "stop", 1}].waiting = stop;
  t[{"gen_server", "stop", 3}].waiting = stop;
  t[{"gen_server", "cast", 2}].plain = [](context& c,
                                          const std::vector<term>& xs) {
    runtime::gen_server::cast(c.me, xs[0], xs[1]);
    return atom("ok");
  };
  t[{"gen_server", "reply", 2}].plain = [](context& c,
                                           const std::vector<term>& xs) {
    runtime::gen_server::reply(c.me, xs[0], xs[1]);
    return atom("ok");
  };
  t[{"sys", "get_state", 1}].waiting = [](context& c, std::vector<term> xs) {
    return runtime::gen_server::get_state(c.me, xs[0]);
  };
  t[{"sys", "replace_state", 2}].waiting = replace_state;
  t[{"sys", "suspend", 1}].waiting = [](context& c, std::vector<term> xs) {
    return runtime::gen_server::suspend(c.me, xs[0]);
  };
  t[{"sys", "resume", 1}].waiting = [](context& c, std::vector<term> xs) {
    return runtime::gen_server::resume(c.me, xs[0]);
  };
}

} // namespace hornbeam::conformance
