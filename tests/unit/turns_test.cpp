#include <catch2/catch.hpp>

#include <thread>

#include "runtime/base/turns.hpp"

using namespace hornbeam::runtime;

namespace {

/// Brings answers to `xs` at once; how many of them are lined up.
template <class... Ts>
int bring(Ts&... xs) {
  turns::bringer many;
  return (0 + ... + (turns::get().line_up(xs) ? 1 : 0));
}

/// Does what is to be done without turns.
void forget_the_past() {
  for (flag x; bring(x) == 0;) {
  }
  // Nobody slept there, so nobody passes it on.
  while (turns::get().hurry()) {
  }
}

} // namespace

TEST_CASE("who has the turn gives it to the next") {
  forget_the_past();
  auto& t = turns::get();
  flag a, b;
  REQUIRE(bring(a, b) == 2);
  CHECK(t.active());
  t.awake(a); // this thread slept there, so to say
  CHECK(t.lined_up());
  turns::pass();
  CHECK_FALSE(t.lined_up());
  CHECK(t.active());
  t.awake(b);
  turns::pass();
  CHECK_FALSE(t.active());
}

TEST_CASE("nobody but who brings many lines threads up") {
  flag a;
  CHECK_FALSE(turns::get().line_up(a));
}

TEST_CASE("who no longer waits is left out") {
  forget_the_past();
  auto& t = turns::get();
  flag a, b, c;
  REQUIRE(bring(a, b, c) == 3);
  t.awake(b); // its time was up
  t.awake(a);
  turns::pass();
  t.awake(c);
  CHECK_FALSE(t.lined_up());
  turns::pass();
  CHECK_FALSE(t.active());
}

TEST_CASE("what comes while somebody has the turn waits for it") {
  forget_the_past();
  auto& t = turns::get();
  flag a, b;
  REQUIRE(bring(a) == 1);
  REQUIRE(bring(b) == 1);
  CHECK(t.lined_up());
  t.awake(a);
  turns::pass();
  t.awake(b);
  turns::pass();
  CHECK_FALSE(t.active());
}

TEST_CASE("a thread that keeps its turn loses it, and there are none for a "
          "while") {
  forget_the_past();
  auto& t = turns::get();
  flag a, b, c;
  REQUIRE(bring(a, b) == 2);
  while (t.lined_up()) // until `a` has had it for too long
    CHECK(t.hurry());
  CHECK(bring(c) == 0);
  std::thread late{[&] {
    t.awake(a);
    turns::pass(); // has nothing to give
  }};
  late.join();
  CHECK(t.active());
  t.awake(b);
  turns::pass();
  CHECK_FALSE(t.active());
  CHECK_FALSE(t.hurry());
}
