#include "process_fixture.hpp"

using namespace hornbeam::test;
using namespace std::chrono_literals;

namespace {

/// Says so when it goes.
struct witness {
  explicit witness(bool& x) : flag(x) {}
  ~witness() { flag = true; }
  bool& flag;
};

/// The reason with which `f`, the code of a process, ends.
template <class F>
term reason_of(one_node& x, F f) {
  auto [pid, ref] = x.me().spawn_monitor(std::move(f));
  x.run();
  auto got = x.p->next(match("DOWN", ref, any, any, any));
  REQUIRE(got);
  return got->items()[4];
}

} // namespace

// -- messages -----------------------------------------------------------------

TEST_CASE_METHOD(one_node, "messages of one sender arrive in their order") {
  auto to = p->pid();
  a.spawn([to](self me) -> process_body {
    for (int i = 0; i < 1000; ++i)
      me.send(to, term{i});
    co_return;
  });
  run();
  auto got = p->all();
  REQUIRE(got.size() == 1000);
  for (int i = 0; i < 1000; ++i)
    CHECK(got[static_cast<std::size_t>(i)] == term{i});
}

TEST_CASE_METHOD(one_node, "receive takes the first message that matches, the "
                           "others keep their order") {
  for (auto& x : terms(1, "a", 2, "b", 3, "a"))
    me().send(p->pid(), x);
  CHECK(p->next(any_atom) == atom("a"));
  CHECK(p->next(match("b") | match(3)) == atom("b"));
  CHECK(p->next(match(3)) == term{3});
  CHECK(p->all() == terms(1, 2, "a"));
}

TEST_CASE_METHOD(one_node, "a receive that waits passes over what does not "
                           "match") {
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    auto first = co_await me.receive(match("go", any));
    me.send(to, first);
    for (int i = 0; i < 3; ++i)
      me.send(to, co_await me.receive());
  });
  run();
  for (auto& m : terms(1, 2, tup("go", 7), 3)) {
    a.send(x, m);
    run();
  }
  CHECK(p->all() == terms(tup("go", 7), 1, 2, 3));
}

TEST_CASE_METHOD(one_node, "a timeout of zero still looks through the queue") {
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    co_await me.receive(match("start"));
    me.send(to, (co_await me.receive(match("late"), after{0})).value());
    auto none = co_await me.receive(match("absent"), after{0});
    me.send(to, none ? atom("found") : atom("none"));
  });
  for (auto& m : terms("other", "late", "start"))
    a.send(x, m);
  run();
  CHECK(p->all() == terms("late", "none"));
}

TEST_CASE_METHOD(one_node, "a receive ends with its timeout, not before") {
  auto to = p->pid();
  a.spawn([to](self me) -> process_body {
    auto x = co_await me.receive(after{10ms});
    me.send(to, x ? *x : atom("timeout"));
  });
  advance(9);
  CHECK_FALSE(p->next());
  advance(1);
  CHECK(p->next() == atom("timeout"));
}

TEST_CASE_METHOD(one_node, "a message that does not match does not lengthen "
                           "the timeout") {
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    auto m = co_await me.receive(match("yes"), after{10});
    me.send(to, m ? *m : atom("timeout"));
  });
  advance(8);
  a.send(x, atom("no"));
  advance(2);
  CHECK(p->next() == atom("timeout"));
}

TEST_CASE_METHOD(one_node, "timeouts of one process follow each other") {
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    for (auto ms : {100, 5, 50, 1}) {
      auto m = co_await me.receive(after{ms});
      me.send(to, m ? *m : term{ms});
    }
  });
  advance(50);
  a.send(x, atom("early"));
  advance(4);
  CHECK(p->all() == terms("early"));
  advance(1);
  CHECK(p->all() == terms(5));
  advance(49);
  CHECK(p->all().empty());
  advance(1);
  CHECK(p->all() == terms(50));
  advance(1);
  CHECK(p->all() == terms(1));
}

