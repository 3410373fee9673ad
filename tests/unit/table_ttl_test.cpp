#include "table_fixture.hpp"

#include <random>

using namespace hornbeam::test;

TEST_CASE_METHOD(table_node, "a key with a time to live is gone after it") {
  auto& t = make();
  t.set(term{1}, text("x"), 100);
  t.set(term{2}, text("y"));
  CHECK(t.left_ms(term{1}) == 100);
  CHECK(t.left_ms(term{2}) == 0);
  CHECK_FALSE(t.left_ms(term{3}));
  advance(99);
  CHECK(t.contains(term{1}));
  CHECK(t.left_ms(term{1}) == 1);
  advance(1);
  CHECK_FALSE(t.contains(term{1}));
  CHECK(t.contains(term{2}));
  CHECK(t.size() == 1);
  CHECK(*t.info().find(atom("expired")) == term{1});
}

TEST_CASE_METHOD(table_node, "what has expired goes without being asked for") {
  auto& t = make();
  std::vector<table_event> events;
  t.watch(table_interest::in_prefix(""),
          [&](const table_event& e) { events.push_back(e); });
  for (int i = 0; i < 1000; ++i)
    t.set(term{i}, term{i}, 50 + i % 10);
  events.clear();
  advance(54);
  CHECK(events.size() == 500);
  advance(100);
  REQUIRE(events.size() == 1000);
  CHECK(events[0].what == table_event::kind::expired);
  CHECK(events[0].before);
  CHECK_FALSE(events[0].after);
}

TEST_CASE_METHOD(table_node, "setting a key sets its time anew") {
  auto& t = make();
  t.set(term{1}, term{1}, 100);
  t.set(term{1}, term{2});
  advance(200);
  CHECK(t.contains(term{1}));
  CHECK(t.expire(term{1}, 50));
  CHECK_FALSE(t.expire(term{2}, 50));
  CHECK(t.expire(term{1}, 0));
  advance(100);
  CHECK(t.contains(term{1}));
}

TEST_CASE_METHOD(table_node, "a counter keeps the time of its key") {
  auto& t = make();
  CHECK(t.update_counter(text("rate"), term{1}, 100) == term{1});
  advance(60);
  CHECK(t.update_counter(text("rate"), term{1}, 100) == term{2});
  advance(40);
  CHECK(t.update_counter(text("rate"), term{1}, 100) == term{1});
}

TEST_CASE_METHOD(table_node, "a table can have a time to live for all keys") {
  table_options o;
  o.ttl_ms = 10;
  auto& t = make(o);
  t.set(term{1}, term{1});
  t.set(term{2}, term{2}, 0);
  t.set_many({{term{3}, term{3}}});
  t.insert_new(term{4}, term{4}, 20);
  advance(10);
  CHECK(t.size() == 2);
  advance(10);
  CHECK(t.keys() == std::vector<term>{term{2}});
}

TEST_CASE_METHOD(table_node, "a negative time to live is refused") {
  auto& t = make();
  CHECK_THROWS_WITH(t.set(term{1}, term{1}, -5), Catch::Contains("-5"));
  CHECK_THROWS_AS(t.expire(term{1}, -5), bad_term);
  CHECK(t.size() == 0);
}

TEST_CASE_METHOD(table_node, "keys by prefix don't show what has expired") {
  auto& t = make();
  t.set(text("a1"), term{}, 10);
  t.set(text("a2"), term{});
  CHECK(t.keys("a").size() == 2);
  advance(10);
  CHECK(t.keys("a") == std::vector<term>{text("a2")});
}

TEST_CASE("the earliest slot is at the front of the heap, whatever is set") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random{seed};
  expiry_heap heap;
  std::map<std::uint32_t, ticks> plain;
  for (int i = 0; i < 20'000; ++i) {
    auto slot = static_cast<std::uint32_t>(random() % 200);
    if (random() % 3 == 0) {
      heap.erase(slot);
      plain.erase(slot);
    } else {
      auto at = static_cast<ticks>(random() % 1000);
      heap.set(slot, at);
      plain[slot] = at;
    }
    auto least = never;
    for (auto& [s, at] : plain)
      least = std::min(least, at);
    REQUIRE(heap.next() == least);
    REQUIRE(heap.of(slot) == (plain.contains(slot) ? plain[slot] : never));
  }
}
