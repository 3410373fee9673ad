#include <catch2/catch.hpp>

#include "runtime/table_memory/table.hpp"

// The cases of ets:update_counter/3,4 in OTP's manual.

using namespace hornbeam::runtime;

namespace {

counter_op step(int delta, std::size_t position = 0) {
  return {term{delta}, position, {}, {}};
}
counter_op bounded(int delta, int threshold, int reset) {
  return {term{delta}, 0, term{threshold}, term{reset}};
}
std::vector<term> update(table& t, std::vector<counter_op> ops,
                         const term& initial = term{0}) {
  return t.update_counter(term{1}, ops, initial);
}
std::vector<term> numbers(std::initializer_list<int> xs) {
  return {xs.begin(), xs.end()};
}

} // namespace

TEST_CASE("several steps of a counter are one operation, each with a result") {
  memory_table t{"t"};
  CHECK(update(t, {step(5), step(-2), step(0)}) == numbers({5, 3, 3}));
  CHECK(t.get(term{1}) == term{3});
  CHECK(update(t, {}) == numbers({}));
}

TEST_CASE("a counter that passes its threshold is reset") {
  memory_table t{"t"};
  t.set(term{1}, term{9});
  CHECK(update(t, {bounded(1, 10, 0)}) == numbers({10}));
  CHECK(update(t, {bounded(1, 10, 0)}) == numbers({0}));
  CHECK(update(t, {bounded(-1, 0, 10)}) == numbers({10}));
  t.set(term{1}, term{50});
  CHECK(update(t, {bounded(0, 10, 1)}) == numbers({1}));
}

TEST_CASE("counters can be items of a tuple or a list") {
  memory_table t{"t"};
  t.set(term{1}, term::tuple({term::string("x"), term{5}, term{7}}));
  CHECK(update(t, {step(1, 2), step(-1, 3)}) == numbers({6, 6}));
  CHECK(t.get(term{1}) == term::tuple({term::string("x"), term{6}, term{6}}));
  CHECK_THROWS_WITH(update(t, {step(1, 2), step(1, 4)}),
                    Catch::Contains("no item 4"));
  CHECK_THROWS_WITH(update(t, {step(1, 2), step(1, 1)}),
                    Catch::Contains("no integer"));
  CHECK_THROWS_AS(update(t, {step(1)}), bad_term);
  CHECK(t.get(term{1})->at(1) == term{6});
}

TEST_CASE("a missing counter begins with its initial value") {
  memory_table t{"t"};
  auto start = term::tuple({term{10}, term{20}});
  CHECK(update(t, {step(1, 2)}, start) == numbers({21}));
  CHECK(t.get(term{1}) == term::tuple({term{10}, term{21}}));
  CHECK(update(t, {step(1, 1)}, start) == numbers({11}));
}

TEST_CASE("a step of a counter that makes no sense changes nothing") {
  memory_table t{"t"};
  CHECK_THROWS_AS(update(t, {{term{1.5}, 0, {}, {}}}), bad_term);
  CHECK_THROWS_AS(update(t, {{term{1}, 0, term{1}, {}}}), bad_term);
  CHECK_THROWS_AS(update(t, {{term{1}, 0, term{1}, term{0.5}}}), bad_term);
  CHECK_THROWS_AS(update(t, {step(1)}, term::string("x")), bad_term);
  CHECK(t.size() == 0);
}

TEST_CASE("counters with thresholds grow beyond 64 bits") {
  memory_table t{"t"};
  auto big = term{big_integer{"100000000000000000000"}};
  t.set(term{1}, big);
  CHECK(update(t, {step(1)})[0] == term{big_integer{"100000000000000000001"}});
  CHECK(update(t, {{term{1}, 0, big, term{3}}}) == numbers({3}));
}
