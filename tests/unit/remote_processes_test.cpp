#include "process_fixture.hpp"

using namespace hornbeam::test;

namespace {

struct fixture : two_nodes {
  /// A process of b that ends with what it is told, as a sees it.
  term mortal(bool trapping = false) {
    return far(b().spawn(
      [](self x, bool trap) -> process_body {
        x.trap_exit(trap);
        auto m = co_await x.receive(match("exit", any));
        x.exit(m.items()[1]);
      },
      trapping));
  }
  template <class T>
  void end(const term& who, T reason) {
    b().send(who, tup("exit", std::move(reason)));
    run();
  }
  /// All that is under way from one to the other arrives.
  void flow(const std::string& from, const std::string& to) {
    while (step(from, to))
      ;
  }
  self on_a() { return p->me(); }
  self on_b() { return q->me(); }
};

const std::string A = "a@h";
const std::string B = "b@h";

} // namespace

TEST_CASE_METHOD(fixture, "messages to another node arrive in their order") {
  auto to = far_q();
  a().spawn([to](self me) -> process_body {
    for (int i = 0; i < 100; ++i)
      me.send(to, term{i});
    co_return;
  });
  run();
  auto got = q->all();
  REQUIRE(got.size() == 100);
  for (int i = 0; i < 100; ++i)
    CHECK(got[static_cast<std::size_t>(i)] == term{i});
}

TEST_CASE_METHOD(fixture, "messages, links, exits and the end of one sender "
                          "keep their order between nodes") {
  on_b().trap_exit(true);
  auto to = far_q();
  auto x = a().spawn([to](self me) -> process_body {
    me.send(to, term{1});
    me.exit(to, atom("e"));
    me.send(to, term{2});
    me.link(to);
    me.send(to, term{3});
    me.exit(atom("end"));
    co_return;
  });
  run();
  CHECK(q->all() == terms(1, exited(x, "e"), 2, 3, exited(x, "end")));
}

TEST_CASE_METHOD(fixture, "a message comes before the down of its sender "
                          "between nodes") {
  hold(true);
  auto x = a().spawn([to = far_q()](self me) -> process_body {
    co_await me.receive();
    me.send(to, term{1});
    me.send(to, term{2});
  });
  auto ref = on_b().monitor(far(x));
  flow(B, A);
  a().send(x, atom("go"));
  run();
  CHECK(under_way(A, B) == 3);
  flow(A, B);
  CHECK(q->all() == terms(1, 2, down(ref, x, "normal")));
}

TEST_CASE_METHOD(fixture, "pids, names and aliases of another node lead "
                          "there") {
  on_b().register_name("it");
  auto alias = on_b().alias(true);
  on_a().send(far_q(), term{1});
  on_a().send(tup("it", B), term{2});
  on_a().send(far(alias), term{3});
  on_a().send(far(alias), term{4}); // it took its only one
  on_a().send(tup("nobody", B), term{5});
  run();
  CHECK(q->all() == terms(1, 2, 3));
}

TEST_CASE_METHOD(fixture, "a pid that comes home leads straight to its "
                          "process") {
  on_a().send(far_q(), tup("reply_to", p->pid()));
  run();
  auto got = q->next();
  REQUIRE(got);
  auto home = got->items()[1];
  CHECK(home == p->pid());
  on_b().send(home, home);
  run();
  CHECK(p->next() == p->pid());
}

TEST_CASE_METHOD(fixture, "what goes to a node that is not there is silent") {
  CHECK_NOTHROW(on_a().send(tup("x", "z@h"), term{1}));
  part();
  CHECK_NOTHROW(on_a().send(far_q(), term{1}));
  CHECK_NOTHROW(on_a().exit(far_q(), atom("boom")));
  run();
  CHECK(q->alive());
  CHECK(q->all().empty());
}

// -- exits and links ----------------------------------------------------------

TEST_CASE_METHOD(fixture, "an exit signal crosses nodes") {
  auto x = mortal();
  auto ref = on_a().monitor(x);
  on_a().exit(x, atom("normal")); // dropped
  run();
  CHECK(b().alive(x));
  on_a().exit(x, tup("because", 1));
  run();
  CHECK(p->all() == terms(down(ref, x, tup("because", 1))));
  on_b().trap_exit(true);
  on_a().exit(far_q(), atom("boom"));
  run();
  CHECK(q->all() == terms(exited(p->pid(), "boom")));
}

