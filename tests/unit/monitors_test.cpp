#include "process_fixture.hpp"

using namespace hornbeam::test;

TEST_CASE_METHOD(one_node, "a monitor reports the reason, in one direction") {
  auto x = mortal();
  auto ref = me().monitor(x);
  auto [y, other] = me().spawn_monitor([x](self me) -> process_body {
    me.monitor(x);
    me.exit(atom("watcher ends"));
    co_return;
  });
  run();
  CHECK(p->all() == terms(down(other, y, "watcher ends")));
  CHECK(a.alive(x));
  end(x, tup("boom", 1));
  CHECK(p->all() == terms(down(ref, x, tup("boom", 1))));
}

TEST_CASE_METHOD(one_node, "each monitor has its own reference and its own "
                           "down message") {
  auto x = mortal();
  auto one = me().monitor(x);
  auto two = me().monitor(x);
  CHECK(one != two);
  end(x, "normal");
  auto got = p->all();
  REQUIRE(got.size() == 2);
  CHECK(std::count(got.begin(), got.end(), down(one, x, "normal")) == 1);
  CHECK(std::count(got.begin(), got.end(), down(two, x, "normal")) == 1);
}

TEST_CASE_METHOD(one_node, "a monitor of a dead process answers at once with "
                           "noproc") {
  auto x = idle();
  a.exit(x, atom("kill"));
  auto one = me().monitor(x);
  run();
  auto two = me().monitor(x);
  auto three = me().monitor(far(x));
  CHECK(p->all()
        == terms(down(one, x, "noproc"), down(two, x, "noproc"),
                 down(three, x, "noproc")));
  CHECK(a.info(p->pid(), "monitors") == list_of());
}

TEST_CASE_METHOD(one_node, "every watcher hears of the end") {
  auto x = mortal();
  int heard = 0;
  for (int i = 0; i < 100; ++i)
    a.spawn([x, &heard](self me) -> process_body {
      auto ref = me.monitor(x);
      co_await me.receive(match("DOWN", ref, "process", x, "boom"));
      ++heard;
    });
  run();
  end(x, "boom");
  CHECK(heard == 100);
}

TEST_CASE_METHOD(one_node, "a monitor by name reports name and node, and "
                           "follows the process") {
  auto x = mortal();
  me().register_name("worker", x);
  auto ref = me().monitor(atom("worker"));
  auto named = tup("worker", "a@h");
  auto other = me().monitor(named);
  CHECK(a.info(p->pid(), "monitors")
        == list_of(tup("process", named), tup("process", named)));
  me().unregister_name("worker");
  me().register_name("worker");
  end(x, "boom");
  auto got = p->all();
  REQUIRE(got.size() == 2);
  CHECK(std::count(got.begin(), got.end(), down(ref, named, "boom")) == 1);
  CHECK(std::count(got.begin(), got.end(), down(other, named, "boom")) == 1);
}

TEST_CASE_METHOD(one_node, "a monitor of a name that nobody has answers at "
                           "once with noproc") {
  auto one = me().monitor(atom("nobody"));
  auto two = me().monitor(tup("nobody", "a@h"));
  CHECK(p->all()
        == terms(down(one, tup("nobody", "a@h"), "noproc"),
                 down(two, tup("nobody", "a@h"), "noproc")));
}

TEST_CASE_METHOD(one_node, "what can't be monitored is an error that shows "
                           "it") {
  CHECK_THROWS_WITH(me().monitor(term{41}), Catch::Contains("41"));
  CHECK_THROWS_WITH(me().monitor(tup("x", 42)), Catch::Contains("42"));
}

TEST_CASE_METHOD(one_node, "demonitor ends a monitor") {
  auto x = mortal();
  auto ref = me().monitor(x);
  CHECK(me().demonitor(ref));
  CHECK(a.info(x, "monitored_by") == list_of());
  end(x, "boom");
  CHECK(p->all().empty());
  CHECK_FALSE(me().demonitor(ref));
}