TEST_CASE_METHOD(one_node, "a negative timeout is an error that shows it") {
  CHECK_THROWS_WITH(me().receive(after{-3}), Catch::Contains("-3"));
  auto why = reason_of(
    *this, [](self me) -> process_body { co_await me.receive(after{-1}); });
  CHECK(why.items()[0] == atom("timeout_value"));
}

TEST_CASE_METHOD(one_node, "what a pattern raises reaches the code that "
                           "receives") {
  auto why = reason_of(*this, [](self me) -> process_body {
    me.send(me.pid(), term{1});
    co_await me.receive(
      [](const term&) -> bool { throw erlang_error(atom("bad_pattern")); });
  });
  CHECK(why.items()[0] == atom("bad_pattern"));
}

TEST_CASE_METHOD(one_node, "a receive from a place does not look before it") {
  me().send(p->pid(), atom("x"));
  auto place = me().place();
  me().send(p->pid(), atom("y"));
  auto look = [](self me, signal** from) -> task<std::optional<term>> {
    co_return co_await me.receive_from(from, any, after{0});
  };
  CHECK(p->run(look(me(), place)) == atom("y"));
  CHECK(p->all() == terms("x"));
}

TEST_CASE_METHOD(one_node, "sending to a dead process is silent") {
  auto x = idle();
  a.exit(x, atom("kill"));
  run();
  CHECK_NOTHROW(me().send(x, term{1}));
  CHECK_NOTHROW(me().send(far(x), term{1}));
}

TEST_CASE_METHOD(one_node, "what can't be sent to is an error that shows it") {
  CHECK_THROWS_WITH(me().send(atom("nobody"), term{1}),
                    Catch::Contains("nobody"));
  CHECK_THROWS_WITH(me().send(term{77}, term{1}), Catch::Contains("77"));
  CHECK_THROWS_WITH(me().send(tup("x", 78), term{1}), Catch::Contains("78"));
}

TEST_CASE_METHOD(one_node,
                 "sending to a reference that is no alias is silent") {
  auto ref = a.make_ref();
  auto monitor = me().monitor(idle());
  auto alias = me().alias();
  me().unalias(alias);
  for (auto& x : {ref, monitor, alias, far(ref)})
    CHECK_NOTHROW(me().send(x, term{1}));
  run();
  CHECK(p->all().empty());
}

// -- ends ---------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "code that returns ends its process with normal") {
  CHECK(reason_of(*this, [](self) -> process_body { co_return; })
        == atom("normal"));
}

TEST_CASE_METHOD(one_node, "exit ends a process with its reason") {
  CHECK(reason_of(*this,
                  [](self me) -> process_body {
                    me.exit(tup("because", 1));
                    co_return;
                  })
        == tup("because", 1));
}

TEST_CASE_METHOD(one_node, "an uncaught error exits with reason and stack") {
  auto why = reason_of(*this, [](self) -> process_body {
    throw erlang_error(atom("boom"));
    co_return;
  });
  REQUIRE(why.is(term::kind::tuple));
  CHECK(why.items().size() == 2);
  CHECK(why.items()[0] == atom("boom"));
  CHECK(why.items()[1].is(term::kind::list));
}

TEST_CASE_METHOD(one_node, "an uncaught throw exits with nocatch") {
  auto why = reason_of(*this, [](self) -> process_body {
    throw erlang_throw{tup("v", 1)};
    co_return;
  });
  CHECK(why.items()[0] == tup("nocatch", tup("v", 1)));
}

TEST_CASE_METHOD(one_node, "an uncaught exception exits with its class and "
                           "its text") {
  auto why = reason_of(*this, [](self me) -> process_body {
    co_await me.yield();
    throw std::out_of_range("index 7 of 3");
  });
  REQUIRE(match(any_tuple, any)(why));
  auto what = why.items()[0].items();
  CHECK(what[0].text() == "std::out_of_range");
  CHECK(what[1].text() == "index 7 of 3");
}

TEST_CASE_METHOD(one_node, "whatever is thrown ends only its process") {
  auto why = reason_of(*this, [](self) -> process_body {
    throw 5;
    co_return;
  });
  CHECK(why.is(term::kind::tuple));
  CHECK(p->alive());
}

