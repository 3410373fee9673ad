#include "process_fixture.hpp"

using namespace hornbeam::test;

namespace {

const term no_links = list_of();

} // namespace

TEST_CASE_METHOD(one_node, "a link acts in both directions") {
  auto x = mortal();
  auto y = mortal();
  auto link = [&](const term& from, const term& to) {
    auto linked = a.spawn([to](self me) -> process_body {
      me.link(to);
      co_await me.receive();
    });
    run();
    auto ref = me().monitor(from);
    return std::pair{linked, ref};
  };
  auto [one, one_ref] = link(x, x);
  end(x, "boom");
  CHECK_FALSE(a.alive(one));
  auto [two, two_ref] = link(y, y);
  a.exit(two, atom("boom"));
  CHECK_FALSE(a.alive(y));
  CHECK(p->all() == terms(down(one_ref, x, "boom"), down(two_ref, y, "boom")));
}

TEST_CASE_METHOD(one_node, "there is one link between two processes") {
  me().trap_exit(true);
  auto x = mortal();
  me().link(x);
  me().link(x);
  CHECK(a.info(x, "links") == list_of(p->pid()));
  end(x, "boom");
  CHECK(p->all() == terms(exited(x, "boom")));
  CHECK(a.info(p->pid(), "links") == no_links);
}

TEST_CASE_METHOD(one_node, "either side may unlink, once is enough") {
  auto x = mortal();
  me().link(x);
  me().link(x);
  me().unlink(x);
  CHECK(a.info(x, "links") == no_links);
  CHECK(a.info(p->pid(), "links") == no_links);
  me().unlink(x); // of no link
  auto y = a.spawn([to = p->pid()](self me) -> process_body {
    me.link(to);
    me.unlink(to);
    co_await me.receive();
  });
  run();
  end(x, "boom");
  a.exit(y, atom("boom"));
  CHECK(p->alive());
}

TEST_CASE_METHOD(one_node, "unlink does not take back an exit message that is "
                           "there") {
  me().trap_exit(true);
  auto x = mortal();
  me().link(x);
  end(x, "boom");
  me().unlink(x);
  CHECK(p->all() == terms(exited(x, "boom")));
}

