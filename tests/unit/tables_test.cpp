#include <catch2/catch.hpp>

#include "actors/tables.hpp"
#include "test_cluster.hpp"

using namespace hornbeam;
using namespace hornbeam::test;

namespace {

struct fixture : test_cluster {
  fixture() : table(all.open("state")) {
    add_node("a@h");
    add_node("b@h").add("table:state", [this] {
      return actors::make_table_service(all, "state");
    });
    connect("a@h", "b@h");
    run();
  }
  ~fixture() { stop(); }
  /// Asks from the other node.
  template <class... Ts>
  outcome remote(const char* op, Ts&&... args) {
    return ask("a@h", "b@h", "table:state",
               make_op(op, std::forward<Ts>(args)...));
  }
  tables all;
  table_ptr table;
};

const term key = term::tuple({term::string("k"), term{1}});

} // namespace

TEST_CASE_METHOD(fixture, "the actor's answers are those of the direct way") {
  auto one = [](term x) { return term::list({std::move(x)}); };
  auto none = term::list({});
  CHECK(*remote("get", key) == none);
  remote("set", key, term{1.5});
  CHECK(*table->get(key) == term{1.5});
  table->set(key, term{2.5});
  CHECK(*remote("get", key) == one(term{2.5}));
  CHECK(*remote("contains", key) == term{true});
  CHECK(*remote("insert_new", key, term{9}) == term{false});
  CHECK(*remote("delete", key) == term{true});
  CHECK_FALSE(table->contains(key));
  CHECK(*remote("insert_new", key, term{9}) == term{true});
  CHECK(*remote("take", key) == one(term{9}));
  CHECK(*remote("take", key) == none);
  CHECK(*remote("incr", term{1}, term{5}) == term{5});
  CHECK(table->update_counter(term{1}, term{1}) == term{6});
  table->set(term::string("pa"), term{});
  CHECK(*remote("keys", term::string("p")) == term::list({term::string("pa")}));
  CHECK(remote("keys")->items().size() == table->size());
  CHECK(*remote("size") == term{2});
  CHECK(*remote("get_many", term::list({term{1}, term{7}}))
        == term::list({one(term{6}), none}));
  remote("clear");
  CHECK(table->size() == 0);
}

TEST_CASE_METHOD(fixture, "a counter of another node refuses as a local one") {
  table->set(key, term::string("text"));
  auto x = remote("incr", key, term{1});
  REQUIRE_FALSE(x.ok());
  CHECK(x.error().code == error_code::bad_type);
  CHECK(table->get(key)->text() == "text");
}

TEST_CASE_METHOD(fixture,
                 "missing arguments and unknown operations are named") {
  CHECK_THAT(remote("set", key).error().message, Catch::Contains("'set'"));
  CHECK_THAT(remote("fly").error().message, Catch::Contains("'fly'"));
}

TEST_CASE_METHOD(fixture, "killing the actor loses neither data nor calls") {
  remote("set", key, term{1});
  auto& box = node("b@h").service("table:state");
  caf::anon_send_exit(box.current(), caf::exit_reason::kill);
  run();
  std::optional<outcome> answer;
  node("a@h").request("b@h", "table:state", make_op("set", key, term{2}), {}, 0,
                      responder{[&](outcome x) { answer = std::move(x); }});
  run();
  CHECK_FALSE(answer); // it waits for the next actor
  box.start(system());
  run();
  CHECK(answer->ok());
  CHECK(*remote("get", key) == term::list({term{2}}));
}
