#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>

#include "runtime/term/wire.hpp"

using namespace hornbeam::runtime;

namespace {

term sample() {
  auto node = origin::of("a@127.0.0.1", 99);
  return term::list({
    term{},
    term{true},
    term{-1},
    term{std::numeric_limits<std::int64_t>::min()},
    term{std::numeric_limits<std::int64_t>::max()},
    term{pow(big_integer{10}, 9999)},
    term{-pow(big_integer{10}, 30)},
    term{0.1},
    term{-0.0},
    term{std::numeric_limits<double>::infinity()},
    term{std::numeric_limits<double>::denorm_min()},
    term::atom("ok"),
    term::string("gr\xc3\xbc\xc3\x9f"),
    term::bytes(std::string(300, '\0')),
    term::tuple({term{1}, term::list({})}),
    term::set({term{1}, term{2}}),
    term::map({{term::string("k"), term{1.5}}, {term{2}, term{}}}),
    term{pid{node, 5}},
    term{reference{node, 6}},
    term{array{"<f8", {2, 1}, std::string(16, 'x')}},
    term{array{"<f8", {0, 3}, ""}},
    term::extension("date", term::string("2026-01-01")),
  });
}

} // namespace

TEST_CASE("every kind of term survives the wire exactly") {
  auto x = sample();
  auto y = decode(encode(x));
  CHECK(x == y);
  CHECK(encode(y) == encode(x));
}

TEST_CASE("NaN survives the wire") {
  auto y = decode(encode(term{std::numeric_limits<double>::quiet_NaN()}));
  CHECK(std::isnan(y.as_double()));
}

TEST_CASE("the form is compact and the same on every machine") {
  // Pinned: nodes of different builds talk to each other.
  CHECK(encode(term{1}) == std::string("\x02\x02", 2));
  CHECK(encode(term::string("ab"))
        == std::string("\x0c\x02"
                       "ab",
                       4));
  CHECK(encode(term{1.0}) == std::string("\x04\0\0\0\0\0\0\xf0\x3f", 9));
  CHECK(encode(term::tuple({term{}})) == std::string("\x08\x01\x00", 3));
}

TEST_CASE("a cut value is refused at every length") {
  auto bytes = encode(sample());
  for (std::size_t n = 0; n < bytes.size(); n += n < 200 ? 1 : 97)
    CHECK_THROWS_AS(decode(std::string_view{bytes}.substr(0, n)), decode_error);
}

TEST_CASE("bytes behind the end are refused") {
  CHECK_THROWS_WITH(decode(encode(term{1}) + "x"),
                    Catch::Contains("behind the end"));
}

TEST_CASE("a length that the bytes can't hold costs no memory") {
  // A list that claims 2^62 items; a string of 2^40 bytes.
  std::string list{"\x0b\xff\xff\xff\xff\xff\xff\xff\xff\x3f", 10};
  CHECK_THROWS_WITH(decode(list), Catch::Contains("bytes left"));
  std::string string{"\x0c\x80\x80\x80\x80\x80\x20", 7};
  CHECK_THROWS_AS(decode(string), decode_error);
}

TEST_CASE("nesting beyond the limit is refused, not a stack overflow") {
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i)
    deep += std::string("\x0b\x01", 2);
  CHECK_THROWS_WITH(decode(deep), Catch::Contains("nesting"));
}

TEST_CASE("an array whose shape does not fit its bytes is refused") {
  auto bad = encode(term{array{"<f8", {3}, std::string(16, 'x')}});
  CHECK_THROWS_WITH(decode(bad), Catch::Contains("shape"));
}

TEST_CASE("random bytes are refused or read, never worse") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 rng{seed};
  auto good = encode(sample());
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = good;
    for (unsigned k = rng() % 4 + 1; k > 0; --k)
      bytes[rng() % bytes.size()] = static_cast<char>(rng());
    try {
      auto x = decode(bytes);
      (void)encode(x);
    } catch (const decode_error&) {
    }
  }
  SUCCEED();
}
