#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>
#include <unordered_set>

#include "runtime/term/wire.hpp"

using namespace hornbeam::runtime;

namespace {

term text(const char* x) {
  return term::string(x);
}

} // namespace

TEST_CASE("equality is exact: 1, 1.0, true, a string and bytes differ") {
  std::vector<term> all{term{1},        term{1.0},        term{true},
                        text("1"),      term::bytes("1"), term::atom("1"),
                        term{},         term{0},          term{false},
                        term{0.0},      term{-0.0},       term::list({}),
                        term::tuple({})};
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j)
      CHECK((all[i] == all[j]) == (i == j));
}

TEST_CASE("NaN equals itself as a key, whatever its bits") {
  auto a = term{std::numeric_limits<double>::quiet_NaN()};
  auto b = term{-std::numeric_limits<double>::quiet_NaN()};
  CHECK(a == b);
  CHECK(a.hash() == b.hash());
}

TEST_CASE("an integer that fits 64 bits is the same term however it was made") {
  big_integer big{42};
  CHECK(term{big} == term{42});
  CHECK(term{big}.is(term::kind::integer));
  big_integer huge = big_integer{1} << 64;
  CHECK(term{huge}.is(term::kind::big_integer));
  CHECK(term{big_integer{std::numeric_limits<std::int64_t>::min()}}
        == term{std::numeric_limits<std::int64_t>::min()});
  CHECK(term{std::numeric_limits<std::uint64_t>::max()}.is_any_integer());
}

TEST_CASE("maps and sets compare without order but keep it") {
  auto a = term::map({{text("x"), term{1}}, {text("y"), term{2}}});
  auto b = term::map({{text("y"), term{2}}, {text("x"), term{1}}});
  CHECK(a == b);
  CHECK(a.hash() == b.hash());
  CHECK(std::is_eq(a <=> b));
  CHECK(a.pairs()[0].first == text("x"));
  CHECK(b.pairs()[0].first == text("y"));
  CHECK(term::set({term{1}, term{2}}) == term::set({term{2}, term{1}}));
  CHECK_FALSE(a == term::map({{text("x"), term{1}}, {text("z"), term{2}}}));
}

TEST_CASE(
  "of equal keys of a map the last value wins, in small and large maps") {
  for (int n : {3, 100}) {
    term::entries xs;
    for (int i = 0; i < n; ++i)
      xs.emplace_back(term{i}, term{i});
    xs.emplace_back(term{1}, text("last"));
    auto m = term::map(xs);
    CHECK(m.pairs().size() == static_cast<std::size_t>(n));
    CHECK(*m.find(term{1}) == text("last"));
  }
}

TEST_CASE("numbers are ordered by value across their kinds") {
  auto huge = term{big_integer{1} << 70};
  CHECK(term{1} < term{1.5});
  CHECK(term{1.5} < term{2});
  CHECK(term{1} < term{1.0});
  CHECK(term{-0.0} < term{0.0});
  CHECK(term{1e300} > huge);
  CHECK(huge > term{1e20});
  CHECK(huge < term{std::numeric_limits<double>::infinity()});
  CHECK(term{-std::numeric_limits<double>::infinity()} < term{-1});
  CHECK(term{std::numeric_limits<double>::quiet_NaN()} > huge);
}

TEST_CASE("the order is total on random terms") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 rng{seed};
  auto make = [&](auto& self, int depth) -> term {
    auto some = [&] {
      term::sequence xs;
      for (auto i = rng() % 3; i > 0; --i)
        xs.push_back(self(self, depth - 1));
      return xs;
    };
    switch (rng() % (depth > 0 ? 11 : 7)) {
      case 0:
        return {};
      case 1:
        return term{rng() % 2 == 0};
      case 2:
        return term{static_cast<int>(rng() % 5) - 2};
      case 3:
        return term{(static_cast<int>(rng() % 9) - 4) / 2.0};
      case 4:
        return term::atom(std::string(rng() % 2, 'a'));
      case 5:
        return term::string(std::string(rng() % 3, 'b'));
      case 6:
        return term{big_integer{static_cast<int>(rng() % 3) - 1} << 80};
      case 7:
        return term::list(some());
      case 8:
        return term::tuple(some());
      case 9:
        return term::set(some());
      default: {
        term::entries xs;
        for (auto& k : some())
          xs.emplace_back(k, self(self, depth - 1));
        return term::map(std::move(xs));
      }
    }
  };
  std::vector<term> xs;
  for (int i = 0; i < 120; ++i)
    xs.push_back(make(make, 3));
  for (auto& a : xs)
    for (auto& b : xs) {
      REQUIRE((a == b) == std::is_eq(a <=> b));
      REQUIRE((a < b) == (b > a));
      if (a == b)
        REQUIRE(a.hash() == b.hash());
      for (auto& c : xs)
        if (a < b && b < c)
          REQUIRE(a < c);
    }
}

TEST_CASE("an accessor of another kind says what it got") {
  CHECK_THROWS_WITH(term{1}.text(), Catch::Contains("got an integer"));
  CHECK_THROWS_AS(text("x").as_int(), bad_term);
}

TEST_CASE("terms print as Erlang prints them") {
  auto node = origin::of("a@h", 7);
  CHECK(
    to_string(term::tuple(
      {term::atom("ok"), term::list({term{1}, text("x")}), term{pid{node, 3}}}))
    == "{'ok', [1, \"x\"], <a@h.7.3>}");
}

TEST_CASE("depth counts levels of nesting") {
  CHECK(term{1}.depth() == 1);
  CHECK(term::list({term::tuple({term{1}})}).depth() == 3);
}

TEST_CASE("texts in the term and beside it behave alike at every length") {
  for (std::size_t n = 0; n <= 40; ++n) {
    std::string text(n, '\0');
    for (std::size_t i = 0; i < n; ++i)
      text[i] = static_cast<char>('a' + i % 26);
    auto x = term::string(text);
    CHECK(x.text() == text);
    CHECK(x == term::string(text));
    CHECK(x.hash() == term::string(text).hash());
    CHECK(x != term::bytes(text));
    CHECK(x != term::atom(text));
    CHECK(x != term::string(text + '\0'));
    CHECK(x < term::string(text + '\0'));
    auto copy = x;
    auto moved = std::move(x);
    CHECK(copy.text() == text);
    CHECK(moved == copy);
    CHECK(term::atom(text).is_atom(text));
    CHECK(decode(encode(copy)) == copy);
  }
}

TEST_CASE("a tuple made of its items equals one made of a sequence") {
  auto shared = term::string("a text that is too long for the term itself");
  auto x = term::tuple_of(shared, term{1}, term::tuple_of());
  CHECK(x == term::tuple({shared, term{1}, term::tuple({})}));
  CHECK(x.hash() == term::tuple({shared, term{1}, term::tuple({})}).hash());
  CHECK(x.at(1) == term{1});
  CHECK_THROWS_WITH(x.at(3), Catch::Contains("item 4 of 3"));
}

TEST_CASE("a node that was renamed is found by both of its names") {
  auto* x = origin::of("first@renamed", 71);
  x->rename("second@renamed");
  CHECK(origin::of("first@renamed", 71) == x);
  CHECK(origin::of("second@renamed", 71) == x);
  CHECK(origin::of("first@renamed", 72) != x);
}
