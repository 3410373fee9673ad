#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <string>

#include "runtime/base/small_map.hpp"

using hornbeam::runtime::small_map;

TEST_CASE("a small map finds what was put in and not taken out") {
  small_map<int, std::string> x;
  CHECK(x.empty());
  CHECK(x.emplace(1, "one"));
  CHECK_FALSE(x.emplace(1, "another"));
  CHECK(*x.find(1) == "one");
  CHECK(x.find(2) == nullptr);
  CHECK(x.extract(1) == "one");
  CHECK_FALSE(x.extract(1));
  CHECK(x.empty());
}

TEST_CASE("a small map of any size does what a std::map does") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 rng{seed};
  for (int keys : {4, 20, 300}) {
    small_map<int, int> x;
    std::map<int, int> model;
    for (int n = 0; n < 5000; ++n) {
      int key = static_cast<int>(rng() % static_cast<unsigned>(keys));
      // Grows and shrinks in turn, past the size where it has an index.
      bool more = rng() % 10 < (n / 1000 % 2 == 0 ? 8 : 2);
      if (more)
        REQUIRE(x.emplace(key, n) == model.emplace(key, n).second);
      else
        REQUIRE(x.erase(key) == (model.erase(key) > 0));
      REQUIRE(x.size() == model.size());
      auto i = model.find(key);
      auto* found = x.find(key);
      REQUIRE((found != nullptr) == (i != model.end()));
    }
    std::map<int, int> all{x.begin(), x.end()};
    CHECK(all == model);
  }
}
