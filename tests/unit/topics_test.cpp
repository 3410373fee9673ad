#include <catch2/catch.hpp>

#include "actors/topics.hpp"
#include "test_cluster.hpp"

using namespace hornbeam;
using namespace hornbeam::test;

namespace {

struct fixture : test_cluster {
  struct part {
    explicit part(router& net) : directory(net), topics(net, directory) {}
    actors::directory directory;
    actors::topics topics;
  };
  fixture() {
    for (auto* name : {"a@h", "b@h"}) {
      auto& n = add_node(name);
      parts[name] = std::make_unique<part>(n);
      n.add("directory", parts[name]->directory.make_service());
      n.add("topics", parts[name]->topics.make_service());
    }
    connect("a@h", "b@h");
    run();
  }
  ~fixture() { stop(); }
  mailbox_ptr box(const std::string& name) {
    return std::make_shared<mailbox>(pid{node(name).self(), next++});
  }
  actors::topics& on(const std::string& name) { return parts[name]->topics; }

  std::map<std::string, std::unique_ptr<part>> parts;
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
