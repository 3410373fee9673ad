#include "process_fixture.hpp"

#include "runtime/otp/gen_server.hpp"

using namespace hornbeam::test;

namespace {

struct how {
  term watcher = {};
  bool trap = false;
  std::function<server_result(self)> init = {};
  std::string terminate = {}; ///< the error that it raises
};

/// Does what it is asked to do; tells its watcher what happens to it.
class server : public gen_server {
public:
  explicit server(how x = {}) : how_(std::move(x)) {}

  task<server_result> init(self me) override {
    me.trap_exit(how_.trap);
    co_return how_.init ? how_.init(me) : server_result::noreply();
  }
  task<server_result> handle_call(self me, term request, term from) override {
    if (match("add", any_int)(request)) {
      sum_ += request.items()[1].as_int();
      co_return server_result::reply(term{sum_});
    }
    if (match("later")(request)) {
      waiting_.push_back(from);
      co_return server_result::noreply();
    }
    if (match("stop")(request))
      co_return server_result::stop(atom("asked"), atom("stopping"));
    if (match("stop_silently")(request))
      co_return server_result::stop(atom("normal"));
    if (match("raise")(request))
      throw std::runtime_error("the disk is full");
    if (match("exit", any)(request))
      me.exit(request.items()[1]);
    if (match("throw")(request))
      throw erlang_throw{atom("thrown")};
    if (match("ask", any_pid, any)(request))
      co_return server_result::reply(
        co_await gen_server::call(me, request.items()[1], request.items()[2]));
    if (match("timeout", any_int)(request))
      co_return server_result::reply(atom("ok"))
        .timeout(request.items()[1].as_int());
    if (match("continue", any)(request))
      co_return server_result::reply(atom("ok")).then(request.items()[1]);
    if (match("self")(request))
      co_return server_result::reply(
        co_await gen_server::call(me, me.pid(), atom("x")));
    co_return co_await gen_server::handle_call(me, request, from);
  }
  task<server_result> handle_cast(self me, term request) override {
    if (match("reply", any)(request)) {
      co_return server_result::reply(request.items()[1]);
    } else if (match("answer", any)(request)) {
      for (auto& from : waiting_)
        reply(me, from, request.items()[1]);
      waiting_.clear();
    } else if (match("stop", any)(request)) {
      co_return server_result::stop(request.items()[1]);
    } else {
      tell(me, "cast", request);
    }
    co_return server_result::noreply();
  }
  task<server_result> handle_info(self me, term x) override {
    if (match("reply", any)(x))
      co_return server_result::reply(x.items()[1]);
    tell(me, "info", x);
    co_return server_result::noreply();
  }
  task<server_result> handle_continue(self me, term x) override {
    tell(me, "continue", x);
    if (match("stop")(x))
      co_return server_result::stop(atom("from_continue"));
    co_return server_result::noreply();
  }
  task<> terminate(self me, term reason) override {
    tell(me, "terminate", reason);
    if (!how_.terminate.empty())
      throw erlang_error(atom(how_.terminate));
    co_return;
  }
  term state() const override { return term{sum_}; }

private:
  void tell(self me, const char* what, term x) {
    if (!how_.watcher.is_none())
      me.send(how_.watcher, tup(what, std::move(x)));
  }
  how how_;
  std::int64_t sum_ = 0;
  std::vector<term> waiting_;
};

struct fixture : one_node {
  term start(how x = {}, const std::string& name = {}) {
    auto pid = gen_server::spawn(a, std::make_unique<server>(std::move(x)),
                                 name);
    run();
    return pid;
  }
  how told() { return {p->pid(), false, {}, {}}; }
  /// A process that calls and tells the probe the answer, or the exit reason.
  term call(const term& to, const term& request,
            std::optional<std::int64_t> ms = {}) {
    return a.spawn(
      [probe = p->pid()](self me, term server, term question,
                         std::optional<std::int64_t> time) -> process_body {
        term out;
        try {
          auto x = time ? gen_server::call(me, server, question, *time)
                        : gen_server::call(me, server, question);
          out = co_await std::move(x);
        } catch (const exit_error& e) {
          out = tup("exit", e.reason);
        }
        me.send(probe, out);
        co_await me.receive(match("stop"));
      },
      to, request, ms);
  }
  std::optional<term> answer(const term& to, const term& request) {
    call(to, request);
    run();
    return p->next();
  }
  /// What `start` returns, started by a process that then waits.
  term started(std::unique_ptr<gen_server> x, server_options o,
               bool trap = true) {
    auto shared = std::make_shared<std::unique_ptr<gen_server>>(std::move(x));
    a.spawn([this, shared, o, trap, probe = p->pid()](self me) -> process_body {
      starter = me.pid();
      me.trap_exit(trap);
      auto result = co_await gen_server::start(me, std::move(*shared), o);
      me.send(probe, tup("started", result));
      for (;;)
        me.send(probe, tup("starter", co_await me.receive()));
    });
    run();
    auto got = p->next(match("started", any));
    return got ? got->items()[1] : term{};
  }
  static term failed(const term& why, const term& server, const term& request) {
    return tup("exit",
               tup(why, tup("gen_server", "call", list_of(server, request))));
  }
  term starter;
};

} // namespace

