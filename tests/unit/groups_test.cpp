#include "process_fixture.hpp"

using namespace hornbeam::test;

namespace {

const term scope = atom("scope");
const term g = atom("g");

using pids = std::vector<term>;

struct one : one_node {
  one() : pg(*at("a@h").groups) {}
  groups& pg;
};

struct two : two_nodes {
  groups& ga() { return *at("a@h").groups; }
  groups& gb() { return *at("b@h").groups; }
  term spawn(processes& on) {
    return on.spawn([](self me) -> process_body { co_await me.receive(); });
  }
};

} // namespace

TEST_CASE_METHOD(one, "a process that joins n times is there n times and "
                      "leaves n times") {
  auto x = p->pid();
  pg.join(scope, g, {x});
  pg.join(scope, g, {x, x});
  CHECK(pg.members(scope, g) == pids{x, x, x});
  CHECK(pg.local_members(scope, g).size() == 3);
  CHECK(pg.leave(scope, g, {x}));
  CHECK(pg.members(scope, g).size() == 2);
  CHECK(pg.leave(scope, g, {x, x}));
  CHECK_FALSE(pg.leave(scope, g, {x}));
}

TEST_CASE_METHOD(one, "leaving without having joined says so") {
  CHECK_FALSE(pg.leave(scope, g, {p->pid()}));
  auto x = idle();
  pg.join(scope, g, {x});
  CHECK_FALSE(pg.leave(scope, g, {p->pid()}));
  CHECK_FALSE(pg.leave(atom("other"), g, {x}));
  CHECK_FALSE(pg.leave(scope, atom("other"), {x}));
  CHECK(pg.leave(scope, g, {p->pid(), x})); // one of them was there
  CHECK(pg.members(scope, g).empty());
}

TEST_CASE_METHOD(one, "scopes are independent") {
  pg.join(scope, g, {p->pid()});
  CHECK(pg.members(atom("other"), g).empty());
  CHECK(pg.which(atom("other")).empty());
  CHECK(pg.which(scope) == terms(g));
}

TEST_CASE_METHOD(one, "a group without members does not exist") {
  pg.join(scope, g, {p->pid()});
  pg.join(scope, atom("h"), {p->pid()});
  CHECK(pg.which(scope) == terms("g", "h"));
  pg.leave(scope, g, {p->pid()});
  CHECK(pg.which(scope) == terms("h"));
  pg.join(scope, g, {});
  CHECK(pg.which(scope) == terms("h"));
}

TEST_CASE_METHOD(one, "only processes of this node join, others are named") {
  auto foreign = term{pid{origin::of("z@h", 9), 1, nullptr}};
  CHECK_THROWS_WITH(pg.join(scope, g, {p->pid(), foreign}),
                    Catch::Contains("z@h"));
  CHECK_THROWS_WITH(pg.join(scope, g, {term{81}}), Catch::Contains("81"));
  CHECK(pg.members(scope, g).empty()); // all or nothing
}

TEST_CASE_METHOD(one, "a member that ends leaves all its groups") {
  auto x = idle();
  pg.join(scope, g, {x, x});
  pg.join(scope, atom("h"), {x, p->pid()});
  pg.join(atom("other"), g, {x});
  a.exit(x, atom("boom"));
  CHECK(pg.members(scope, g).empty());
  CHECK(pg.members(scope, atom("h")) == pids{p->pid()});
  CHECK(pg.which(atom("other")).empty());
}

TEST_CASE_METHOD(one, "a process that is dead leaves nothing in a group") {
  auto x = idle();
  a.exit(x, atom("kill"));
  try {
    pg.join(scope, g, {x});
  } catch (const erlang_error&) {
  }
  run();
  CHECK(pg.members(scope, g).empty());
}

TEST_CASE_METHOD(one, "a member that ends after leaving and joining again "
                      "leaves again") {
  auto x = idle();
  pg.join(scope, g, {x});
  pg.leave(scope, g, {x});
  pg.join(scope, g, {x});
  a.exit(x, atom("boom"));
  CHECK(pg.members(scope, g).empty());
}