TEST_CASE_METHOD(fixture, "a kill from another node can't be trapped") {
  on_a().trap_exit(true);
  auto x = mortal(true);
  on_a().link(x);
  run();
  on_a().exit(x, atom("kill"));
  run();
  CHECK(p->all() == terms(exited(x, "killed")));
}

TEST_CASE_METHOD(fixture, "a link across nodes acts in both directions, once") {
  on_a().trap_exit(true);
  auto x = mortal();
  on_a().link(x);
  on_a().link(x);
  run();
  CHECK(b().info(x, "links") == list_of(p->pid()));
  end(x, "boom");
  CHECK(p->all() == terms(exited(x, "boom")));

  on_b().trap_exit(true);
  on_b().link(far_p());
  run();
  p->detach(atom("over"));
  run();
  CHECK(q->all() == terms(exited(p->pid(), "over")));
}

TEST_CASE_METHOD(fixture, "an exit ends a process of another node that is "
                          "linked") {
  auto x = mortal();
  auto ref = on_b().monitor(x);
  auto linker = a().spawn([x](self me) -> process_body {
    me.link(x);
    co_await me.receive();
  });
  run();
  a().exit(linker, tup("boom", 1));
  run();
  CHECK(q->all() == terms(down(ref, x, tup("boom", 1))));
}

TEST_CASE_METHOD(fixture, "unlink acts on both nodes") {
  auto x = mortal();
  on_a().link(x);
  run();
  on_a().unlink(x);
  run();
  CHECK(b().info(x, "links") == list_of());
  on_a().link(x);
  run();
  b().spawn([to = far_p()](self me) -> process_body {
    me.link(to);
    me.unlink(to);
    me.exit(atom("boom"));
    co_return;
  });
  run();
  CHECK(p->alive());
  CHECK(a().info(p->pid(), "links") == list_of(x));
}

TEST_CASE_METHOD(fixture, "no exit message comes after an unlink, whatever is "
                          "under way") {
  on_a().trap_exit(true);
  auto x = mortal();
  on_a().link(x);
  run();
  hold(true);
  end(x, "boom");
  on_a().unlink(x);
  flow(A, B);
  flow(B, A);
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(fixture, "linking to a dead process of another node is a "
                          "message, or the end") {
  auto x = mortal();
  end(x, "boom");
  auto [y, ref] = on_a().spawn_monitor([x](self me) -> process_body {
    me.link(x); // no error: it can't know yet
    co_await me.receive();
  });
  run();
  CHECK(p->all() == terms(down(ref, y, "noproc")));
  on_a().trap_exit(true);
  on_a().link(x);
  run();
  CHECK(p->all() == terms(exited(x, "noproc")));
  CHECK(a().info(p->pid(), "links") == list_of());
}

TEST_CASE_METHOD(fixture, "unlinks and links that cross leave both sides of "
                          "one mind") {
  hold(true);
  on_a().link(far_q());
  flow(A, B);
  on_a().unlink(far_q());
  on_a().link(far_q());
  on_b().unlink(far_p());
  flow(B, A);
  flow(A, B);
  flow(B, A);
  flow(A, B);
  auto links_of_a = a().info(p->pid(), "links")->items().size();
  auto links_of_b = b().info(q->pid(), "links")->items().size();
  CHECK(links_of_a == links_of_b);
}

TEST_CASE_METHOD(fixture, "a node that is lost before it acknowledges an "
                          "unlink can be linked to again") {
  on_b().trap_exit(true);
  hold(true);
  on_a().link(far_q());
  flow(A, B);
  on_a().unlink(far_q());
  part(); // the unlink never arrives
  connect(A, B);
  hold(false);
  on_b().link(far_p());
  run();
  CHECK(a().info(p->pid(), "links") == list_of(far_q()));
  CHECK(b().info(q->pid(), "links") == list_of(far_p()));
}

TEST_CASE_METHOD(fixture,
                 "links and monitors hear of an end however much waits "
                 "to be sent") {
  on_a().trap_exit(true);
  auto x = mortal();
  on_a().link(x);
  auto ref = on_a().monitor(x);
  run();
  fill(B, A);
  end(x, "boom");
  CHECK(p->all() == terms(exited(x, "boom"), down(ref, x, "boom")));
}

TEST_CASE_METHOD(fixture, "an unlink and the end of a monitor arrive however "
                          "much waits to be sent") {
  on_a().link(far_q());
  auto ref = on_a().monitor(far_q());
  run();
  fill(A, B);
  fill(B, A);
  on_a().unlink(far_q());
  on_a().demonitor(ref);
  run();
  CHECK(b().info(q->pid(), "links") == list_of());
  CHECK(b().info(q->pid(), "monitored_by") == list_of());
  fill(A, B, false);
  fill(B, A, false);
  on_b().link(far_p()); // the unlink has been acknowledged
  run();
  CHECK(a().info(p->pid(), "links") == list_of(far_q()));
}

TEST_CASE_METHOD(fixture, "a process of another node is neither alive nor "
                          "dead here") {
  CHECK_THROWS_WITH(a().alive(far_q()), Catch::Contains("a@h"));
}

TEST_CASE_METHOD(fixture, "a link that is made anew while an exit is under way "
                          "hears one exit") {
  on_a().trap_exit(true);
  auto x = mortal();
  on_a().link(x);
  run();
  hold(true);
  end(x, "boom"); // under way
  on_a().unlink(x);
  on_a().link(x);
  flow(B, A);
  flow(A, B);
  flow(B, A);
  CHECK(p->all().size() == 1); // Erlang does not promise which
  CHECK(a().info(p->pid(), "links") == list_of());
}

// -- monitors -----------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a monitor of a process of another node reports its "
                          "reason") {
  auto x = mortal();
  auto one = on_a().monitor(x);
  auto two = on_a().monitor(x);
  run();
  end(x, tup("boom", 1));
  auto got = p->all();
  REQUIRE(got.size() == 2);
  CHECK(std::count(got.begin(), got.end(), down(one, x, tup("boom", 1))) == 1);
  CHECK(std::count(got.begin(), got.end(), down(two, x, tup("boom", 1))) == 1);
}

