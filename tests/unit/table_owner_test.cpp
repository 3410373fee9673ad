#include "table_fixture.hpp"

using namespace hornbeam::test;

namespace {

table_options with(table_access x) {
  table_options o;
  o.access = x;
  return o;
}

} // namespace

TEST_CASE_METHOD(table_node, "a table ends with its owner") {
  auto owner = mortal();
  auto t = all.create("t", {}, {owner, {}, {}});
  t->set(term{1}, term{1});
  CHECK(t->owner() == owner);
  end(owner, "normal");
  CHECK_FALSE(all.find("t"));
  CHECK(t->ended());
  CHECK_THROWS_WITH(t->get(term{1}), Catch::Contains("'t' is no more"));
  CHECK_THROWS_AS(t->set(term{1}, term{1}), failed);
}

TEST_CASE_METHOD(table_node,
                 "the table is gone before the owner's links hear") {
  auto owner = mortal();
  all.create("t", {}, {owner, {}, {}});
  bool there = true;
  a.on_exit(owner, [&](const term&) { there = all.find("t") != nullptr; });
  end(owner, "boom");
  CHECK_FALSE(there);
}

TEST_CASE_METHOD(table_node, "the heir gets the table, and a message first") {
  auto owner = mortal();
  me().monitor(owner);
  auto t = all.create("t", {}, {owner, p->pid(), text("data")});
  t->set(term{1}, term{1});
  end(owner, "boom");
  auto got = p->all();
  REQUIRE(got.size() == 2);
  CHECK(got[0] == tup("ETS-TRANSFER", "t", owner, text("data")));
  CHECK(got[1].at(0) == atom("DOWN"));
  CHECK(t->owner() == p->pid());
  CHECK(t->get(term{1}) == term{1});
  CHECK(t->heir() == p->pid());
}

TEST_CASE_METHOD(table_node, "an heir that gives the table away gets it back") {
  auto owner = mortal();
  auto t = all.create("t", {}, {owner, p->pid(), text("data")});
  end(owner, "boom");
  auto next = mortal();
  as(p->pid(), [&] { all.give_away("t", next, {}); });
  CHECK(t->owner() == next);
  end(next, "boom");
  CHECK(t->owner() == p->pid());
  auto got = p->all();
  REQUIRE(got.size() == 2);
  CHECK(got[1] == tup("ETS-TRANSFER", "t", next, text("data")));
}

TEST_CASE_METHOD(table_node, "a table whose owner is its own heir ends with "
                             "it") {
  auto owner = mortal();
  auto heir = mortal();
  all.create("t", {}, {owner, heir, {}});
  end(owner, "normal");
  CHECK(all.find("t")->owner() == heir);
  end(heir, "normal");
  CHECK_FALSE(all.find("t"));
}

TEST_CASE_METHOD(table_node, "a heir that has ended inherits nothing") {
  auto owner = mortal();
  auto heir = mortal();
  all.create("t", {}, {owner, heir, {}});
  end(heir, "normal");
  end(owner, "normal");
  CHECK_FALSE(all.find("t"));
}

TEST_CASE_METHOD(table_node, "a table is given away to a living process") {
  auto other = idle();
  auto owner = p->pid();
  all.create("t", {}, {other, {}, {}});
  CHECK_THROWS_WITH(all.give_away("t", owner, {}),
                    Catch::Contains("only its owner"));
  as(other, [&] { all.give_away("t", owner, text("gift")); });
  CHECK(p->all()
        == std::vector<term>{tup("ETS-TRANSFER", "t", other, text("gift"))});
  as(owner, [&] {
    CHECK_THROWS_WITH(all.give_away("t", owner, {}),
                      Catch::Contains("already"));
    auto dead = mortal();
    end(dead, "normal");
    CHECK_THROWS_WITH(all.give_away("t", dead, {}),
                      Catch::Contains("no living process"));
  });
  CHECK(all.find("t")->owner() == owner);
}