TEST_CASE_METHOD(one, "a monitor returns the members now, then each change") {
  auto x = idle();
  pg.join(scope, g, {x});
  auto [ref, now] = pg.monitor(scope, &g, p->pid());
  CHECK(now == list_of(x));
  auto y = idle();
  pg.join(scope, g, {y, y});
  pg.join(scope, atom("h"), {y}); // of another group
  pg.leave(scope, g, {y});
  a.exit(x, atom("boom"));
  CHECK(p->all()
        == terms(tup(ref, "join", g, list_of(y, y)),
                 tup(ref, "leave", g, list_of(y)),
                 tup(ref, "leave", g, list_of(x))));
  CHECK(pg.demonitor(scope, ref));
  CHECK_FALSE(pg.demonitor(scope, ref));
  pg.join(scope, g, {y});
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(one, "a monitor of a scope sees all its groups") {
  auto x = idle();
  pg.join(scope, g, {x});
  auto [ref, now] = pg.monitor(scope, nullptr, p->pid());
  CHECK(now == term::map({{g, list_of(x)}}));
  pg.join(scope, atom("h"), {x});
  pg.join(atom("other"), g, {x});
  CHECK(p->all() == terms(tup(ref, "join", "h", list_of(x))));
}

TEST_CASE_METHOD(one, "the end of a process that joined twice is two leaves") {
  auto x = idle();
  pg.join(scope, g, {x, x});
  auto [ref, now] = pg.monitor(scope, &g, p->pid());
  a.exit(x, atom("boom"));
  auto left = tup(ref, "leave", g, list_of(x));
  CHECK(p->all() == pids{left, left});
}

TEST_CASE_METHOD(one, "a group's watcher that ends is forgotten") {
  auto x = idle();
  auto [ref, now] = pg.monitor(scope, &g, x);
  a.exit(x, atom("boom"));
  CHECK_FALSE(pg.demonitor(scope, ref));
}

// -- two nodes ----------------------------------------------------------------

TEST_CASE_METHOD(two, "members of another node are seen and reached") {
  auto x = spawn(b());
  gb().join(scope, g, {x, q->pid()});
  ga().join(scope, g, {p->pid()});
  run();
  CHECK(ga().members(scope, g) == pids{p->pid(), x, q->pid()});
  CHECK(ga().local_members(scope, g) == pids{p->pid()});
  CHECK(gb().members(scope, g).size() == 3);
  for (auto& m : ga().members(scope, g))
    p->me().send(m, atom("hello"));
  run();
  CHECK(q->all() == terms("hello"));
  CHECK(p->all() == terms("hello"));
  gb().leave(scope, g, {x});
  b().exit(q->pid(), atom("kill"));
  run();
  CHECK(ga().members(scope, g) == pids{p->pid()});
}

TEST_CASE_METHOD(two, "a process may join n times on another node too") {
  gb().join(scope, g, {q->pid(), q->pid()});
  gb().join(scope, g, {q->pid()});
  run();
  CHECK(ga().members(scope, g).size() == 3);
  gb().leave(scope, g, {q->pid(), q->pid()});
  run();
  CHECK(ga().members(scope, g).size() == 1);
  gb().join(scope, g, {q->pid()});
  run();
  auto [ref, now] = ga().monitor(scope, &g, p->pid());
  b().exit(q->pid(), atom("kill"));
  run();
  auto left = tup(ref, "leave", g, list_of(far(q->pid())));
  CHECK(p->all() == pids{left, left});
}

TEST_CASE_METHOD(two, "members of a node vanish when it goes down and come "
                      "back with it") {
  gb().join(scope, g, {q->pid()});
  run();
  auto [ref, now] = ga().monitor(scope, &g, p->pid());
  CHECK(now == list_of(q->pid()));
  part();
  CHECK(ga().members(scope, g).empty());
  CHECK(ga().which(scope).empty());
  CHECK(gb().members(scope, g) == pids{q->pid()});
  connect("a@h", "b@h");
  run();
  CHECK(ga().members(scope, g) == pids{q->pid()});
  CHECK(p->all()
        == terms(tup(ref, "leave", g, list_of(q->pid())),
                 tup(ref, "join", g, list_of(q->pid()))));
}

TEST_CASE_METHOD(two, "a node that joins later learns all groups") {
  for (auto* name : {"g1", "g2"})
    ga().join(scope, atom(name), {p->pid(), p->pid()});
  ga().join(atom("other"), g, {p->pid()});
  add_node("c@h", 3);
  connect("a@h", "c@h");
  run();
  auto& gc = *at("c@h").groups;
  CHECK(gc.which(scope) == terms("g1", "g2"));
  CHECK(gc.members(scope, atom("g1")).size() == 2);
  CHECK(gc.members(atom("other"), g).size() == 1);
  // Nodes tell only of their own members: b is not connected to c.
  gb().join(scope, g, {q->pid()});
  run();
  CHECK(gc.members(scope, g).empty());
}

TEST_CASE_METHOD(two, "changes made while nodes meet are seen once") {
  part();
  ga().join(scope, g, {p->pid()});
  hold(true);
  connect("a@h", "b@h");
  ga().join(scope, g, {p->pid()}); // behind the sync
  ga().leave(scope, g, {p->pid()});
  ga().join(scope, g, {p->pid()});
  hold(false);
  run();
  CHECK(gb().members(scope, g).size() == 2);
}

TEST_CASE_METHOD(two, "a member that ends while its node is lost is not there "
                      "when it returns") {
  auto x = spawn(b());
  gb().join(scope, g, {x, q->pid()});
  run();
  part();
  b().exit(x, atom("kill"));
  connect("a@h", "b@h");
  run();
  CHECK(ga().members(scope, g) == pids{q->pid()});
}

TEST_CASE_METHOD(two, "groups refuse an operation that they don't know") {
  CHECK_THROWS_WITH(
    ga().handle("b@h", operation{make_op("dance", scope, g, list_of())}),
    Catch::Contains("dance"));
}