TEST_CASE_METHOD(fixture, "a monitor of a dead process of another node hears "
                          "noproc") {
  auto x = mortal();
  end(x, "boom");
  auto ref = on_a().monitor(x);
  run();
  CHECK(p->all() == terms(down(ref, x, "noproc")));
}

TEST_CASE_METHOD(fixture, "a monitor by name at another node reports name and "
                          "node") {
  auto x = mortal();
  b().register_name("it", x);
  auto named = tup("it", B);
  auto one = on_a().monitor(named);
  auto two = on_a().monitor(tup("nobody", B));
  run();
  CHECK(p->all() == terms(down(two, tup("nobody", B), "noproc")));
  end(x, "boom");
  CHECK(p->all() == terms(down(one, named, "boom")));
}

TEST_CASE_METHOD(fixture, "demonitor across nodes takes the monitor back") {
  auto x = mortal();
  auto ref = on_a().monitor(x);
  run();
  CHECK(on_a().demonitor(ref));
  run();
  CHECK(b().info(x, "monitored_by") == list_of());
  end(x, "boom");
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(fixture, "no down message comes after demonitor, whatever is "
                          "under way") {
  auto x = mortal();
  auto ref = on_a().monitor(x);
  run();
  hold(true);
  end(x, "boom");
  CHECK(on_a().demonitor(ref));
  flow(B, A);
  flow(A, B);
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(fixture, "a watcher that ends leaves nothing at the other "
                          "node") {
  auto x = mortal();
  auto y = a().spawn([x](self me) -> process_body {
    me.monitor(x);
    me.link(x);
    me.trap_exit(true);
    co_await me.receive();
  });
  run();
  CHECK(b().info(x, "monitored_by") == list_of(y));
  a().exit(y, atom("kill"));
  run();
  CHECK_FALSE(b().alive(x)); // of the link
  auto z = mortal();
  a().spawn([z](self me) -> process_body {
    me.monitor(z);
    co_return;
  });
  run();
  CHECK(b().info(z, "monitored_by") == list_of());
}

TEST_CASE_METHOD(fixture, "a monitor by name that is taken back is forgotten, "
                          "though the name has moved on") {
  auto x = mortal();
  b().register_name("it", x);
  auto ref = on_a().monitor(tup("it", B));
  run();
  b().unregister_name("it");
  b().register_name("it", q->pid());
  on_a().demonitor(ref);
  run();
  CHECK(b().info(x, "monitored_by") == list_of());
}

// -- lost nodes ---------------------------------------------------------------

TEST_CASE_METHOD(fixture, "every link and monitor of a lost node hears "
                          "noconnection exactly once") {
  on_a().trap_exit(true);
  std::map<term, int> expected;
  for (int i = 0; i < 10; ++i) {
    auto x = mortal();
    b().register_name("n" + std::to_string(i), x);
    ++expected[down(on_a().monitor(x), x, "noconnection")];
    ++expected[down(on_a().monitor(x), x, "noconnection")];
    auto named = tup("n" + std::to_string(i), B);
    ++expected[down(on_a().monitor(named), named, "noconnection")];
    on_a().link(x);
    ++expected[exited(x, "noconnection")];
  }
  run();
  CHECK(p->all().empty());
  part();
  std::map<term, int> got;
  for (auto& m : p->all())
    ++got[m];
  CHECK(got == expected);
  connect(A, B);
  run();
  part();
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(fixture, "the other node hears of the loss too, and keeps "
                          "nothing") {
  on_a().link(far_q());
  on_a().monitor(far_q());
  on_b().trap_exit(true);
  auto ref = on_b().monitor(far_p());
  on_a().trap_exit(true);
  run();
  part();
  auto got = q->all();
  REQUIRE(got.size() == 2);
  CHECK(std::count(got.begin(), got.end(), down(ref, p->pid(), "noconnection"))
        == 1);
  CHECK(std::count(got.begin(), got.end(), exited(p->pid(), "noconnection"))
        == 1);
  for (auto* item : {"links", "monitors", "monitored_by"}) {
    CHECK(a().info(p->pid(), item) == list_of());
    CHECK(b().info(q->pid(), item) == list_of());
  }
}

TEST_CASE_METHOD(fixture, "a lost node ends linked processes that do not trap, "
                          "and those linked to them") {
  auto x = mortal();
  auto near = a().spawn([x](self me) -> process_body {
    me.link(x);
    co_await me.receive();
  });
  auto [second, ref] = on_a().spawn_monitor([near](self me) -> process_body {
    me.link(near);
    co_await me.receive();
  });
  run();
  part();
  CHECK(p->all() == terms(down(ref, second, "noconnection")));
  CHECK_FALSE(a().alive(near));
  CHECK_FALSE(b().alive(x)); // lost its link as well
}

TEST_CASE_METHOD(fixture, "links and monitors to a node that is not connected "
                          "hear noconnection at once") {
  part();
  on_a().trap_exit(true);
  auto ref = on_a().monitor(far_q());
  auto named = on_a().monitor(tup("x", "z@h"));
  on_a().link(far_q());
  CHECK(p->all()
        == terms(down(ref, q->pid(), "noconnection"),
                 down(named, tup("x", "z@h"), "noconnection"),
                 exited(q->pid(), "noconnection")));
}

TEST_CASE_METHOD(fixture, "links and monitors wait for a connection that is "
                          "being made") {
  part();
  on_a().trap_exit(true);
  dial(A, B);
  auto ref = on_a().monitor(far_q());
  on_a().link(far_q());
  on_a().send(far_q(), term{1});
  run();
  CHECK(p->all().empty());
  SECTION("and hear noconnection if none comes about") {
    dialing_failed(A, B);
    auto got = p->all();
    REQUIRE(got.size() == 2);
    CHECK(
      std::count(got.begin(), got.end(), down(ref, q->pid(), "noconnection"))
      == 1);
    CHECK(std::count(got.begin(), got.end(), exited(q->pid(), "noconnection"))
          == 1);
  }
  SECTION("and act once it is there") {
    connect(A, B);
    run();
    CHECK(q->all() == terms(1));
    q->detach(atom("over"));
    run();
    CHECK(p->all().size() == 2);
  }
}

TEST_CASE_METHOD(fixture, "what ended before the loss is not reported again") {
  on_a().trap_exit(true);
  auto x = mortal();
  auto ref = on_a().monitor(x);
  on_a().link(x);
  run();
  end(x, "boom");
  part();
  auto got = p->all();
  REQUIRE(got.size() == 2);
  CHECK(std::count(got.begin(), got.end(), down(ref, x, "boom")) == 1);
  CHECK(std::count(got.begin(), got.end(), exited(x, "boom")) == 1);
}

TEST_CASE_METHOD(fixture, "what was taken back before the loss is not "
                          "reported") {
  on_a().trap_exit(true);
  on_a().demonitor(on_a().monitor(far_q()));
  on_a().link(far_q());
  on_a().unlink(far_q());
  part();
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(fixture, "a process that watches nodes hears of them until it "
                          "wants no more") {
  on_a().monitor_nodes(true);
  add_node("c@h", 3);
  connect(A, "c@h");
  disconnect(A, "c@h");
  on_a().monitor_nodes(false);
  connect(A, "c@h");
  run();
  CHECK(p->all() == terms(tup("nodeup", "c@h"), tup("nodedown", "c@h")));
}

TEST_CASE_METHOD(fixture, "a visiting tool is no news") {
  on_a().monitor_nodes(true);
  a().peer({"tool@h", 9, true, true});
  a().peer({"tool@h", 9, false, true});
  CHECK(p->all().empty());
}

// -- nodes that started again -------------------------------------------------

TEST_CASE_METHOD(fixture, "a pid of an earlier start of a node is another "
                          "process") {
  auto old = far_q();
  auto serial = old.as_pid().serial;
  q.reset();
  auto& fresh = restart(B, 77).processes;
  connect(A, B);
  q.emplace(fresh);
  REQUIRE(q->pid().as_pid().serial == serial); // of the same number
  CHECK(old != q->pid());
  CHECK(to_string(old.as_pid()) != to_string(q->pid().as_pid()));
  on_a().trap_exit(true);
  auto ref = on_a().monitor(old);
  run();
  CHECK(p->all() == terms(down(ref, old, "noproc")));
  on_a().link(old);
  run();
  CHECK(p->all() == terms(exited(old, "noproc")));
  CHECK_NOTHROW(run());
}

TEST_CASE_METHOD(fixture, "messages and exits to a pid of an earlier start are "
                          "silent") {
  auto old = far_q();
  auto alias = far(on_b().alias());
  q.reset();
  auto& fresh = restart(B, 77).processes;
  connect(A, B);
  q.emplace(fresh);
  on_a().send(old, term{1});
  CHECK_NOTHROW(run());
  on_a().exit(old, atom("kill"));
  CHECK_NOTHROW(run());
  on_a().send(alias, term{1});
  CHECK_NOTHROW(run());
  CHECK(q->alive());
  CHECK(q->all().empty());
}

TEST_CASE_METHOD(fixture, "pids of an earlier start of the own node are dead "
                          "processes") {
  auto me = p->pid().as_pid();
  term old{pid{origin::of(A, 99), me.serial, nullptr}};
  term alias{reference{old.as_pid().node, me.serial, me.serial}};
  CHECK(old != p->pid());
  on_a().trap_exit(true);
  CHECK_NOTHROW(on_a().send(old, term{1}));
  CHECK_NOTHROW(on_a().send(alias, term{1}));
  CHECK_NOTHROW(on_a().exit(old, atom("boom")));
  CHECK_FALSE(a().alive(old));
  std::optional<term> ref;
  CHECK_NOTHROW(ref = on_a().monitor(old));
  CHECK_NOTHROW(run());
  if (ref)
    CHECK(p->all() == terms(down(*ref, old, "noproc")));
  CHECK_NOTHROW(on_a().link(old));
  CHECK_NOTHROW(run());
  CHECK(p->all() == terms(exited(old, "noproc")));
}

TEST_CASE_METHOD(fixture, "a node that starts again under its name inherits "
                          "nothing") {
  on_a().trap_exit(true);
  auto ref = on_a().monitor(far_q());
  run();
  auto old = far_q();
  q.reset();
  run();
  CHECK(p->all() == terms(down(ref, old, "normal")));
  restart(B, 78);
  connect(A, B);
  disconnect(A, B);
  CHECK(p->all().empty());
}

// -- three nodes --------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a chain of links over three nodes ends as one") {
  add_node("c@h", 3);
  connect(A, "c@h");
  connect(B, "c@h");
  auto& c = at("c@h").processes;
  auto link_to = [](self me, term to) -> process_body {
    me.link(to);
    co_await me.receive();
  };
  auto x = mortal();
  auto y = far(a().spawn(link_to, x));
  auto z = c.spawn(link_to, y);
  run();
  end(x, "boom");
  CHECK_FALSE(a().alive(y));
  CHECK_FALSE(c.alive(z));
}

TEST_CASE_METHOD(fixture, "the loss of one node does not touch what leads to "
                          "another") {
  add_node("c@h", 3);
  connect(A, "c@h");
  probe r{at("c@h").processes};
  auto ref = on_a().monitor(far(r.pid()));
  auto lost = on_a().monitor(far_q());
  run();
  part();
  CHECK(p->all() == terms(down(lost, q->pid(), "noconnection")));
  r.detach(atom("over"));
  run();
  CHECK(p->all() == terms(down(ref, r.pid(), "over")));
}

TEST_CASE_METHOD(fixture, "an operation that nobody knows is refused") {
  CHECK_THROWS_WITH(
    a().handle(B, operation{make_op("dance", p->pid(), p->pid())}),
    Catch::Contains("dance"));
}
