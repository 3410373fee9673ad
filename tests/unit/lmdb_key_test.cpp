#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>

#include "runtime/table_lmdb/key.hpp"
#include "runtime/term/wire.hpp"

using namespace hornbeam::runtime;

namespace {

term random_term(std::mt19937& gen, int depth = 0) {
  auto pick = [&](int n) { return static_cast<int>(gen() % n); };
  auto text = [&] {
    std::string out;
    for (int n = pick(4); n > 0; --n)
      out.push_back("\0ab\xff\x01z"[pick(6)]);
    return out;
  };
  auto items = [&] {
    term::sequence out;
    for (int n = pick(4); n > 0; --n)
      out.push_back(random_term(gen, depth + 1));
    return out;
  };
  auto number = [&] {
    static const double floats[]{0.0,  -0.0,   0.5,  -0.5,  1.0,   -1.0, 1.5,
                                 -1.5, 1e-300, 1e30, -1e30, 255.0, 256.5};
    static const std::int64_t integers[]{
      0,
      1,
      -1,
      2,
      255,
      256,
      -255,
      -256,
      65536,
      std::numeric_limits<std::int64_t>::min(),
      std::numeric_limits<std::int64_t>::max()};
    switch (pick(5)) {
      case 0:
        return term{floats[pick(13)]};
      case 1:
        return term{integers[pick(11)]};
      case 2:
        return term{std::bit_cast<double>(
          (static_cast<std::uint64_t>(gen()) << 32) | gen())};
      case 3: {
        big_integer big = 1;
        big <<= 60 + pick(20) * 40;
        big += pick(3) - 1;
        if (pick(2) == 0)
          big = -big;
        return term{std::move(big)};
      }
      default:
        return term{static_cast<std::int64_t>(gen()) - 2147483648};
    }
  };
  auto origin_of = [&] {
    return origin::of(pick(2) ? "a@h" : "b@h", gen() % 3);
  };
  switch (pick(depth > 2 ? 9 : 15)) {
    case 0:
      return term{};
    case 1:
      return term{pick(2) == 0};
    case 2:
    case 3:
      return number();
    case 4:
      return term::atom(text());
    case 5:
      return term::string(text());
    case 6:
      return term::bytes(text());
    case 7:
      return term{pid{origin_of(), gen() % 3, {}}};
    case 8:
      return term{reference{origin_of(), gen() % 3, 0, {}}};
    case 9:
      return term::list(items());
    case 10:
      return term::tuple(items());
    case 11:
      return term::set(items());
    case 12: {
      term::entries out;
      for (int n = pick(4); n > 0; --n)
        out.emplace_back(random_term(gen, depth + 1),
                         random_term(gen, depth + 1));
      return term::map(std::move(out));
    }
    case 13:
      return term{array{pick(2) ? "<i2" : "<f8", {1}, text()}};
    default:
      return term::extension(text(), random_term(gen, depth + 1));
  }
}

int sign(std::strong_ordering x) {
  return x < 0 ? -1 : x > 0 ? 1 : 0;
}

} // namespace

TEST_CASE("keys in an LMDB file are in the order of terms, and come back") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 gen{seed};
  std::vector<term> terms{term{std::nan("")}, term{HUGE_VAL}, term{-HUGE_VAL}};
  for (int i = 0; i < 700; ++i)
    terms.push_back(random_term(gen));
  std::vector<std::string> encoded;
  for (auto& x : terms)
    encoded.push_back(encode_ordered(x));
  for (std::size_t i = 0; i < terms.size(); ++i) {
    INFO(to_string(terms[i]));
    if (!(decode_ordered(encoded[i]) == terms[i]))
      FAIL("comes back as " << to_string(decode_ordered(encoded[i])));
    for (std::size_t k = 0; k < terms.size(); ++k) {
      auto wanted = sign(terms[i] <=> terms[k]);
      auto got = sign(encoded[i].compare(encoded[k]) <=> 0);
      if (wanted != got)
        FAIL("against " << to_string(terms[k]) << ": " << got);
    }
  }
}

TEST_CASE("1, 1.0, True and \"1\" are four keys of an LMDB file") {
  std::vector<std::string> keys{
    encode_ordered(term{1}),          encode_ordered(term{1.0}),
    encode_ordered(term{true}),       encode_ordered(term::string("1")),
    encode_ordered(term::bytes("1")), encode_ordered(term::atom("1"))};
  std::sort(keys.begin(), keys.end());
  CHECK(std::unique(keys.begin(), keys.end()) == keys.end());
}

TEST_CASE("a long key is its first bytes and a hash, which no short key is") {
  std::string a(1000, 'x');
  auto b = a;
  b.back() = 'y';
  lmdb_key x{term::string(a)};
  lmdb_key y{term::string(b)};
  CHECK(x.abridged());
  CHECK(x.bytes().size() == lmdb_key::max_bytes);
  CHECK(x.bytes() != y.bytes());
  CHECK(x.bytes().substr(0, lmdb_key::kept)
        == y.bytes().substr(0, lmdb_key::kept));
  CHECK(x.bytes().starts_with(string_range(a)));
  for (std::size_t n : {477u, 478u, 479u, 480u}) {
    lmdb_key k{term::string(std::string(n, 'x'))};
    CHECK(k.abridged() == (n + 1 > lmdb_key::max_whole));
  }
  // Who writes the bytes of an abridged key as a key gets another one.
  lmdb_key forged{term::string(std::string{x.bytes().substr(1)})};
  CHECK(forged.bytes() != x.bytes());
}

TEST_CASE("bytes that are no key are refused") {
  for (std::string bytes : {"", "\x48", "\x22\x05", "\x60", "\x7f", "\x22\xff"})
    CHECK_THROWS_AS(decode_ordered(bytes), decode_error);
  CHECK_THROWS_AS(decode_ordered(encode_ordered(term{1}) + "x"), decode_error);
}
