#include "process_fixture.hpp"

#include "runtime/otp/supervisor.hpp"

using namespace hornbeam::test;

namespace {

using strategy = restart_strategy;
using names = std::vector<std::string>;

struct fixture : one_node {
  /// A child that writes down that it starts and, if it traps exits, that it
  /// stops.
  child_spec child(const std::string& id,
                   restart_type restart = restart_type::permanent) {
    child_spec x;
    x.id = atom(id);
    x.restart = restart;
    x.start = [this, id](self me, term::sequence extra) -> task<term> {
      ++starts[id];
      if (failing[id] > 0) {
        --failing[id];
        log.push_back("!" + id);
        co_return tup("error", "no_luck");
      }
      log.push_back("+" + id);
      auto pid = me.spawn_link(
        [this](self own, std::string name) -> process_body {
          own.trap_exit(traps);
          auto m = co_await own.receive(match("exit", any)
                                        | match("EXIT", any, any));
          if (m.items().size() == 3) {
            log.push_back("-" + name);
            if (stubborn == name)
              co_await own.receive(match("never"));
            own.exit(m.items()[2]);
          }
          own.exit(m.items()[1]);
        },
        id);
      pids[id] = pid;
      last_extra = extra;
      co_return tup("ok", pid);
    };
    return x;
  }
  template <class... Ts>
  std::vector<child_spec> children(Ts... ids) {
    std::vector<child_spec> out;
    (out.push_back(child(ids)), ...);
    return out;
  }
  term start(supervisor_flags flags, std::vector<child_spec> children,
             const std::string& name = {}) {
    sup = spawn_supervisor(a, flags, std::move(children), name);
    run();
    ref = me().monitor(sup);
    return sup;
  }
  /// The supervisor's end, if it has ended.
  std::optional<term> ended() {
    auto got = p->next(match("DOWN", ref, any, any, any));
    return got ? std::optional{got->items()[4]} : std::nullopt;
  }
  template <class T>
  void crash(const std::string& id, T reason) {
    end(pids.at(id), std::move(reason));
  }
  /// Runs an operation of the supervisor in a process of its own.
  template <class F>
  term ask(F f) {
    std::optional<term> out;
    a.spawn([&](self me) -> process_body { out = co_await f(me); });
    run();
    return out.value_or(atom("no answer"));
  }
  names taken() { return std::exchange(log, {}); }
  bool up(const std::string& id) { return a.alive(pids.at(id)); }

  std::map<std::string, term> pids;
  std::map<std::string, int> starts;
  std::map<std::string, int> failing; ///< how often it will fail to start
  std::string stubborn;               ///< who does not end when told
  bool traps = true;
  names log;
  term::sequence last_extra;
  term sup;
  term ref;

  ~fixture() {
    p.reset();
    stop(); // the children refer to the members above
  }
};

constexpr auto permanent = restart_type::permanent;
constexpr auto transient = restart_type::transient;
constexpr auto temporary = restart_type::temporary;

} // namespace

TEST_CASE_METHOD(fixture, "children start from left to right and stop in "
                          "reverse") {
  start({}, {child("a"), child("b"), child("c")});
  CHECK(taken() == names{"+a", "+b", "+c"});
  auto caller = a.spawn([s = sup](self me) -> process_body {
    co_await gen_server::stop(me, s, atom("shutdown"));
  });
  run();
  CHECK(taken() == names{"-c", "-b", "-a"});
  CHECK(ended() == atom("shutdown"));
  CHECK_FALSE(a.alive(caller));
}