TEST_CASE_METHOD(one_node, "demonitor leaves a down message that is there") {
  auto x = mortal();
  auto ref = me().monitor(x);
  end(x, "boom");
  CHECK_FALSE(me().demonitor(ref));
  CHECK(p->all() == terms(down(ref, x, "boom")));
}

TEST_CASE_METHOD(one_node, "demonitor with flush leaves no down message, and "
                           "only its own is gone") {
  auto x = mortal();
  auto one = me().monitor(x);
  auto two = me().monitor(x);
  me().send(p->pid(), atom("before"));
  end(x, "boom");
  me().send(p->pid(), atom("behind"));
  me().demonitor(one, true);
  CHECK(p->all() == terms("before", down(two, x, "boom"), "behind"));
}

TEST_CASE_METHOD(one_node, "demonitor of an unknown reference is fine, of "
                           "anything else an error") {
  CHECK_FALSE(me().demonitor(a.make_ref()));
  CHECK_FALSE(me().demonitor(a.make_ref(), true));
  CHECK_THROWS_WITH(me().demonitor(term{51}), Catch::Contains("51"));
}

TEST_CASE_METHOD(one_node, "the reference of another process's monitor is "
                           "unknown") {
  auto x = mortal();
  auto ref = me().monitor(x);
  a.spawn([ref](self me) -> process_body {
    me.demonitor(ref, true);
    co_return;
  });
  run();
  end(x, "boom");
  CHECK(p->all() == terms(down(ref, x, "boom")));
}

TEST_CASE_METHOD(one_node, "a monitor of oneself is silent") {
  CHECK_NOTHROW(me().monitor(p->pid()));
  auto [x, ref] = me().spawn_monitor([](self me) -> process_body {
    me.monitor(me.pid());
    co_return;
  });
  run();
  CHECK(p->all() == terms(down(ref, x, "normal")));
}

TEST_CASE_METHOD(one_node, "a message comes before the down of its sender") {
  auto to = p->pid();
  auto [x, ref] = me().spawn_monitor([to](self me) -> process_body {
    for (int i = 0; i < 3; ++i)
      me.send(to, term{i});
    co_return;
  });
  run();
  CHECK(p->all() == terms(0, 1, 2, down(ref, x, "normal")));
}

TEST_CASE_METHOD(one_node, "a watcher that has ended leaves nothing behind") {
  auto x = idle();
  a.spawn([x](self me) -> process_body {
    me.monitor(x);
    co_return;
  });
  run();
  CHECK(a.info(x, "monitored_by") == list_of());
}

TEST_CASE_METHOD(one_node, "a function may watch as well, and hears noproc of "
                           "the dead") {
  std::vector<term> heard;
  auto note = [&](const term& reason) { heard.push_back(reason); };
  auto x = mortal();
  a.on_exit(x, note);
  a.on_exit(x, note);
  end(x, "boom");
  a.on_exit(x, note);
  CHECK(heard == terms("boom", "boom", "noproc"));
}

TEST_CASE_METHOD(one_node, "a down message of a killed process says killed") {
  auto x = idle();
  auto ref = me().monitor(x);
  a.exit(x, atom("kill"));
  CHECK(p->all() == terms(down(ref, x, "killed")));
  auto y = mortal();
  ref = me().monitor(y);
  end(y, "kill"); // by its own exit
  CHECK(p->all() == terms(down(ref, y, "kill")));
}

TEST_CASE_METHOD(one_node, "many monitors made and taken back leave nothing") {
  auto x = idle();
  for (int i = 0; i < 1000; ++i)
    CHECK(me().demonitor(me().monitor(x), true));
  CHECK(a.info(x, "monitored_by") == list_of());
  CHECK(a.info(p->pid(), "monitors") == list_of());
  a.exit(x, atom("kill"));
  CHECK(p->all().empty());
}