TEST_CASE_METHOD(one_node, "after unlink no exit message comes") {
  me().trap_exit(true);
  auto x = mortal();
  me().link(x);
  me().unlink(x);
  end(x, "boom");
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(one_node, "a normal end does not touch linked processes") {
  auto x = mortal();
  me().link(x);
  end(x, "normal");
  CHECK_FALSE(a.alive(x));
  CHECK(p->alive());
  CHECK(a.info(p->pid(), "links") == no_links);
}

TEST_CASE_METHOD(one_node, "a normal end is a message for those that trap") {
  me().trap_exit(true);
  auto x = mortal();
  me().link(x);
  end(x, "normal");
  CHECK(p->all() == terms(exited(x, "normal")));
}

TEST_CASE_METHOD(one_node, "links of a killed process see killed") {
  me().trap_exit(true);
  auto x = idle();
  me().link(x);
  a.exit(x, atom("kill"));
  CHECK(p->all() == terms(exited(x, "killed")));
}

TEST_CASE_METHOD(one_node, "a link with the reason kill can be trapped and "
                           "stays kill") {
  me().trap_exit(true);
  auto x = mortal();
  me().link(x);
  end(x, "kill");
  CHECK(p->all() == terms(exited(x, "kill")));
  auto y = mortal();
  auto z = a.spawn([y](self me) -> process_body {
    me.link(y);
    co_await me.receive();
  });
  run();
  auto ref = me().monitor(z);
  end(y, "kill");
  CHECK(p->all() == terms(down(ref, z, "kill")));
}

TEST_CASE_METHOD(one_node, "an exit passes through a chain of links up to a "
                           "process that traps") {
  me().trap_exit(true);
  struct chain {
    static process_body run(self me, int left, term last) {
      if (left == 0)
        me.link(last);
      else
        me.spawn_link(&chain::run, left - 1, last);
      co_await me.receive();
    }
  };
  auto first = a.spawn(&chain::run, 1000, p->pid());
  run();
  CHECK(a.count().first == 1002);
  a.exit(first, atom("boom"));
  auto got = p->all();
  REQUIRE(got.size() == 1);
  CHECK(got[0].items()[2] == atom("boom"));
  CHECK(a.count().first == 1);
  run();
  CHECK(a.count().second == 0);
}

TEST_CASE_METHOD(one_node, "a ring of links ends as one") {
  std::vector<term> ring;
  for (int i = 0; i < 100; ++i)
    ring.push_back(a.spawn([](self me) -> process_body {
      auto next = co_await me.receive(any_pid);
      me.link(next);
      co_await me.receive();
    }));
  for (std::size_t i = 0; i < ring.size(); ++i)
    a.send(ring[i], ring[(i + 1) % ring.size()]);
  run();
  CHECK(a.info(ring[3], "links")->items().size() == 2);
  a.exit(ring[50], atom("boom"));
  CHECK(a.count().first == 1);
}

TEST_CASE_METHOD(one_node, "linking to a dead process is the error noproc "
                           "that names it") {
  auto x = idle();
  a.exit(x, atom("kill"));
  run();
  for (auto& dead : {x, far(x)}) {
    CHECK_THROWS_WITH(me().link(dead), Catch::Contains(to_string(x.as_pid())));
    try {
      me().link(dead);
    } catch (const erlang_error& e) {
      CHECK(e.reason == atom("noproc"));
    }
  }
}

TEST_CASE_METHOD(one_node, "linking to a dead process is a message for one "
                           "that traps") {
  auto x = idle();
  a.exit(x, atom("kill"));
  run();
  me().trap_exit(true);
  me().link(x);
  me().link(far(x));
  CHECK(p->all() == terms(exited(x, "noproc"), exited(x, "noproc")));
  CHECK(a.info(p->pid(), "links") == no_links);
}

TEST_CASE_METHOD(one_node, "linking to what is no pid is an error that shows "
                           "it") {
  CHECK_THROWS_WITH(me().link(term{31}), Catch::Contains("31"));
  CHECK_THROWS_WITH(me().unlink(atom("name")), Catch::Contains("name"));
}

TEST_CASE_METHOD(one_node, "a process may link to itself") {
  me().link(p->pid());
  CHECK(a.info(p->pid(), "links") == no_links);
  auto x = a.spawn([](self me) -> process_body {
    me.link(me.pid());
    me.exit(atom("end"));
    co_return;
  });
  auto ref = me().monitor(x);
  run();
  CHECK(p->all() == terms(down(ref, x, "end")));
}

TEST_CASE_METHOD(one_node, "a process may be linked and monitored") {
  me().trap_exit(true);
  auto x = mortal();
  me().link(x);
  auto ref = me().monitor(x);
  end(x, "boom");
  auto got = p->all();
  REQUIRE(got.size() == 2);
  CHECK(std::count(got.begin(), got.end(), exited(x, "boom")) == 1);
  CHECK(std::count(got.begin(), got.end(), down(ref, x, "boom")) == 1);
}

TEST_CASE_METHOD(one_node, "links see the reason and the stack of an uncaught "
                           "error") {
  me().trap_exit(true);
  auto x = me().spawn_link([](self me) -> process_body {
    co_await me.yield();
    throw std::runtime_error("the disk is full");
  });
  run();
  auto got = p->all();
  REQUIRE(got.size() == 1);
  CHECK(got[0].items()[1] == x);
  CHECK_THAT(to_string(got[0].items()[2]), Catch::Contains("the disk is full"));
}

TEST_CASE_METHOD(one_node, "an exit acts while a process is not in receive") {
  me().trap_exit(true);
  bool ended_in_step = false;
  auto x = a.spawn([&](self me) -> process_body {
    auto peer = me.spawn_link(
      [](self other) -> process_body { co_await other.receive(); });
    me.owner().exit(peer, atom("boom"));
    ended_in_step = !me.owner().alive(me.impl().owner().pid_of(me.impl()));
    co_return;
  });
  auto ref = me().monitor(x);
  run();
  CHECK(ended_in_step);
  CHECK(p->all() == terms(down(ref, x, "boom")));
}

TEST_CASE_METHOD(one_node, "both of two linked processes may end at once") {
  auto x = mortal();
  auto y = a.spawn([x](self me) -> process_body {
    me.link(x);
    auto m = co_await me.receive(match("exit", any));
    me.exit(m.items()[1]);
  });
  run();
  auto rx = me().monitor(x);
  auto ry = me().monitor(y);
  a.send(x, tup("exit", "one"));
  a.send(y, tup("exit", "two"));
  run();
  CHECK(p->all() == terms(down(rx, x, "one"), down(ry, y, "one")));
}