TEST_CASE_METHOD(fixture, "a call returns the reply, a cast is done in order "
                          "with calls") {
  auto s = start(told());
  CHECK(answer(s, tup("add", 2)) == term{2});
  CHECK(answer(s, tup("add", 3)) == term{5});
  a.spawn([s, to = p->pid()](self me) -> process_body {
    gen_server::cast(me, s, atom("one"));
    auto x = co_await gen_server::call(me, s, tup("add", 0));
    gen_server::cast(me, s, atom("two"));
    me.send(to, x);
  });
  run();
  CHECK(p->all() == terms(tup("cast", "one"), 5, tup("cast", "two")));
}

TEST_CASE_METHOD(fixture, "a call by name finds the server") {
  start({}, "counter");
  CHECK(answer(atom("counter"), tup("add", 2)) == term{2});
  CHECK(answer(tup("counter", "a@h"), tup("add", 2)) == term{4});
}

TEST_CASE_METHOD(fixture, "a call may be answered later, each caller gets its "
                          "own") {
  auto s = start();
  call(s, atom("later"));
  call(s, atom("later"));
  run();
  CHECK(p->all().empty());
  CHECK(answer(s, tup("add", 1)) == term{1}); // serves meanwhile
  gen_server::cast(me(), s, tup("answer", 7));
  run();
  CHECK(p->all() == terms(7, 7));
}

TEST_CASE_METHOD(fixture, "a call waits 5000 milliseconds, then its caller "
                          "exits with timeout") {
  auto s = start();
  call(s, atom("later"));
  advance(4999);
  CHECK(p->all().empty());
  advance(1);
  CHECK(p->all() == terms(failed(atom("timeout"), s, atom("later"))));
}

TEST_CASE_METHOD(fixture, "a timeout of one's own is shown in the exit "
                          "reason") {
  auto s = start();
  call(s, atom("later"), 100);
  advance(100);
  CHECK(p->all()
        == terms(tup("exit", tup("timeout", tup("gen_server", "call",
                                                list_of(s, "later", 100))))));
}

TEST_CASE_METHOD(fixture, "a call without limit waits for ever") {
  auto s = start();
  call(s, atom("later"), -1);
  advance(20000);
  CHECK(p->all().empty());
  gen_server::cast(me(), s, tup("answer", 7));
  run();
  CHECK(p->all() == terms(7));
}

TEST_CASE_METHOD(fixture, "a late reply is dropped, and nothing stays behind") {
  auto s = start();
  auto caller = call(s, atom("later"), 10);
  advance(10);
  CHECK(p->all().size() == 1);
  gen_server::cast(me(), s, tup("answer", 7));
  run();
  CHECK(a.info(caller, "message_queue_len") == term{0});
  CHECK(a.info(caller, "monitors") == list_of());
  CHECK(a.info(s, "monitored_by") == list_of());
}

TEST_CASE_METHOD(fixture, "a call leaves no monitor behind") {
  auto s = start();
  auto caller = call(s, tup("add", 1));
  run();
  CHECK(a.info(caller, "monitors") == list_of());
  CHECK(a.info(s, "monitored_by") == list_of());
  CHECK(a.info(caller, "message_queue_len") == term{0});
}

