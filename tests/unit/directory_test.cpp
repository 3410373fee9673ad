#include <catch2/catch.hpp>

#include "actors/directory.hpp"
#include "test_cluster.hpp"

using namespace hornbeam;
using namespace hornbeam::test;

namespace {

struct fixture : test_cluster {
  fixture() {
    for (auto* name : {"a@h", "b@h"}) {
      auto& n = add_node(name);
      dirs[name] = std::make_unique<actors::directory>(n);
      n.add("directory", dirs[name]->make_service());
    }
  }
  ~fixture() { stop(); }
  actors::directory& a() { return *dirs["a@h"]; }
  actors::directory& b() { return *dirs["b@h"]; }
  std::map<std::string, std::unique_ptr<actors::directory>> dirs;
};

} // namespace

TEST_CASE_METHOD(fixture, "a node that joins learns all members") {
  a().set_local("hook", "x", 1);
  a().set_local("topic", "t", 3);
  run();
  CHECK(b().remote("hook", "x").empty());
  connect("a@h", "b@h");
  run();
  REQUIRE(b().remote("hook", "x").size() == 1);
  CHECK(b().remote("hook", "x")[0].node == "a@h");
  CHECK(b().remote("topic", "t")[0].count == 3);
  CHECK(b().names("hook") == std::vector<std::string>{"x"});
}

TEST_CASE_METHOD(fixture, "connected nodes hear of changes") {
  connect("a@h", "b@h");
  run();
  a().set_local("hook", "x", 1);
  run();
  CHECK(b().remote("hook", "x").size() == 1);
  a().set_local("hook", "x", 0);
  run();
  CHECK(b().remote("hook", "x").empty());
  CHECK(b().names("hook").empty());
}

TEST_CASE_METHOD(fixture, "the last of many changes is what peers know") {
  connect("a@h", "b@h");
  for (int i = 1; i <= 5; ++i)
    a().set_local("topic", "t", i);
  run();
  CHECK(b().remote("topic", "t")[0].count == 5);
}

TEST_CASE_METHOD(fixture, "a node that goes down is forgotten") {
  a().set_local("hook", "x", 1);
  connect("a@h", "b@h");
  run();
  disconnect("a@h", "b@h");
  run();
  CHECK(b().remote("hook", "x").empty());
  CHECK(a().local("hook", "x") == 1);
}

TEST_CASE_METHOD(fixture, "a node that comes back announces what it has now") {
  a().set_local("hook", "old", 1);
  connect("a@h", "b@h");
  run();
  disconnect("a@h", "b@h");
  a().set_local("hook", "old", 0);
  a().set_local("hook", "new", 1);
  connect("a@h", "b@h");
  run();
  CHECK(b().names("hook") == std::vector<std::string>{"new"});
}

TEST_CASE_METHOD(fixture, "an unknown operation is answered with its name") {
  auto x = ask("a@h", "a@h", "directory", make_op("dance"));
  REQUIRE_FALSE(x.ok());
  CHECK_THAT(x.error().message, Catch::Contains("dance"));
}