TEST_CASE_METHOD(one_node, "an error of the runtime names the culprit in the "
                           "exit reason") {
  auto why = reason_of(*this, [](self me) -> process_body {
    me.send(atom("mister_x"), term{1});
    co_return;
  });
  CHECK(why.items()[0] == atom("badarg"));
  CHECK_THAT(to_string(why), Catch::Contains("mister_x"));
}

TEST_CASE_METHOD(one_node, "an error that is caught does not end the process") {
  auto to = p->pid();
  a.spawn([to](self me) -> process_body {
    try {
      me.send(atom("nobody"), term{1});
    } catch (const erlang_error& e) {
      me.send(to, e.reason);
    }
    co_return;
  });
  run();
  CHECK(p->all() == terms("badarg"));
}

TEST_CASE_METHOD(one_node, "an exception in a task reaches its caller") {
  auto to = p->pid();
  a.spawn([to](self me) -> process_body {
    auto deep = [](self x) -> task<int> {
      co_await x.receive(match("go"));
      throw std::runtime_error("deep");
      co_return 1;
    };
    me.send(me.pid(), atom("go"));
    try {
      co_await deep(me);
    } catch (const std::runtime_error& e) {
      me.send(to, atom(e.what()));
    }
  });
  run();
  CHECK(p->all() == terms("deep"));
}

TEST_CASE_METHOD(one_node, "a process that waits is unwound when it is "
                           "killed") {
  bool gone = false;
  auto x = a.spawn([&](self me) -> process_body {
    witness w{gone};
    co_await me.receive();
  });
  run();
  CHECK_FALSE(gone);
  a.exit(x, atom("kill"));
  CHECK_FALSE(a.alive(x)); // at once for everybody
  run();
  CHECK(gone);
  CHECK(a.count().second == 0);
}

TEST_CASE_METHOD(one_node, "a killed process is unwound at its next call") {
  bool gone = false;
  bool went_on = false;
  bool after_call = false;
  a.spawn([&](self me) -> process_body {
    witness w{gone};
    me.owner().exit(me.pid(), atom("kill"));
    went_on = true;
    me.send(me.pid(), term{1});
    after_call = true;
    co_return;
  });
  run();
  CHECK(went_on);
  CHECK_FALSE(after_call);
  CHECK(gone);
}

TEST_CASE_METHOD(one_node, "a kill can't be caught for good") {
  int caught = 0;
  bool survived = false;
  a.spawn([&](self me) -> process_body {
    me.owner().exit(me.pid(), atom("kill"));
    for (int i = 0; i < 3; ++i) {
      try {
        me.send(me.pid(), term{1});
        survived = true;
      } catch (...) {
        ++caught;
      }
    }
    co_await me.receive(after{0});
    survived = true;
  });
  run();
  CHECK(caught == 3);
  CHECK_FALSE(survived);
  CHECK(a.count() == std::pair<std::size_t, std::size_t>{1, 0});
}

TEST_CASE_METHOD(one_node, "what destructors of a killed process do has no "
                           "effect") {
  struct speaker {
    self me;
    term to;
    ~speaker() {
      me.send(to, atom("last words"));
      me.trap_exit(true);
      me.link(to);
      me.monitor(to);
    }
  };
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    speaker s{me, to};
    co_await me.receive();
  });
  run();
  a.exit(x, atom("kill"));
  run();
  CHECK(p->all().empty());
  CHECK(a.info(to, "links") == list_of());
  CHECK(a.info(to, "monitored_by") == list_of());
}

TEST_CASE_METHOD(one_node, "what a dead process sends has no effect") {
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    me.owner().exit(me.pid(), atom("kill"));
    try {
      me.send(to, atom("dead man talking"));
    } catch (const process_killed&) {
    }
    try {
      me.spawn([to](self other) -> process_body {
        other.send(to, atom("child"));
        co_return;
      });
    } catch (const process_killed&) {
    }
    co_return;
  });
  run();
  CHECK_FALSE(a.alive(x));
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(one_node, "the first reason is the reason") {
  auto x = mortal();
  auto ref = me().monitor(x);
  run();
  a.exit(x, atom("first"));
  a.exit(x, atom("second"));
  run();
  CHECK(p->all() == terms(down(ref, x, "first")));
}

