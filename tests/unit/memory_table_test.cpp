#include <catch2/catch.hpp>

#include <thread>

#include "runtime/table_memory/table.hpp"

using namespace hornbeam::runtime;

TEST_CASE("a table finds exactly the key that was set") {
  memory_table t{"t"};
  t.set(term{1}, term::string("one"));
  CHECK(t.get(term{1})->text() == "one");
  CHECK_FALSE(t.get(term{1.0}));
  CHECK_FALSE(t.get(term{true}));
  CHECK(t.contains(term{1}));
  t.set(term{1}, term{});
  CHECK(t.get(term{1})->is_none());
}

TEST_CASE("insert_new sets only what is not there") {
  memory_table t{"t"};
  CHECK(t.insert_new(term{1}, term{2}));
  CHECK_FALSE(t.insert_new(term{1}, term{3}));
  CHECK(*t.get(term{1}) == term{2});
}

TEST_CASE("take returns and removes") {
  memory_table t{"t"};
  t.set(term{1}, term{2});
  CHECK(*t.take(term{1}) == term{2});
  CHECK_FALSE(t.take(term{1}));
  CHECK(t.size() == 0);
}

TEST_CASE("a counter has no upper limit") {
  memory_table t{"t"};
  auto top = std::numeric_limits<std::int64_t>::max();
  t.set(term{1}, term{top});
  CHECK(t.update_counter(term{1}, term{1})
        == term{big_integer{"9223372036854775808"}});
  CHECK(t.update_counter(term{1}, term{-1}) == term{top});
}

TEST_CASE("a counter refuses what is no integer and changes nothing") {
  memory_table t{"t"};
  t.set(term::string("k"), term{1.5});
  CHECK_THROWS_WITH(t.update_counter(term::string("k"), term{1}),
                    Catch::Contains("\"k\""));
  CHECK(*t.get(term::string("k")) == term{1.5});
  CHECK_THROWS_AS(t.update_counter(term::string("new"), term{1.0}), bad_term);
  CHECK_FALSE(t.contains(term::string("new")));
}

TEST_CASE("keys by prefix come in key order, and only strings") {
  memory_table t{"t"};
  for (auto* k : {"b2", "a", "b1", "c", "b"})
    t.set(term::string(k), term{});
  t.set(term::atom("bb"), term{});
  auto keys = t.keys("b");
  REQUIRE(keys.size() == 3);
  CHECK(keys[0].text() == "b");
  CHECK(keys[2].text() == "b2");
  CHECK(t.keys().size() == 6);
}

TEST_CASE("no increment of many threads is lost") {
  memory_table t{"t"};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&t] {
      for (int k = 0; k < 20'000; ++k)
        t.update_counter(term::string("n"), term{1});
    });
  for (auto& x : threads)
    x.join();
  CHECK(*t.get(term::string("n")) == term{80'000});
}
