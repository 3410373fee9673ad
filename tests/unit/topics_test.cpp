#include <catch2/catch.hpp>

#include "actors/topics.hpp"
#include "test_cluster.hpp"

using namespace hornbeam;
using namespace hornbeam::test;

namespace {

struct fixture : test_cluster {
  fixture() {
    for (auto* name : {"a@h", "b@h"}) {
      auto& n = add_node(name);
      parts[name] = std::make_unique<actors::topics>(n);
      n.add("topics", [&t = *parts[name]] { return t.make_service(); });
    }
    connect("a@h", "b@h");
    run();
  }
  ~fixture() { stop(); }
  mailbox_ptr box(const std::string& name) {
    return std::make_shared<mailbox>(pid{node(name).self(), next++});
  }
  actors::topics& on(const std::string& name) { return *parts[name]; }

  std::map<std::string, std::unique_ptr<actors::topics>> parts;
  std::uint64_t next = 1;
};

std::vector<std::string> bodies(const mailbox_ptr& box) {
  std::vector<std::string> out;
  while (auto m = box->receive(clock::now()))
    out.push_back(to_string(m->body));
  return out;
}

} // namespace

TEST_CASE_METHOD(fixture, "subscribers on every node get what is published") {
  auto near = box("a@h");
  auto far = box("b@h");
  on("a@h").subscribe("t", near);
  on("b@h").subscribe("t", far);
  run();
  CHECK(on("a@h").publish("t", term{1}) == 2);
  run();
  CHECK(bodies(near) == std::vector<std::string>{"1"});
  CHECK(bodies(far) == std::vector<std::string>{"1"});
}

TEST_CASE_METHOD(fixture, "who answers a message knows its sender's topics") {
  auto me = box("a@h");
  auto far = box("b@h");
  on("b@h").subscribe("question", far);
  run();
  on("a@h").subscribe("answer", me);
  on("a@h").publish("question", term{1});
  far->notify_once([&] { CHECK(on("b@h").publish("answer", term{2}) == 1); });
  run();
  CHECK(bodies(me) == std::vector<std::string>{"2"});
}

TEST_CASE_METHOD(fixture, "a message to nobody is sent to nobody") {
  CHECK(on("a@h").publish("t", term{1}) == 0);
}

TEST_CASE_METHOD(fixture, "to subscribe twice is to subscribe once") {
  auto me = box("a@h");
  CHECK(on("a@h").subscribe("t", me));
  CHECK_FALSE(on("a@h").subscribe("t", me));
  CHECK(on("a@h").publish("t", term{1}) == 1);
}

TEST_CASE_METHOD(fixture, "messages of one publisher arrive in order") {
  auto far = box("b@h");
  on("b@h").subscribe("t", far);
  run();
  for (int i = 0; i < 5; ++i)
    on("a@h").publish("t", term{i});
  run();
  CHECK(bodies(far) == std::vector<std::string>{"0", "1", "2", "3", "4"});
}

TEST_CASE_METHOD(fixture, "who has unsubscribed gets nothing more") {
  auto far = box("b@h");
  on("b@h").subscribe("t", far);
  run();
  on("b@h").unsubscribe("t", far);
  run();
  CHECK(on("a@h").publish("t", term{1}) == 0);
  run();
  CHECK(far->size() == 0);
}

TEST_CASE_METHOD(fixture, "an owner that ends leaves all topics") {
  auto me = box("a@h");
  on("a@h").subscribe("t", me);
  on("a@h").subscribe("u", me);
  me->close();
  on("a@h").leave_all(me);
  CHECK(on("a@h").count("t") == 0);
  CHECK(on("a@h").count("u") == 0);
  CHECK_FALSE(me->push({"t", term{1}}));
}

TEST_CASE_METHOD(fixture, "a node that is down is not counted") {
  auto far = box("b@h");
  on("b@h").subscribe("t", far);
  run();
  disconnect("a@h", "b@h");
  run();
  CHECK(on("a@h").publish("t", term{1}) == 0);
}

TEST_CASE_METHOD(fixture, "the actor publishes to its own node by message") {
  auto far = box("b@h");
  on("b@h").subscribe("t", far);
  auto x = ask("a@h", "b@h", "topics",
               make_op("publish", term::string("t"), term{7}));
  CHECK(*x == term{1});
  CHECK(bodies(far) == std::vector<std::string>{"7"});
}