TEST_CASE_METHOD(fixture, "a call to nobody exits with noproc") {
  auto s = start();
  a.exit(s, atom("kill"));
  run();
  CHECK(answer(s, atom("x")) == failed(atom("noproc"), s, atom("x")));
  CHECK(answer(atom("nobody"), atom("x"))
        == failed(atom("noproc"), atom("nobody"), atom("x")));
  CHECK(answer(tup("nobody", "a@h"), atom("x"))
        == failed(atom("noproc"), tup("nobody", "a@h"), atom("x")));
}

TEST_CASE_METHOD(fixture, "a call to a node that is not there exits with "
                          "nodedown") {
  auto to = tup("x", "z@h");
  CHECK(answer(to, atom("q")) == failed(tup("nodedown", "z@h"), to, atom("q")));
}

TEST_CASE_METHOD(fixture, "a server that calls itself exits with "
                          "calling_self") {
  auto s = start();
  CHECK(
    answer(s, atom("self"))
    == failed(tup("calling_self", tup("gen_server", "call", list_of(s, "x"))),
              s, atom("self")));
}

TEST_CASE_METHOD(fixture, "a caller hears how a server ends during its call") {
  auto s = start();
  auto why = [&](const term& request) {
    auto got = answer(s, request);
    s = start();
    return got;
  };
  auto old = s;
  CHECK(why(tup("exit", "boom"))
        == failed(atom("boom"), old, tup("exit", "boom")));
  old = s;
  CHECK(why(atom("stop_silently"))
        == failed(atom("normal"), old, atom("stop_silently")));
  old = s;
  call(s, atom("later"));
  run();
  a.exit(s, atom("kill"));
  run();
  CHECK(p->all() == terms(failed(atom("killed"), old, atom("later"))));
}

TEST_CASE_METHOD(fixture, "an exception of a callback ends the server with its "
                          "text") {
  auto s = start(told());
  auto ref = me().monitor(s);
  call(s, atom("raise"));
  run();
  auto got = p->next(match("DOWN", ref, any, any, any));
  REQUIRE(got);
  CHECK_THAT(to_string(got->items()[4]),
             Catch::Contains("the disk is full")
               && Catch::Contains("std::runtime_error"));
  CHECK(p->next(match("terminate", got->items()[4])));
}

TEST_CASE_METHOD(fixture, "a throw of a callback is its return value, a bad "
                          "one") {
  auto s = start(told());
  auto ref = me().monitor(s);
  call(s, atom("throw"));
  run();
  auto why = tup("bad_return_value", "thrown");
  CHECK(p->next(match("DOWN", ref, any, any, why)));
  CHECK(p->next(match("terminate", why)));
}

TEST_CASE_METHOD(fixture,
                 "a reply to what was no call ends the server as a bad "
                 "return value") {
  for (bool is_cast : {true, false}) {
    auto s = start();
    auto ref = me().monitor(s);
    if (is_cast)
      gen_server::cast(me(), s, tup("reply", 1));
    else
      me().send(s, tup("reply", 1));
    run();
    auto why = tup("bad_return_value", tup("reply", 1));
    CHECK(p->next(match("DOWN", ref, any, any, why)));
  }
}

TEST_CASE_METHOD(fixture, "what a server does not know ends it with the "
                          "request in the reason") {
  auto s = start();
  auto ref = me().monitor(s);
  call(s, tup("mystery", 1));
  run();
  auto got = p->next(match("DOWN", ref, any, any, any));
  REQUIRE(got);
  CHECK_THAT(to_string(got->items()[4]), Catch::Contains("mystery"));
}

TEST_CASE_METHOD(fixture, "a stop with a reply answers after terminate") {
  auto s = start(told());
  auto ref = me().monitor(s);
  CHECK(answer(s, atom("stop")) == tup("terminate", "asked"));
  CHECK(p->next(match("stopping"))); // by way of the caller: in no order
  CHECK(p->next(match("DOWN", ref, any, any, "asked")));
}

TEST_CASE_METHOD(fixture, "a stop from a cast calls terminate") {
  auto s = start(told());
  auto ref = me().monitor(s);
  gen_server::cast(me(), s, tup("stop", tup("because", 1)));
  run();
  CHECK(p->all()
        == terms(tup("terminate", tup("because", 1)),
                 down(ref, s, tup("because", 1))));
}