TEST_CASE_METHOD(one_node, "what a body holds is free before anybody hears of "
                           "its end") {
  bool gone = false;
  bool gone_at_down = false;
  auto x = a.spawn([&](self me) -> process_body {
    witness w{gone};
    co_await me.yield();
  });
  a.on_exit(x, [&](const term&) { gone_at_down = gone; });
  run();
  CHECK(gone_at_down);
}

// -- exit signals -------------------------------------------------------------

TEST_CASE_METHOD(one_node, "exit with a reason ends a process with it") {
  auto x = idle();
  auto ref = me().monitor(x);
  me().exit(x, tup("because", 1));
  CHECK(p->all() == terms(down(ref, x, tup("because", 1))));
}

TEST_CASE_METHOD(one_node, "exit normal is dropped by a process that does not "
                           "trap exits") {
  auto x = idle();
  me().exit(x, atom("normal"));
  run();
  CHECK(a.alive(x));
}

TEST_CASE_METHOD(one_node, "exit normal to oneself ends the process") {
  bool went_on = false;
  auto why = reason_of(*this, [&](self me) -> process_body {
    me.exit(me.pid(), atom("normal"));
    went_on = true;
    co_return;
  });
  CHECK(why == atom("normal"));
  CHECK_FALSE(went_on);
}

TEST_CASE_METHOD(one_node, "a process that traps exits gets them as messages") {
  me().trap_exit(true);
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    for (auto& reason : terms("normal", "boom", tup(1, 2)))
      me.exit(to, reason);
    co_return;
  });
  run();
  CHECK(p->all()
        == terms(exited(x, "normal"), exited(x, "boom"), exited(x, tup(1, 2))));
  me().exit(to, atom("myself"));
  CHECK(p->all() == terms(exited(to, "myself")));
}

TEST_CASE_METHOD(one_node, "exit kill can't be trapped and shows as killed") {
  auto x = mortal(true);
  auto ref = me().monitor(x);
  run();
  me().exit(x, atom("kill"));
  CHECK(p->all() == terms(down(ref, x, "killed")));
}

TEST_CASE_METHOD(one_node, "messages and exit signals of one sender keep their "
                           "order") {
  me().trap_exit(true);
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    me.send(to, term{1});
    me.exit(to, atom("e"));
    me.send(to, term{2});
    me.link(to);
    me.send(to, term{3});
    me.exit(atom("end"));
    co_return;
  });
  auto ref = me().monitor(x);
  run();
  auto got = p->all();
  REQUIRE(got.size() == 6);
  CHECK(std::vector(got.begin(), got.begin() + 4)
        == terms(1, exited(x, "e"), 2, 3));
  // The exit message and the down message have no order between them.
  auto is = [&](const term& y) {
    return std::count(got.begin() + 4, got.end(), y);
  };
  CHECK(is(exited(x, "end")) == 1);
  CHECK(is(down(ref, x, "end")) == 1);
}

TEST_CASE_METHOD(one_node, "a message that was sent before an exit signal is "
                           "in the mailbox") {
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    me.trap_exit(true);
    me.send(to, co_await me.receive());
    me.send(to, co_await me.receive());
  });
  run();
  me().send(x, term{1});
  me().exit(x, atom("stop"));
  run();
  CHECK(p->all() == terms(1, exited(to, "stop")));
}

TEST_CASE_METHOD(one_node, "an exit signal to what is no pid is an error that "
                           "shows it") {
  CHECK_THROWS_WITH(me().exit(term{12}, atom("x")), Catch::Contains("12"));
}

TEST_CASE_METHOD(one_node, "an exit signal to a dead process is silent") {
  auto x = idle();
  a.exit(x, atom("kill"));
  CHECK_NOTHROW(me().exit(x, atom("again")));
}

