#include "table_fixture.hpp"

#include <list>
#include <random>

using namespace hornbeam::test;

TEST_CASE_METHOD(table_node, "a full table lets go what was used least") {
  table_options o;
  o.max_entries = 3;
  auto& t = make(o);
  for (int i = 1; i <= 3; ++i)
    t.set(term{i}, term{i});
  t.get(term{1});
  t.set(term{4}, term{4});
  CHECK_FALSE(t.contains(term{2}));
  CHECK(t.contains(term{1}));
  t.set(term{5}, term{5});
  CHECK_FALSE(t.contains(term{3}));
  CHECK(*t.info().find(atom("evicted")) == term{2});
  CHECK(t.size() == 3);
}

TEST_CASE("the order of use is exact") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random{seed};
  table_options o;
  o.max_entries = 50;
  memory_table t{"t", o};
  std::list<int> order; // the newest in front
  for (int i = 0; i < 20'000; ++i) {
    int k = static_cast<int>(random() % 80);
    auto at = std::find(order.begin(), order.end(), k);
    switch (random() % 4) {
      case 0:
        REQUIRE(t.contains(term{k}) == (at != order.end()));
        break;
      case 1:
        REQUIRE(t.get(term{k}).has_value() == (at != order.end()));
        break;
      case 2:
        REQUIRE(t.erase(term{k}) == (at != order.end()));
        if (at != order.end())
          order.erase(at);
        continue;
      default:
        t.set(term{k}, term{i});
        if (at == order.end()) {
          order.push_front(k);
          if (order.size() > 50)
            order.pop_back();
          continue;
        }
    }
    if (at != order.end())
      order.splice(order.begin(), order, at);
  }
  REQUIRE(t.size() == order.size());
  for (auto k : order)
    CHECK(t.contains(term{k}));
}

TEST_CASE_METHOD(table_node, "a table can be bounded by bytes") {
  table_options o;
  o.max_bytes = 10'000;
  auto& t = make(o);
  std::string kilobyte(1000, 'x');
  for (int i = 0; i < 100; ++i)
    t.set(term{i}, text(kilobyte));
  CHECK(t.size() == 9);
  CHECK(t.contains(term{99}));
  auto bytes = t.info().find(atom("bytes"))->as_int();
  CHECK(bytes > 9000);
  CHECK(bytes <= 10'000);
  for (int i = 91; i < 100; ++i)
    t.set(term{i}, term{1});
  CHECK(t.info().find(atom("bytes"))->as_int() < 1000);
  t.clear();
  CHECK(*t.info().find(atom("bytes")) == term{0});
}

TEST_CASE_METHOD(table_node, "what can never fit is refused") {
  table_options o;
  o.max_bytes = 1000;
  auto& t = make(o);
  t.set(term{1}, term{1});
  CHECK_THROWS_WITH(t.set(term{2}, text(std::string(2000, 'x'))),
                    Catch::Contains("max_bytes"));
  CHECK(t.contains(term{1}));
}

TEST_CASE_METHOD(table_node, "evictions are told to who watches") {
  table_options o;
  o.max_entries = 1;
  auto& t = make(o);
  t.set(term{1}, text("old"));
  std::vector<table_event> events;
  t.watch(table_interest::in_key(term{1}),
          [&](const table_event& e) { events.push_back(e); });
  t.set(term{2}, text("new"));
  REQUIRE(events.size() == 1);
  CHECK(events[0].what == table_event::kind::evicted);
  CHECK(events[0].before == text("old"));
}