TEST_CASE_METHOD(fixture, "an error in terminate becomes the reason") {
  auto s = start({p->pid(), false, {}, "late_error"});
  auto ref = me().monitor(s);
  gen_server::cast(me(), s, tup("stop", "normal"));
  run();
  CHECK(p->next() == tup("terminate", "normal"));
  auto got = p->next();
  REQUIRE(got);
  CHECK(got->items()[4].items()[0] == atom("late_error"));
}

TEST_CASE_METHOD(fixture, "a killed server has no terminate") {
  auto s = start({p->pid(), true, {}, {}});
  a.exit(s, atom("kill"));
  run();
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(fixture, "a server that does not trap exits has no terminate "
                          "at an exit signal") {
  auto s = start(told());
  a.exit(s, atom("shutdown"));
  run();
  CHECK_FALSE(a.alive(s));
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(fixture, "a cast always succeeds") {
  auto s = start();
  a.exit(s, atom("kill"));
  CHECK_NOTHROW(gen_server::cast(me(), s, term{1}));
  CHECK_NOTHROW(gen_server::cast(me(), atom("nobody"), term{1}));
  CHECK_NOTHROW(gen_server::cast(me(), tup("x", "z@h"), term{1}));
}

TEST_CASE_METHOD(fixture, "other messages go to handle_info") {
  auto s = start({p->pid(), true, {}, {}});
  a.send(s, term{1});
  me().exit(s, atom("boom")); // of somebody who is not its parent
  run();
  CHECK(p->all()
        == terms(tup("info", 1), tup("info", exited(p->pid(), "boom"))));
}

TEST_CASE_METHOD(fixture, "what nobody could be answered is no call") {
  auto s = start(told());
  auto pid = p->pid();
  for (auto& x :
       {tup("$gen_call", 1), tup("$gen_call", 1, 2),
        tup("$gen_call", term::tuple({}), 2), tup("$gen_call", tup(pid), 2),
        tup("$gen_call", tup(pid, 1, 2), 2), tup("$gen_call", tup(1, 2), 2),
        tup("system", tup(pid), atom("get_state")),
        tup("system", 1, atom("suspend"))}) {
    a.send(s, x);
    run();
    CHECK(p->all() == terms(tup("info", x)));
  }
  CHECK(a.alive(s));
}

TEST_CASE_METHOD(fixture, "a timeout is a message, and any message ends it") {
  auto s = start(told());
  answer(s, tup("timeout", 10));
  advance(5);
  a.send(s, term{1});
  advance(20);
  CHECK(p->all() == terms(tup("info", 1)));
  answer(s, tup("timeout", 10));
  advance(9);
  CHECK(p->all().empty());
  advance(1);
  CHECK(p->all() == terms(tup("info", "timeout")));
}

TEST_CASE_METHOD(fixture, "continue comes before any message") {
  auto s = start(told());
  call(s, tup("continue", "first"));
  a.send(s, atom("second"));
  a.send(s, atom("third"));
  run();
  auto got = p->all();
  std::erase(got, atom("ok"));
  CHECK(got.size() == 3);
  auto at = [&](const term& x) {
    return std::find(got.begin(), got.end(), x) - got.begin();
  };
  // The call came after the messages that the probe sent before it ran.
  CHECK(at(tup("continue", "first")) < 3);
}

TEST_CASE_METHOD(fixture, "init may continue, and continue may stop") {
  auto s = start({p->pid(),
                  false,
                  [](self me) {
                    me.send(me.pid(), atom("queued"));
                    return server_result::noreply().then(atom("go"));
                  },
                  {}});
  CHECK(p->all() == terms(tup("continue", "go"), tup("info", "queued")));
  auto ref = me().monitor(s);
  call(s, tup("continue", "stop"));
  run();
  CHECK(p->next(match("DOWN", ref, any, any, "from_continue")));
}

// -- starting -----------------------------------------------------------------

TEST_CASE_METHOD(fixture, "start returns when init is done, with a linked "
                          "server") {
  auto s = started(std::make_unique<server>(), {"named", true});
  REQUIRE(match("ok", any_pid)(s));
  auto pid = s.items()[1];
  CHECK(a.whereis("named") == pid);
  CHECK(a.info(pid, "links") == list_of(starter));
  CHECK(a.info(starter, "monitors") == list_of());
  a.exit(pid, atom("boom"));
  run();
  CHECK(p->all() == terms(tup("starter", exited(pid, "boom"))));
}

TEST_CASE_METHOD(fixture, "a server may be started without a link") {
  auto s = started(std::make_unique<server>(), {{}, false});
  REQUIRE(match("ok", any_pid)(s));
  CHECK(a.info(s.items()[1], "links") == list_of());
}

TEST_CASE_METHOD(fixture, "an init that stops is an error, and its name is "
                          "free") {
  how bad{
    {}, false, [](self) { return server_result::stop(tup("no", 1)); }, {}};
  CHECK(started(std::make_unique<server>(bad), {"n", true})
        == tup("error", tup("no", 1)));
  CHECK_FALSE(a.whereis("n"));
  auto exits = p->all();
  REQUIRE(exits.size() == 1);
  CHECK(exits[0].items()[1].items()[2] == tup("no", 1));
}

TEST_CASE_METHOD(fixture, "an init that raises is an error with its text") {
  how bad{
    {},
    false,
    [](self) -> server_result { throw std::runtime_error("no such file"); },
    {}};
  auto got = started(std::make_unique<server>(bad), {});
  REQUIRE(match("error", any)(got));
  CHECK_THAT(to_string(got), Catch::Contains("no such file"));
}

TEST_CASE_METHOD(fixture, "an init that fails ends a linked parent that does "
                          "not trap") {
  how bad{{}, false, [](self) { return server_result::stop(atom("no")); }, {}};
  started(std::make_unique<server>(bad), {}, false);
  CHECK_FALSE(a.alive(starter));
}

TEST_CASE_METHOD(fixture, "an init that ignores starts nothing") {
  how lazy{{}, false, [](self) { return server_result::ignore(); }, {}};
  CHECK(started(std::make_unique<server>(lazy), {"n", true}) == atom("ignore"));
  CHECK_FALSE(a.whereis("n"));
}

TEST_CASE_METHOD(fixture, "an init that is killed is an error") {
  how bad{{},
          false,
          [](self me) {
            me.exit(me.pid(), atom("kill"));
            return server_result::noreply();
          },
          {}};
  CHECK(started(std::make_unique<server>(bad), {}) == tup("error", "killed"));
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(fixture, "a second server of a name is already started") {
  auto first = start({}, "n");
  CHECK(started(std::make_unique<server>(), {"n", true})
        == tup("error", tup("already_started", first)));
  CHECK(a.whereis("n") == first);
  CHECK(p->all().empty()); // who is refused gets no exit message
}

TEST_CASE_METHOD(fixture, "the exit of the parent calls terminate of a server "
                          "that traps") {
  auto s = started(std::make_unique<server>(how{p->pid(), true, {}, {}}), {});
  auto ref = me().monitor(s.items()[1]);
  a.exit(starter, atom("kill"));
  run();
  CHECK(
    p->all()
    == terms(tup("terminate", "killed"), down(ref, s.items()[1], "killed")));
}

// -- stop and state -----------------------------------------------------------

TEST_CASE_METHOD(fixture, "stop waits for the end, get_state shows the state") {
  auto s = start(told());
  answer(s, tup("add", 4));
  a.spawn([s, to = p->pid()](self me) -> process_body {
    me.send(to, co_await gen_server::get_state(me, s));
    co_await gen_server::stop(me, s, atom("normal"));
    me.send(to, term{me.owner().alive(s)});
    me.send(to, term{static_cast<int>(me.impl().queue_length())});
  });
  run();
  CHECK(p->all() == terms(4, tup("terminate", "normal"), false, 0));
}

TEST_CASE_METHOD(fixture, "stop of nobody exits with noproc") {
  a.spawn([to = p->pid()](self me) -> process_body {
    try {
      co_await gen_server::stop(me, atom("nobody"), atom("normal"));
    } catch (const exit_error& e) {
      me.send(to,
              e.reason.is(term::kind::tuple) ? e.reason.items()[0] : e.reason);
    }
  });
  run();
  CHECK(p->all() == terms("noproc"));
}

TEST_CASE_METHOD(fixture, "stop waits no longer than it is told") {
  a.spawn([deaf = p->pid(), to = p->pid()](self me) -> process_body {
    try {
      co_await gen_server::stop(me, deaf, atom("normal"), 10);
    } catch (const exit_error& e) {
      me.send(to, tup("exit", e.reason));
    }
    me.send(to, me.owner().info(me.pid(), "monitors").value());
    me.send(to, term{static_cast<int>(me.impl().queue_length())});
  });
  advance(9);
  CHECK(p->all().size() == 1); // what asks it to end
  advance(1);
  CHECK(p->all() == terms(tup("exit", "timeout"), list_of(), 0));
}

TEST_CASE_METHOD(fixture, "a caller that is killed leaves the server alone") {
  auto s = start();
  auto caller = call(s, atom("later"));
  run();
  a.exit(caller, atom("kill"));
  run();
  gen_server::cast(me(), s, tup("answer", 1));
  run();
  CHECK(answer(s, tup("add", 1)) == term{1});
}

TEST_CASE_METHOD(fixture, "a server may call another while it serves") {
  auto first = start();
  auto second = start();
  CHECK(answer(first, tup("ask", second, tup("add", 5))) == term{5});
}

TEST_CASE_METHOD(fixture, "a call passes over what waits in the mailbox") {
  auto s = start();
  auto caller = a.spawn([s, to = p->pid()](self me) -> process_body {
    co_await me.receive(match("go"));
    me.send(to, co_await gen_server::call(me, s, tup("add", 1)));
    for (int i = 0; i < 3; ++i)
      me.send(to, co_await me.receive());
  });
  for (auto& x : terms("x", tup(1, 2), "y", "go"))
    a.send(caller, x);
  run();
  CHECK(p->all() == terms(1, "x", tup(1, 2), "y"));
}

// -- other nodes --------------------------------------------------------------

namespace {

struct two : two_nodes {
  two()
    : server_pid(
      far(gen_server::spawn(b(), std::make_unique<server>(), "srv"))) {
    run();
  }
  void call(const term& to, const term& request) {
    a().spawn(
      [probe = p->pid()](self me, term s, term q) -> process_body {
        term out;
        try {
          out = co_await gen_server::call(me, s, q);
        } catch (const exit_error& e) {
          out = tup("exit", e.reason.items()[0]);
        }
        me.send(probe, out);
        co_await me.receive(match("stop"));
      },
      to, request);
    run();
  }
  term server_pid;
};

} // namespace

TEST_CASE_METHOD(two, "a server of another node is called like a local one") {
  call(server_pid, tup("add", 2));
  call(tup("srv", "b@h"), tup("add", 2));
  CHECK(p->all() == terms(2, 4));
  CHECK(b().info(server_pid, "monitored_by") == list_of());
}

TEST_CASE_METHOD(two, "a node that is lost during a call ends the call") {
  call(server_pid, atom("later"));
  call(tup("srv", "b@h"), atom("later"));
  CHECK(p->all().empty());
  part();
  CHECK(p->all()
        == terms(tup("exit", tup("nodedown", "b@h")),
                 tup("exit", tup("nodedown", "b@h"))));
}

TEST_CASE_METHOD(two, "a server of another node that is killed ends the call") {
  call(server_pid, atom("later"));
  b().exit(server_pid, atom("kill"));
  run();
  CHECK(p->all() == terms(tup("exit", "killed")));
}

TEST_CASE_METHOD(two, "a late reply from another node is dropped") {
  call(server_pid, atom("later"));
  advance(5000);
  CHECK(p->all() == terms(tup("exit", "timeout")));
  gen_server::cast(q->me(), server_pid, tup("answer", 1));
  run();
  for (auto& pid : a().all())
    CHECK(a().info(pid, "message_queue_len") == term{0});
}

TEST_CASE_METHOD(two,
                 "a server of another node is looked into and suspended only "
                 "if that node allows it") {
  auto look = [&] {
    a().spawn([s = server_pid, to = p->pid()](self me) -> process_body {
      me.send(to, co_await gen_server::get_state(me, s));
      me.send(to, co_await gen_server::suspend(me, tup("srv", "b@h")));
      me.send(to, co_await gen_server::resume(me, s));
      me.send(to, co_await gen_server::replace_state(me, s, term{7}));
      me.send(s, tup("system", 1, "get_state")); // nobody to answer
    });
    run();
  };
  look();
  auto no = tup("error", tup("not_allowed", "remote_debug"));
  CHECK(p->all() == terms(no, no, no, no));
  b().allow_remote_debug(true);
  look();
  CHECK(p->all() == terms(0, "ok", "ok", tup("error", "no_such_state")));
}