TEST_CASE_METHOD(one_node, "trapping returns the old value and can be ended") {
  CHECK_FALSE(me().trap_exit(true));
  CHECK(me().trap_exit(false));
  CHECK_FALSE(me().trap_exit(false));
}

// -- pids ---------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "pids print as node, incarnation and serial") {
  auto& x = p->pid().as_pid();
  CHECK(to_string(x) == "<a@h.1." + std::to_string(x.serial) + ">");
}

TEST_CASE_METHOD(one_node, "pids and references are never used again") {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    auto x = a.spawn([](self) -> process_body { co_return; });
    run();
    CHECK(seen.insert(x.as_pid().serial).second);
    CHECK(seen.insert(a.make_ref().as_reference().serial).second);
  }
  CHECK(a.count().first == 1);
}

TEST_CASE_METHOD(one_node, "a pid that has crossed a link still leads home") {
  auto back = far(p->pid());
  CHECK(back == p->pid());
  a.send(back, term{1});
  CHECK(p->next() == term{1});
  CHECK(a.alive(back));
}

TEST_CASE_METHOD(one_node, "alive and all know who lives") {
  auto x = idle();
  CHECK(a.all().size() == 2);
  CHECK(a.alive(x));
  a.exit(x, atom("kill"));
  CHECK_FALSE(a.alive(x));
  CHECK(a.all() == terms(p->pid()));
  CHECK(a.count() == std::pair<std::size_t, std::size_t>{1, 1});
  run();
  CHECK(a.count() == std::pair<std::size_t, std::size_t>{1, 0});
}

// -- spawn --------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "what a function has captured lives as long as its "
                           "process") {
  auto held = std::make_shared<int>(5);
  auto to = p->pid();
  auto x = a.spawn([held, to](self me) -> process_body {
    co_await me.receive();
    me.send(to, term{*held});
    co_await me.receive();
  });
  run();
  std::weak_ptr<int> watch = held;
  held.reset();
  CHECK_FALSE(watch.expired());
  a.send(x, atom("go"));
  run();
  CHECK(p->next() == term{5});
  a.exit(x, atom("kill"));
  run();
  CHECK(watch.expired());
}

TEST_CASE_METHOD(one_node, "what a function has captured outlives a kill until "
                           "its code is unwound") {
  struct watch {
    std::weak_ptr<int> held;
    bool there = false;
    bool there_at_unwind = false;
  };
  struct at_unwind {
    watch* w;
    ~at_unwind() { w->there_at_unwind = !w->held.expired(); }
  };
  watch w;
  auto held = std::make_shared<int>(5);
  w.held = held;
  a.spawn(
    [held](self me, watch* see) -> process_body {
      at_unwind x{see};
      me.owner().exit(me.pid(), atom("kill"));
      see->there = !see->held.expired();
      co_await me.receive();
    },
    &w);
  held.reset();
  run();
  CHECK(w.there);
  CHECK(w.there_at_unwind);
  CHECK(w.held.expired());
}

TEST_CASE_METHOD(one_node, "a body gets its arguments by value") {
  auto to = p->pid();
  std::string text = "one";
  a.spawn(
    [](self me, term t, std::string s, int n) -> process_body {
      me.send(t, tup(atom(s), n));
      co_return;
    },
    to, text, 3);
  text = "two";
  run();
  CHECK(p->next() == tup("one", 3));
}

TEST_CASE_METHOD(one_node, "spawn_link and spawn_monitor act from the first "
                           "moment") {
  me().trap_exit(true);
  auto x = me().spawn_link([](self me) -> process_body {
    me.exit(atom("at once"));
    co_return;
  });
  auto [y, ref] = me().spawn_monitor([](self) -> process_body { co_return; });
  run();
  CHECK(p->all() == terms(exited(x, "at once"), down(ref, y, "normal")));
}

