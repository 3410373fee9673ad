#include <catch2/catch.hpp>

#include "actors/directory.hpp"
#include "test_cluster.hpp"

using namespace hornbeam;
using namespace hornbeam::test;

namespace {

/// A service that has nothing but its members.
struct members : service {
  explicit members(actors::directory& d) : directory(d) {}
  void handle(call& c) override { directory.handle(c, operation{c.op}); }
  void peer(const peer_event& e) override { directory.peer(e); }
  actors::directory& directory;
};

struct fixture : test_cluster {
  fixture() {
    for (auto* name : {"a@h", "b@h"}) {
      auto& n = add_node(name);
      dirs[name] = std::make_unique<actors::directory>(n, "hooks");
      n.add("hooks",
            [&d = *dirs[name]] { return std::make_unique<members>(d); });
    }
  }
  ~fixture() { stop(); }
  actors::directory& a() { return *dirs["a@h"]; }
  actors::directory& b() { return *dirs["b@h"]; }
  std::map<std::string, std::unique_ptr<actors::directory>> dirs;
};

} // namespace

TEST_CASE_METHOD(fixture, "a node that joins learns all members") {
  a().set_local("x", 1);
  a().set_local("t", 3);
  run();
  CHECK(b().remote("x").empty());
  connect("a@h", "b@h");
  run();
  REQUIRE(b().remote("x").size() == 1);
  CHECK(b().remote("x")[0].node == "a@h");
  CHECK(b().remote("t")[0].count == 3);
  CHECK(b().names() == std::vector<std::string>{"t", "x"});
}

TEST_CASE_METHOD(fixture, "connected nodes hear of changes") {
  connect("a@h", "b@h");
  run();
  a().set_local("x", 1);
  run();
  CHECK(b().remote("x").size() == 1);
  a().set_local("x", 0);
  run();
  CHECK(b().remote("x").empty());
  CHECK(b().names().empty());
}

TEST_CASE_METHOD(fixture, "the last of many changes is what peers know") {
  connect("a@h", "b@h");
  for (int i = 1; i <= 5; ++i)
    a().set_local("t", i);
  run();
  CHECK(b().remote("t")[0].count == 5);
}

TEST_CASE_METHOD(fixture,
                 "who wants to know whether the others know is told when they "
                 "do") {
  bool known = false;
  auto ask = [&] {
    known = false;
    a().when_known(responder{[&](const outcome&) { known = true; }});
  };
  ask();
  CHECK(known); // there is nobody else
  connect("a@h", "b@h");
  run();
  a().set_local("x", 1);
  ask();
  CHECK_FALSE(known);
  CHECK(b().remote("x").empty());
  run();
  CHECK(known);
  CHECK(b().remote("x").size() == 1);

  ask();
  disconnect("a@h", "b@h");
  run();
  CHECK(known);
  ask();
  CHECK(known);
}

TEST_CASE_METHOD(fixture, "a node that goes down is forgotten") {
  a().set_local("x", 1);
  connect("a@h", "b@h");
  run();
  disconnect("a@h", "b@h");
  run();
  CHECK(b().remote("x").empty());
  CHECK(a().local("x") == 1);
}

TEST_CASE_METHOD(fixture, "a node that comes back announces what it has now") {
  a().set_local("old", 1);
  connect("a@h", "b@h");
  run();
  disconnect("a@h", "b@h");
  a().set_local("old", 0);
  a().set_local("new", 1);
  connect("a@h", "b@h");
  run();
  CHECK(b().names() == std::vector<std::string>{"new"});
}

TEST_CASE_METHOD(fixture, "who offers nothing is taken for one that has "
                          "nothing, until it does") {
  a().set_local("x", 1);
  connect("a@h", "b@h");
  run();
  a().offer(false);
  a().set_local("y", 1);
  run();
  CHECK(b().names().empty());
  CHECK(a().local("x") == 1);

  disconnect("a@h", "b@h");
  connect("a@h", "b@h");
  run();
  CHECK(b().names().empty());

  a().offer(true);
  run();
  CHECK(b().names() == std::vector<std::string>{"x", "y"});
  a().offer(true);
  run();
  CHECK(b().names().size() == 2);
}

TEST_CASE_METHOD(fixture, "what the names of one node take is bounded") {
  auto& n = add_node("c@h");
  actors::directory c{n, "hooks", std::make_shared<actors::silent_peers>(),
                      2000};
  n.add("hooks", [&c] { return std::make_unique<members>(c); });
  connect("a@h", "c@h");
  connect("b@h", "c@h");
  run();
  for (int i = 0; i < 100; ++i)
    a().set_local("n" + std::to_string(i), 1);
  b().set_local("of b", 1);
  run();
  auto known = c.names().size();
  CHECK(known > 5);
  CHECK(known < 20);
  CHECK(c.remote("of b").size() == 1);
  a().set_local("n0", 2); // which is known
  run();
  CHECK(c.remote("n0").at(0).count == 2);
  for (int i = 0; i < 100; ++i)
    a().set_local("n" + std::to_string(i), 0);
  a().set_local("later", 1);
  run();
  CHECK(c.names() == std::vector<std::string>{"later", "of b"});
  stop(); // before `c` goes
}

TEST_CASE("a peer that stands still is waited for by one directory of a node, "
          "and not by the next") {
  struct deaf : router {
    origin_ptr self() const override { return me; }
    std::vector<std::string> peers() const override { return {"b@h"}; }
    bool cast(const std::string&, const std::string&, const term&) override {
      return true;
    }
    void request(const std::string&, const std::string&, const term&, deadline,
                 std::uint32_t, responder) override {}
    origin_ptr me = origin::of("a@h", 1);
  } net;
  auto silent = std::make_shared<actors::silent_peers>();
  actors::directory hooks{net, "hooks", silent};
  actors::directory topics{net, "topics", silent};
  for (auto* x : {&hooks, &topics})
    x->peer({"b@h", 2, true});
  auto now = clock::now();
  bool known = false;
  auto ask = [&](actors::directory& x) {
    known = false;
    x.when_known(responder{[&](const outcome&) { known = true; }});
    return known;
  };
  CHECK_FALSE(ask(hooks));
  CHECK_FALSE(ask(topics)); // it may still answer
  silent->owes_nothing("b@h");
  silent->asked("b@h", now - actors::silent_peers::patience);
  CHECK(ask(hooks));
  CHECK(ask(topics));
  call answer;
  answer.from = "b@h";
  answer.op = make_op("known", 99);
  hooks.handle(answer, operation{answer.op});
  CHECK_FALSE(ask(topics));
  hooks.peer({"b@h", 2, false}); // who waits is answered
  topics.peer({"b@h", 2, false});
  CHECK(known);
}