TEST_CASE_METHOD(fixture, "one_for_one restarts only the child that ended") {
  start({strategy::one_for_one, 3, 5'000},
        {child("a"), child("b"), child("c")});
  auto a_before = pids["a"];
  auto b_before = pids["b"];
  taken();
  crash("b", "boom");
  CHECK(taken() == names{"+b"});
  CHECK(pids["a"] == a_before);
  CHECK(pids["b"] != b_before);
  CHECK(up("b"));
}

TEST_CASE_METHOD(fixture, "one_for_all stops the others in reverse and starts "
                          "all in order") {
  start({strategy::one_for_all, 3, 5'000},
        {child("a"), child("b"), child("c")});
  taken();
  crash("b", "boom");
  CHECK(taken() == names{"-c", "-a", "+a", "+b", "+c"});
  CHECK(up("a"));
  CHECK(up("c"));
}

TEST_CASE_METHOD(fixture, "rest_for_one restarts the later siblings") {
  start({strategy::rest_for_one, 3, 5'000},
        {child("a"), child("b"), child("c"), child("d")});
  taken();
  crash("b", "boom");
  CHECK(taken() == names{"-d", "-c", "+b", "+c", "+d"});
  crash("d", "boom");
  CHECK(taken() == names{"+d"});
}

TEST_CASE_METHOD(fixture, "one_for_all and rest_for_one forget temporary "
                          "siblings that they stop") {
  start({strategy::one_for_all, 3, 5'000}, {child("a"), child("t", temporary)});
  taken();
  crash("a", "boom");
  CHECK(taken() == names{"-t", "+a"});
  CHECK(ask([&](self me) { return which_children(me, sup); }).items().size()
        == 1);
}

TEST_CASE_METHOD(fixture, "a permanent child is always restarted") {
  start({strategy::one_for_one, 10, 5'000}, {child("a", permanent)});
  for (auto& reason : terms("normal", "shutdown", tup("shutdown", 1), "boom"))
    crash("a", reason);
  a.exit(pids["a"], atom("kill"));
  run();
  CHECK(starts["a"] == 6);
  CHECK(up("a"));
}

TEST_CASE_METHOD(fixture, "a transient child is restarted unless it ended "
                          "well") {
  auto start_one = [&] {
    start({strategy::one_for_one, 10, 5'000}, {child("a", transient)});
    starts.clear();
  };
  for (auto& reason : terms("normal", "shutdown", tup("shutdown", 1))) {
    start_one();
    crash("a", reason);
    CHECK(starts["a"] == 0);
    // It is kept, and can be started by hand.
    CHECK(match("ok", any_pid)(
      ask([&](self me) { return restart_child(me, sup, atom("a")); })));
  }
  for (auto& reason : terms("boom", tup("shutdown", 1, 2), "killed")) {
    start_one();
    crash("a", reason);
    CHECK(starts["a"] == 1);
  }
}

TEST_CASE_METHOD(fixture, "a temporary child is never restarted and is "
                          "forgotten") {
  start({}, {child("a", temporary)});
  crash("a", "boom");
  CHECK(starts["a"] == 1);
  CHECK(ask([&](self me) { return which_children(me, sup); }) == list_of());
  CHECK(a.alive(sup));
}

// -- intensity ----------------------------------------------------------------

TEST_CASE_METHOD(fixture, "by default one restart in five seconds is allowed") {
  start({}, {child("a"), child("b")});
  crash("a", "boom");
  CHECK(a.alive(sup));
  taken();
  crash("a", "boom");
  CHECK(ended() == atom("shutdown"));
  CHECK(taken() == names{"-b"});
}

TEST_CASE_METHOD(fixture, "as many restarts as the intensity are allowed") {
  start({strategy::one_for_one, 5, 10'000}, {child("a")});
  for (int i = 0; i < 5; ++i)
    crash("a", "boom");
  CHECK(a.alive(sup));
  CHECK(up("a"));
  crash("a", "boom");
  CHECK(ended() == atom("shutdown"));
}

TEST_CASE_METHOD(fixture, "restarts of a time that is over don't count") {
  start({strategy::one_for_one, 1, 5'000}, {child("a")});
  for (int i = 0; i < 5; ++i) {
    crash("a", "boom");
    CHECK(a.alive(sup));
    advance(5001);
  }
  CHECK(starts["a"] == 6);
  crash("a", "boom");
  advance(4000);
  crash("a", "boom");
  CHECK(ended() == atom("shutdown"));
}

TEST_CASE_METHOD(fixture, "an intensity of zero allows no restart") {
  start({strategy::one_for_one, 0, 5'000}, {child("a")});
  crash("a", "boom");
  CHECK(ended() == atom("shutdown"));
}

TEST_CASE_METHOD(fixture, "one_for_all counts one restart for all") {
  start({strategy::one_for_all, 1, 5'000},
        {child("a"), child("b"), child("c")});
  crash("a", "boom");
  CHECK(a.alive(sup));
  crash("b", "boom");
  CHECK(ended() == atom("shutdown"));
}

TEST_CASE_METHOD(fixture, "too many restarts escalate to the parent "
                          "supervisor") {
  child_spec inner;
  inner.id = atom("inner");
  inner.is_supervisor = true;
  inner.start = [this](self me, term::sequence) -> task<term> {
    ++starts["inner"];
    co_return co_await start_supervisor(me, {}, children("a"));
  };
  start({}, {inner});
  CHECK(starts["a"] == 1);
  crash("a", "boom");
  crash("a", "boom"); // the inner one gives up and is started again
  CHECK(starts["inner"] == 2);
  CHECK(starts["a"] == 3);
  CHECK(a.alive(sup));
  crash("a", "boom");
  crash("a", "boom");
  CHECK(ended() == atom("shutdown"));
  CHECK(a.count().first == 1);
}

TEST_CASE_METHOD(fixture, "a restart that fails is tried again, and counts") {
  start({strategy::one_for_one, 3, 5'000}, {child("a"), child("b")});
  failing["a"] = 2;
  taken();
  crash("a", "boom");
  CHECK(taken() == names{"!a", "!a", "+a"});
  CHECK(up("a"));
  failing["a"] = 1;
  crash("a", "boom");
  CHECK(ended() == atom("shutdown"));
}

TEST_CASE_METHOD(fixture, "restarts that fail for ever end the supervisor") {
  start({strategy::one_for_one, 3, 5'000}, {child("a"), child("b")});
  failing["a"] = 100;
  taken();
  crash("a", "boom");
  CHECK(taken() == names{"!a", "!a", "!a", "-b"});
  CHECK(ended() == atom("shutdown"));
}

TEST_CASE_METHOD(fixture, "a failed restart of one_for_all starts all anew in "
                          "the end") {
  start({strategy::one_for_all, 5, 5'000},
        {child("a"), child("b"), child("c")});
  failing["b"] = 1;
  crash("a", "boom");
  CHECK(a.alive(sup));
  for (auto* id : {"a", "b", "c"})
    CHECK(up(id));
  CHECK(a.count().first == 5);
}

// -- starting -----------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a child that can't start stops those before it") {
  failing["b"] = 1;
  start({}, {child("a"), child("b"), child("c")});
  CHECK(taken() == names{"+a", "!b"});
  CHECK_FALSE(up("a"));
  CHECK(ended() == atom("noproc"));
  failing["b"] = 1;
  auto got = ask([&](self me) -> task<term> {
    me.trap_exit(true);
    co_return co_await start_supervisor(me, {}, children("a", "b"));
  });
  CHECK(got
        == tup("error",
               tup("shutdown", tup("failed_to_start_child", "b", "no_luck"))));
}

TEST_CASE_METHOD(fixture, "a start function may fail in any way") {
  auto failed = [&](std::function<task<term>(self, term::sequence)> f) {
    child_spec x;
    x.id = atom("x");
    x.start = std::move(f);
    auto got = ask([&](self me) -> task<term> {
      me.trap_exit(true);
      co_return co_await start_supervisor(me, {},
                                          std::vector<child_spec>(1, x));
    });
    CHECK(match("error", any)(got));
    return to_string(got);
  };
  CHECK_THAT(failed([](self, term::sequence) -> task<term> {
               throw std::runtime_error("the port is taken");
               co_return term{};
             }),
             Catch::Contains("the port is taken"));
  CHECK_THAT(failed([](self me, term::sequence) -> task<term> {
               me.exit(atom("exited"));
               co_return term{};
             }),
             Catch::Contains("exited"));
  CHECK_THAT(failed([](self, term::sequence) -> task<term> {
               co_return atom("nonsense");
             }),
             Catch::Contains("nonsense"));
  CHECK_THAT(failed([](self, term::sequence) -> task<term> {
               throw erlang_throw{atom("thrown")};
               co_return term{};
             }),
             Catch::Contains("thrown"));
  CHECK_THAT(failed({}), Catch::Contains("x") || Catch::Contains("start"));
}

TEST_CASE_METHOD(fixture, "a child whose start is ignored has no process") {
  child_spec x;
  x.id = atom("x");
  x.start = [](self, term::sequence) -> task<term> {
    co_return atom("ignore");
  };
  start({}, {child("a"), x});
  CHECK(ask([&](self me) { return which_children(me, sup); })
        == list_of(tup("x", "undefined", "worker", list_of()),
                   tup("a", pids["a"], "worker", list_of())));
}

TEST_CASE_METHOD(fixture, "what can't be a supervisor is refused") {
  auto refused = [&](supervisor_flags flags, std::vector<child_spec> children) {
    auto got = ask([&](self me) -> task<term> {
      me.trap_exit(true);
      co_return co_await start_supervisor(me, flags, children);
    });
    CHECK(match("error", any)(got));
    return to_string(got);
  };
  CHECK_THAT(refused({strategy::one_for_one, -1, 5'000}, {}),
             Catch::Contains("intensity"));
  CHECK_THAT(refused({strategy::one_for_one, 1, 0}, {}),
             Catch::Contains("period"));
  CHECK_THAT(refused({}, {child("a"), child("a")}),
             Catch::Contains("duplicate"));
  auto x = child("s", transient);
  x.significant = true;
  CHECK_THAT(refused({}, {x}), Catch::Contains("significant"));
  refused({strategy::simple_one_for_one}, {});
  CHECK(starts.empty());
}

TEST_CASE_METHOD(fixture, "a second supervisor of a name is already started") {
  start({}, {child("a")}, "root");
  server_options root{"root", true};
  auto got = ask([&](self me) -> task<term> {
    me.trap_exit(true);
    co_return co_await start_supervisor(me, {}, children("b"), root);
  });
  CHECK(got == tup("error", tup("already_started", sup)));
  CHECK(starts["b"] == 0);
}

// -- stopping -----------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a worker that ignores shutdown is killed after 5000 "
                          "milliseconds") {
  stubborn = "a";
  start({}, {child("a")});
  me().exit(pids["a"], atom("boom"));
  a.spawn([s = sup](self me) -> process_body {
    co_await gen_server::stop(me, s, atom("shutdown"));
  });
  advance(4999);
  CHECK(up("a"));
  advance(1);
  CHECK_FALSE(up("a"));
  CHECK(ended() == atom("shutdown"));
}

TEST_CASE_METHOD(fixture, "a child may have another time, or none, or be "
                          "killed at once") {
  auto quick = child("quick");
  quick.shutdown = 10;
  auto brutal = child("brutal");
  brutal.shutdown = child_spec::brutal_kill;
  auto patient = child("patient");
  patient.shutdown = child_spec::infinity;
  start({}, {quick, brutal, patient});
  taken();
  auto stop_one = [&](const char* id) {
    stubborn = id;
    a.spawn([this, id](self me) -> process_body {
      co_await terminate_child(me, sup, atom(id));
    });
    run();
  };
  stop_one("brutal");
  CHECK(taken().empty()); // it was not asked
  CHECK_FALSE(up("brutal"));
  stop_one("quick");
  advance(9);
  CHECK(up("quick"));
  advance(1);
  CHECK_FALSE(up("quick"));
  stop_one("patient");
  advance(10000);
  CHECK(up("patient"));
  a.send(pids["patient"], atom("never"));
  run();
  CHECK_FALSE(up("patient"));
}

TEST_CASE_METHOD(fixture, "children of a killed supervisor end with it") {
  traps = false;
  start({}, {child("a"), child("b")});
  auto r = me().monitor(pids["a"]);
  a.exit(sup, atom("kill"));
  run();
  CHECK(p->next(match("DOWN", r, any, any, "killed")));
  CHECK_FALSE(up("b"));
}

TEST_CASE_METHOD(fixture, "an exit of somebody else does not touch a "
                          "supervisor") {
  start({}, {child("a")});
  me().exit(sup, atom("boom"));
  a.send(sup, atom("what is this"));
  run();
  CHECK(a.alive(sup));
  CHECK(starts["a"] == 1);
}

TEST_CASE_METHOD(fixture, "a supervisor ends with its parent, and stops its "
                          "children") {
  auto parent = a.spawn([this](self me) -> process_body {
    auto got = co_await start_supervisor(me, {}, children("a"));
    sup = got.items()[1];
    co_await me.receive();
  });
  run();
  taken();
  a.exit(parent, atom("boom"));
  run();
  CHECK_FALSE(a.alive(sup));
  CHECK(taken() == names{"-a"});
}

// -- auto_shutdown ------------------------------------------------------------

TEST_CASE_METHOD(fixture, "any significant child that ends well ends the "
                          "supervisor") {
  auto s1 = child("s1", transient);
  s1.significant = true;
  auto other = child("other", transient);
  start({strategy::one_for_one, 5, 5'000, auto_shutdown::any_significant},
        {child("a"), s1, other});
  crash("other", "normal");
  CHECK(a.alive(sup));
  crash("s1", "boom"); // is restarted
  CHECK(a.alive(sup));
  taken();
  crash("s1", "normal");
  CHECK(ended() == atom("shutdown"));
  CHECK(taken() == names{"-a"});
}

TEST_CASE_METHOD(fixture, "all significant children must end for "
                          "all_significant") {
  auto s1 = child("s1", transient);
  auto s2 = child("s2", temporary);
  s1.significant = s2.significant = true;
  start({strategy::one_for_one, 5, 5'000, auto_shutdown::all_significant},
        {s1, s2, child("a")});
  crash("s1", "normal");
  CHECK(a.alive(sup));
  crash("s2", "boom");
  CHECK(ended() == atom("shutdown"));
}

TEST_CASE_METHOD(fixture, "terminate_child of a significant child is no end of "
                          "its own") {
  auto s1 = child("s1", transient);
  s1.significant = true;
  start({strategy::one_for_one, 5, 5'000, auto_shutdown::any_significant},
        {s1});
  CHECK(ask([&](self me) { return terminate_child(me, sup, atom("s1")); })
        == atom("ok"));
  CHECK(a.alive(sup));
}

// -- operations ---------------------------------------------------------------

TEST_CASE_METHOD(fixture, "children can be added, stopped, restarted and "
                          "deleted") {
  start({}, {child("a")});
  auto add = [&](const char* id) {
    return ask([&](self me) { return start_child(me, sup, child(id)); });
  };
  auto op = [&](auto f, const char* id) {
    return ask([&](self me) { return f(me, sup, atom(id)); });
  };
  auto added = add("b");
  CHECK(added == tup("ok", pids["b"]));
  CHECK(add("b") == tup("error", tup("already_started", pids["b"])));
  CHECK(op(delete_child, "b") == tup("error", "running"));
  CHECK(op(restart_child, "b") == tup("error", "running"));
  CHECK(op(terminate_child, "b") == atom("ok"));
  CHECK_FALSE(up("b"));
  CHECK(op(terminate_child, "b") == atom("ok"));
  CHECK(add("b") == tup("error", "already_present"));
  CHECK(match("ok", any_pid)(op(restart_child, "b")));
  CHECK(up("b"));
  op(terminate_child, "b");
  CHECK(op(delete_child, "b") == atom("ok"));
  for (auto* f : {&terminate_child, &restart_child, &delete_child})
    CHECK(op(f, "b") == tup("error", "not_found"));
  CHECK(a.alive(sup));
}

TEST_CASE_METHOD(fixture, "a child that fails to start is not kept") {
  start({}, {});
  failing["b"] = 1;
  CHECK(match("error", match("no_luck", any))(
    ask([&](self me) { return start_child(me, sup, child("b")); })));
  CHECK(match("ok", any_pid)(
    ask([&](self me) { return start_child(me, sup, child("b")); })));
}

TEST_CASE_METHOD(fixture, "which_children shows the last first, count_children "
                          "counts by kind") {
  auto s = child("s");
  s.is_supervisor = true;
  start({}, {child("a"), s, child("t", transient)});
  crash("t", "normal");
  CHECK(ask([&](self me) { return which_children(me, sup); })
        == list_of(tup("t", "undefined", "worker", list_of()),
                   tup("s", pids["s"], "supervisor", list_of()),
                   tup("a", pids["a"], "worker", list_of())));
  CHECK(ask([&](self me) { return count_children(me, sup); })
        == list_of(tup("specs", 3), tup("active", 2), tup("supervisors", 1),
                   tup("workers", 2)));
}

TEST_CASE_METHOD(fixture, "a child may be added from outside any process") {
  start({}, {});
  start_child(a, sup, child("b"));
  run();
  CHECK(up("b"));
}

// -- simple_one_for_one -------------------------------------------------------

TEST_CASE_METHOD(fixture, "simple_one_for_one starts children on demand with "
                          "their arguments") {
  start({strategy::simple_one_for_one, 5, 5'000}, {child("w")});
  CHECK(starts["w"] == 0);
  auto begin = [&](int i) {
    auto got = ask(
      [&](self me) { return start_child(me, sup, term::sequence{term{i}}); });
    CHECK(match("ok", any_pid)(got));
    return got.items()[1];
  };
  auto one = begin(1);
  auto two = begin(2);
  CHECK(last_extra == terms(2));
  end(one, "boom");
  CHECK(last_extra == terms(1)); // again with its own
  CHECK(starts["w"] == 3);
  CHECK(a.alive(two));
  CHECK(ask([&](self me) { return which_children(me, sup); }).items().size()
        == 2);
  CHECK(ask([&](self me) { return terminate_child(me, sup, two); })
        == atom("ok"));
  CHECK_FALSE(a.alive(two));
  CHECK(ask([&](self me) { return terminate_child(me, sup, atom("w")); })
        == tup("error", "simple_one_for_one"));
}

TEST_CASE_METHOD(fixture, "simple_one_for_one stops all at once") {
  start({strategy::simple_one_for_one, 5, 5'000}, {child("w")});
  for (int i = 0; i < 10; ++i)
    ask([&](self me) { return start_child(me, sup, term::sequence{}); });
  stubborn = "w"; // none of them ends by itself
  a.spawn([s = sup](self me) -> process_body {
    co_await gen_server::stop(me, s, atom("shutdown"));
  });
  advance(4999);
  CHECK(a.alive(sup));
  advance(1); // not ten times as long
  CHECK(ended() == atom("shutdown"));
  CHECK(a.count().first == 1);
}

TEST_CASE_METHOD(fixture, "a simple_one_for_one child whose restart fails is "
                          "tried again") {
  start({strategy::simple_one_for_one, 5, 5'000}, {child("w")});
  ask([&](self me) { return start_child(me, sup, term::sequence{}); });
  failing["w"] = 2;
  crash("w", "boom");
  CHECK(starts["w"] == 4);
  CHECK(up("w"));
  CHECK(a.alive(sup));
}

TEST_CASE_METHOD(fixture,
                 "what makes no sense is refused, and ends no supervisor") {
  bool simple = GENERATE(false, true);
  start(
    {simple ? strategy::simple_one_for_one : strategy::one_for_one, 5, 5'000},
    {child("w")});
  auto stray = hand_over(a, child("x"));
  auto elsewhere
    = term::tuple({term{reference{origin::of("b@h", 1), 5}}, stray.items()[1]});
  for (auto& request :
       {atom("which_children"), term{1}, term::tuple({}), tup(5),
        tup("start_child"), tup("start_child", 1),
        tup("start_child", atom("x")), tup("start_child", elsewhere),
        tup("start_child", tup(a.make_ref(), 99)), tup("terminate_child"),
        tup("delete_child"), tup("try_again")}) {
    auto answer
      = ask([&](self me) { return gen_server::call(me, sup, request); });
    CHECK(answer.items()[0] == atom("error"));
    gen_server::cast(me(), sup, request);
    run();
    CHECK(a.alive(sup));
  }
}