TEST_CASE_METHOD(one_node, "a process that is killed before it runs never "
                           "runs") {
  bool ran = false;
  auto x = a.spawn([&](self) -> process_body {
    ran = true;
    co_return;
  });
  auto ref = me().monitor(x);
  a.exit(x, atom("kill"));
  run();
  CHECK_FALSE(ran);
  CHECK(p->all() == terms(down(ref, x, "killed")));
}

TEST_CASE_METHOD(one_node, "a chain of spawns ends in nothing") {
  struct step {
    static process_body run(self me, int left, term to) {
      if (left == 0)
        me.send(to, atom("done"));
      else
        me.spawn(&step::run, left - 1, to);
      co_return;
    }
  };
  a.spawn(&step::run, 1000, p->pid());
  run();
  CHECK(p->all() == terms("done"));
  CHECK(a.count() == std::pair<std::size_t, std::size_t>{1, 0});
}

// -- fairness -----------------------------------------------------------------

TEST_CASE_METHOD(one_node, "a process that always has messages does not starve "
                           "another") {
  int greedy = 0;
  int modest = 0;
  a.spawn([&](self me) -> process_body {
    for (;;) {
      me.send(me.pid(), term{1});
      co_await me.receive();
      ++greedy;
    }
  });
  a.spawn([&](self me) -> process_body {
    for (;;) {
      ++modest;
      co_await me.yield();
    }
  });
  run_some(1000);
  CHECK(greedy > 100);
  CHECK(modest > 100);
  stop();
}

TEST_CASE_METHOD(one_node, "a queue of many messages is read in turns") {
  int read = 0;
  int others = 0;
  auto x = a.spawn([&](self me) -> process_body {
    for (;;) {
      co_await me.receive();
      ++read;
    }
  });
  for (int i = 0; i < 1000; ++i)
    a.send(x, term{i});
  a.spawn([&](self me) -> process_body {
    for (;;) {
      ++others;
      co_await me.yield();
    }
  });
  run_some(200);
  CHECK(read > 10);
  CHECK(others > 10);
  stop();
}

// -- the process dictionary, process_info -------------------------------------

TEST_CASE_METHOD(one_node, "the process dictionary returns old values") {
  CHECK_FALSE(me().put(atom("k"), term{1}));
  CHECK(me().put(atom("k"), term{2}) == term{1});
  CHECK(me().get(atom("k")) == term{2});
  CHECK(me().erase(atom("k")) == term{2});
  CHECK_FALSE(me().erase(atom("k")));
  CHECK_FALSE(me().get(atom("k")));
}

TEST_CASE_METHOD(one_node, "keys of the dictionary are exact, and each process "
                           "has its own") {
  me().put(term{1}, atom("integer"));
  me().put(term{1.0}, atom("float"));
  CHECK(me().get(term{1}) == atom("integer"));
  auto to = p->pid();
  a.spawn([to](self me) -> process_body {
    me.send(to, me.get(term{1}).value_or(atom("none")));
    co_return;
  });
  run();
  CHECK(p->next() == atom("none"));
}

TEST_CASE_METHOD(one_node, "process_info shows each item") {
  me().trap_exit(true);
  me().register_name("probe");
  me().put(atom("k"), term{1});
  auto x = idle();
  me().link(x);
  me().monitor(x);
  me().send(p->pid(), term{1});
  auto it = [&](const term& who, const char* item) {
    return *a.info(who, item);
  };
  auto me = p->pid();
  CHECK(it(me, "links") == list_of(x));
  CHECK(it(me, "monitors") == list_of(tup("process", x)));
  CHECK(it(x, "monitored_by") == list_of(me));
  CHECK(it(me, "registered_name") == atom("probe"));
  CHECK(it(x, "registered_name") == list_of());
  CHECK(it(me, "message_queue_len") == term{1});
  CHECK(it(me, "trap_exit") == term{true});
  CHECK(it(me, "dictionary") == list_of(tup("k", 1)));
  run();
  CHECK(it(x, "status") == atom("waiting"));
}

