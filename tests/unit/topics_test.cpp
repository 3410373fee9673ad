#include <catch2/catch.hpp>

#include "actors/topics.hpp"
#include "runtime/process/attached_process.hpp"
#include "test_cluster.hpp"

using namespace hornbeam;
using namespace hornbeam::test;

namespace {

struct fixture : test_cluster {
  fixture() {
    for (auto* name : {"a@h", "b@h"}) {
      auto& n = add_node(name);
      all[name] = std::make_unique<processes>(system(), n, true);
      parts[name] = std::make_unique<actors::topics>(n, *all[name]);
      n.add("topics", [&t = *parts[name]] { return t.make_service(); });
    }
    connect("a@h", "b@h");
    run();
  }
  ~fixture() { stop(); }
  attached_process box(const std::string& name) {
    return attached_process{*all.at(name)};
  }
  actors::topics& on(const std::string& name) { return *parts[name]; }

  std::map<std::string, std::unique_ptr<processes>> all;
  std::map<std::string, std::unique_ptr<actors::topics>> parts;
};

std::vector<std::string> bodies(attached_process& box) {
  std::vector<std::string> out;
  while (auto m = box.receive(actors::is_topic_message, deadline::in(0)))
    out.push_back(to_string(m->at(2)));
  return out;
}

} // namespace

TEST_CASE_METHOD(fixture, "subscribers on every node get what is published") {
  auto near = box("a@h");
  auto far = box("b@h");
  on("a@h").subscribe("t", near.pid());
  on("b@h").subscribe("t", far.pid());
  run();
  CHECK(on("a@h").publish("t", term{1}) == 2);
  run();
  CHECK(bodies(near) == std::vector<std::string>{"1"});
  CHECK(bodies(far) == std::vector<std::string>{"1"});
}

TEST_CASE_METHOD(fixture, "who answers a message knows its sender's topics") {
  auto me = box("a@h");
  auto far = box("b@h");
  on("b@h").subscribe("question", far.pid());
  run();
  on("a@h").subscribe("answer", me.pid());
  on("a@h").publish("question", term{1});
  far.notify_once([&] { CHECK(on("b@h").publish("answer", term{2}) == 1); });
  run();
  CHECK(bodies(me) == std::vector<std::string>{"2"});
}

TEST_CASE_METHOD(fixture, "a message to nobody is sent to nobody") {
  CHECK(on("a@h").publish("t", term{1}) == 0);
}

TEST_CASE_METHOD(fixture, "to subscribe twice is to subscribe once") {
  auto me = box("a@h");
  CHECK(on("a@h").subscribe("t", me.pid()));
  CHECK_FALSE(on("a@h").subscribe("t", me.pid()));
  CHECK(on("a@h").publish("t", term{1}) == 1);
}

TEST_CASE_METHOD(fixture, "messages of one publisher arrive in order") {
  auto far = box("b@h");
  on("b@h").subscribe("t", far.pid());
  run();
  for (int i = 0; i < 5; ++i)
    on("a@h").publish("t", term{i});
  run();
  CHECK(bodies(far) == std::vector<std::string>{"0", "1", "2", "3", "4"});
}

TEST_CASE_METHOD(fixture, "who has unsubscribed gets nothing more") {
  auto far = box("b@h");
  on("b@h").subscribe("t", far.pid());
  run();
  on("b@h").unsubscribe("t", far.pid());
  run();
  CHECK(on("a@h").publish("t", term{1}) == 0);
  run();
  CHECK(far.queue_length() == 0);
}

TEST_CASE_METHOD(fixture, "a process that ends leaves all topics") {
  auto end = [&](auto how) {
    auto me = box("a@h");
    auto other = box("a@h");
    on("a@h").subscribe("t", me.pid());
    on("a@h").subscribe("t", other.pid());
    on("a@h").subscribe("u", me.pid());
    on("a@h").subscribe("v", me.pid());
    on("a@h").unsubscribe("v", me.pid());
    how(me);
    CHECK(on("a@h").count("t") == 1);
    CHECK(on("a@h").count("u") == 0);
    CHECK(on("a@h").publish("t", term{1}) == 1);
    CHECK_THROWS_WITH(on("a@h").subscribe("t", me.pid()),
                      Catch::Contains("no living process of this node"));
  };
  end([](auto& me) { me.detach(); });
  end([&](auto& me) { all.at("a@h")->exit(me.pid(), term::atom("kill")); });
}

TEST_CASE_METHOD(fixture, "what a topic sends looks like nothing else") {
  auto me = box("a@h");
  on("a@h").subscribe("t", me.pid());
  on("a@h").publish("t", term{1});
  auto got = me.receive(deadline::in(0));
  REQUIRE(got);
  CHECK(*got == actors::topic_message(term::string("t"), term{1}));
  CHECK(actors::is_topic_message(*got));
  for (auto& x :
       {term{1}, term::atom("$topic"), term::tuple({}),
        term::tuple({term::string("$topic"), term::string("t"), term{1}}),
        term::tuple({term::atom("$topic"), term{1}, term{1}})})
    CHECK_FALSE(actors::is_topic_message(x));
}

TEST_CASE_METHOD(fixture, "a node that is down is not counted") {
  auto far = box("b@h");
  on("b@h").subscribe("t", far.pid());
  run();
  disconnect("a@h", "b@h");
  run();
  CHECK(on("a@h").publish("t", term{1}) == 0);
}

TEST_CASE_METHOD(fixture, "the actor publishes to its own node by message") {
  auto far = box("b@h");
  on("b@h").subscribe("t", far.pid());
  auto x = ask("a@h", "b@h", "topics",
               make_op("publish", term::string("t"), term{7}));
  CHECK(*x == term{1});
  CHECK(bodies(far) == std::vector<std::string>{"7"});
}
