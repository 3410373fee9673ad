#include <catch2/catch.hpp>

#include "runtime/table_memory/table.hpp"

using namespace hornbeam::runtime;

namespace {

table_options of(table_kind k) {
  table_options o;
  o.kind = k;
  return o;
}

term numbers(std::initializer_list<int> xs) {
  term::sequence out;
  for (int x : xs)
    out.emplace_back(x);
  return term::list(std::move(out));
}

} // namespace

TEST_CASE("a bag holds each value of a key once, in the order of setting") {
  memory_table t{"t", of(table_kind::bag)};
  for (int x : {3, 1, 3, 2, 1})
    t.set(term{1}, term{x});
  CHECK(t.get(term{1}) == numbers({3, 1, 2}));
  CHECK(t.size() == 3);
  CHECK(t.erase_object(term{1}, term{1}) == 1);
  CHECK(t.take(term{1}) == numbers({3, 2}));
  CHECK_FALSE(t.get(term{1}));
}

TEST_CASE("a duplicate_bag keeps equal values, also while it grows") {
  memory_table t{"t", of(table_kind::duplicate_bag)};
  for (int i = 0; i < 200; ++i)
    t.set(term{7}, term{i % 3});
  auto all = t.get(term{7})->to_sequence();
  REQUIRE(all.size() == 200);
  for (int i = 0; i < 200; ++i)
    CHECK(all[static_cast<std::size_t>(i)] == term{i % 3});
  CHECK(t.erase_object(term{7}, term{0}) == 67);
  CHECK(t.size() == 133);
  CHECK(t.keys("").empty());
}

TEST_CASE("a bag has no operations that need one value") {
  memory_table t{"t", of(table_kind::bag)};
  CHECK_THROWS_WITH(t.swap(term{1}, term{1}), Catch::Contains("bag"));
  CHECK_THROWS_AS(t.update_counter(term{1}, term{1}), bad_term);
  CHECK_THROWS_AS(t.compare_and_swap(term{1}, {}, term{1}), bad_term);
}

TEST_CASE("an ordered_set takes 1 and 1.0 as one key, a set does not") {
  memory_table t{"t", of(table_kind::ordered_set)};
  t.set(term{1}, term::string("a"));
  CHECK(t.get(term{1.0}) == term::string("a"));
  t.set(term{1.0}, term::string("b"));
  CHECK(t.size() == 1);
  // The newer object takes the place of the older one, key and all.
  CHECK(t.keys() == std::vector<term>{term{1.0}});
  t.set(term::tuple({term{1}, term{2.0}}), term{1});
  CHECK(t.contains(term::tuple({term{1.0}, term{2}})));
  CHECK_FALSE(t.contains(term::tuple({term{1.5}, term{2}})));
  memory_table u{"u"};
  u.set(term{1}, term{});
  CHECK_FALSE(u.contains(term{1.0}));
}

TEST_CASE("an ordered_set is walked in the order of its keys") {
  memory_table t{"t", of(table_kind::ordered_set)};
  std::vector<term> expected;
  for (int i = 0; i < 3000; ++i) {
    auto k = term{i * 7919 % 3000};
    t.set(k, k);
    expected.emplace_back(i);
  }
  CHECK(t.keys() == expected);
  std::vector<term> walked;
  for (term at;;) {
    auto batch = t.scan(at, 7);
    CHECK(batch.entries.size() <= 7);
    for (auto& [k, v] : batch.entries)
      walked.push_back(k);
    if (batch.next.is_none())
      break;
    at = batch.next;
  }
  CHECK(walked == expected);
}