TEST_CASE_METHOD(one_node, "process_info of a dead process is nothing, of an "
                           "unknown item or a foreign process an error") {
  auto x = idle();
  a.exit(x, atom("kill"));
  CHECK_FALSE(a.info(x, "links"));
  CHECK_FALSE(a.info(far(x), "links"));
  run();
  CHECK_FALSE(a.info(x, "links"));
  CHECK_FALSE(a.info(far(x), "links"));
  CHECK_THROWS_WITH(a.info(p->pid(), "shoe_size"),
                    Catch::Contains("shoe_size"));
  auto foreign = term{pid{origin::of("z@h", 9), 1, nullptr}};
  CHECK_THROWS_WITH(a.info(foreign, "links"), Catch::Contains("z@h"));
}

TEST_CASE_METHOD(one_node, "an unknown item is an error for a dead process "
                           "too") {
  auto x = idle();
  a.exit(x, atom("kill"));
  run();
  CHECK_THROWS_AS(a.info(x, "shoe_size"), erlang_error);
}

// -- aliases ------------------------------------------------------------------

TEST_CASE_METHOD(one_node, "an alias receives messages until unalias") {
  auto ref = me().alias();
  a.send(ref, term{1});
  a.send(far(ref), term{2});
  CHECK(p->all() == terms(1, 2));
  CHECK(me().unalias(ref));
  a.send(ref, term{3});
  CHECK(p->all().empty());
  CHECK_FALSE(me().unalias(ref));
}

TEST_CASE_METHOD(one_node, "a message that waits unseen when its alias ends is "
                           "dropped only if it came later") {
  auto ref = me().alias();
  a.send(ref, term{1});
  me().place(); // it has been received
  me().unalias(ref);
  a.send(ref, term{2});
  CHECK(p->all() == terms(1));
}

TEST_CASE_METHOD(one_node, "an alias for one reply takes one message") {
  auto ref = me().alias(true);
  a.send(ref, term{1});
  a.send(ref, term{2});
  CHECK(p->all() == terms(1));
  CHECK_FALSE(me().unalias(ref));
}

TEST_CASE_METHOD(one_node, "each kind of alias of a monitor ends in its way") {
  auto x = idle();
  auto kept = me().monitor(x, alias_mode::explicit_unalias);
  auto once = me().monitor(x, alias_mode::reply_demonitor);
  auto with = me().monitor(x, alias_mode::demonitor);
  for (auto& ref : {kept, once, with}) {
    a.send(ref, term{1});
    a.send(ref, term{2});
  }
  CHECK(p->all() == terms(1, 2, 1, 1, 2));
  me().demonitor(with);
  a.send(with, term{3});
  me().demonitor(kept);
  a.send(kept, term{4});
  CHECK(p->all() == terms(4));
  a.exit(x, atom("end"));
  run();
  CHECK(p->all().empty()); // the first reply has ended that monitor
}

TEST_CASE_METHOD(one_node, "the down message ends the alias of its monitor") {
  auto x = idle();
  auto kept = me().monitor(x, alias_mode::explicit_unalias);
  auto with = me().monitor(x, alias_mode::demonitor);
  auto once = me().monitor(x, alias_mode::reply_demonitor);
  a.exit(x, atom("end"));
  run();
  CHECK(p->all().size() == 3);
  a.send(with, term{1});
  a.send(once, term{2});
  a.send(kept, term{3});
  CHECK(p->all() == terms(3));
}

TEST_CASE_METHOD(one_node, "an alias of a dead process is silent") {
  term ref;
  auto x = a.spawn([&](self me) -> process_body {
    ref = me.alias();
    co_await me.receive();
  });
  run();
  a.exit(x, atom("kill"));
  run();
  CHECK_NOTHROW(a.send(ref, term{1}));
}

TEST_CASE_METHOD(one_node, "only its process can end an alias") {
  auto ref = me().alias();
  auto to = p->pid();
  a.spawn([to, ref](self me) -> process_body {
    me.send(to, term{me.unalias(ref)});
    co_return;
  });
  run();
  CHECK(p->next() == term{false});
  CHECK(me().unalias(ref));
  CHECK_THROWS_AS(me().unalias(term{5}), erlang_error);
}