TEST_CASE_METHOD(table_node,
                 "a protected table is written by its owner alone") {
  auto t = all.create("t", with(table_access::readable), {p->pid(), {}, {}});
  CHECK_THROWS_WITH(t->set(term{1}, term{1}), Catch::Contains("protected"));
  CHECK_FALSE(t->contains(term{1}));
  as(p->pid(), [&] { t->set(term{1}, term{1}); });
  CHECK(t->get(term{1}) == term{1});
  auto other = idle();
  as(other, [&] { CHECK_THROWS_AS(t->clear(), failed); });
  as(p->pid(), [&] { all.give_away("t", other, {}); });
  as(p->pid(), [&] { CHECK_THROWS_AS(t->take(term{1}), failed); });
  as(other, [&] { CHECK(t->take(term{1})); });
}

TEST_CASE_METHOD(table_node, "a private table is read by its owner alone") {
  auto t = all.create("t", with(table_access::closed), {p->pid(), {}, {}});
  CHECK_THROWS_AS(t->get(term{1}), failed);
  CHECK_THROWS_AS(t->keys(), failed);
  as(p->pid(), [&] {
    t->set(term{1}, term{1});
    CHECK(t->get(term{1}) == term{1});
  });
}

TEST_CASE_METHOD(table_node, "the size of a private table is for everybody") {
  auto t = all.create("t", with(table_access::closed), {p->pid(), {}, {}});
  as(p->pid(), [&] { t->set(term{1}, term{1}); });
  CHECK(t->size() == 1);
  CHECK(*t->info().find(atom("size")) == term{1});
  as(p->pid(), [&] { all.drop("t"); });
  CHECK_THROWS_WITH(t->size(), Catch::Contains("'t' is no more"));
}

TEST_CASE_METHOD(table_node, "a process in C++ is known by itself") {
  auto t = all.create("t", with(table_access::closed), {p->pid(), {}, {}});
  auto owner = a.spawn(
    [](self, table_ptr x) -> process_body {
      x->set(term{1}, text("mine"));
      co_return;
    },
    t);
  as(p->pid(), [&] { all.give_away("t", owner, {}); });
  auto writes = me().monitor(owner);
  run();
  CHECK(p->all() == std::vector<term>{down(writes, owner, "normal")});
  CHECK_FALSE(all.find("t")); // it has ended without an error
}

TEST_CASE_METHOD(table_node, "tables that are not public need an owner") {
  CHECK_THROWS_WITH(make(with(table_access::closed)), Catch::Contains("owner"));
  pid far{origin::of("x@h", 1), 7, {}};
  CHECK_THROWS_WITH(all.create("t", {}, {term{far}, {}, {}}),
                    Catch::Contains("no living process"));
  CHECK_FALSE(all.find("t"));
}

TEST_CASE_METHOD(table_node, "a new table must have a name of its own") {
  make();
  CHECK_THROWS_WITH(all.create("t", {}), Catch::Contains("already"));
  CHECK_THROWS_AS(all.create("", {}), failed);
}

TEST_CASE_METHOD(table_node, "whoever may write may delete the table") {
  auto t = all.create("t", with(table_access::readable), {p->pid(), {}, {}});
  bool told = false;
  t->watch(table_interest::in_prefix(""), [&](const table_event& e) {
    told = e.what == table_event::kind::ended;
  });
  CHECK_THROWS_AS(all.drop("t"), failed);
  as(p->pid(), [&] { all.drop("t"); });
  CHECK(told);
  CHECK_THROWS_WITH(all.drop("t"), Catch::Contains("no table 't'"));
  CHECK(all.open("t")->size() == 0);
}

TEST_CASE_METHOD(table_node, "two declarations that differ are refused") {
  table_options o;
  o.ttl_ms = 5;
  o.kind = table_kind::ordered_set;
  all.declare("t", o);
  CHECK_THROWS_WITH(all.open("t", {}),
                    Catch::Contains("kind (ordered_set and set)")
                      && Catch::Contains("ttl_ms (5 and 0)"));
  CHECK(all.open("t")->options() == o);
  CHECK(all.open("t", o) == all.find("t"));
  CHECK_THROWS_AS(all.declare("t", {}), failed);
}
