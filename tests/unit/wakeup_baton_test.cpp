#include <catch2/catch.hpp>

#include <thread>

#include "runtime/base/wakeup_baton.hpp"

using namespace hornbeam::runtime;

namespace {

/// Brings answers to `xs` at once; how many of them are queued.
template <class... Ts>
int bring(Ts&... xs) {
  batch_waker many;
  return (0 + ... + (wakeup_baton::get().enqueue(xs) ? 1 : 0));
}

/// Does what is to be done without the baton.
void forget_the_past() {
  for (flag x; bring(x) == 0;) {
  }
  // Nobody slept there, so nobody passes it on.
  while (wakeup_baton::get().revoke_if_overdue()) {
  }
}

} // namespace

TEST_CASE("who has the baton gives it to the next") {
  forget_the_past();
  auto& t = wakeup_baton::get();
  flag a, b;
  REQUIRE(bring(a, b) == 2);
  CHECK(t.active());
  t.awake(a); // this thread slept there, so to say
  CHECK(t.has_waiting());
  wakeup_baton::pass();
  CHECK_FALSE(t.has_waiting());
  CHECK(t.active());
  t.awake(b);
  wakeup_baton::pass();
  CHECK_FALSE(t.active());
}

TEST_CASE("only a batch waker queues threads") {
  flag a;
  CHECK_FALSE(wakeup_baton::get().enqueue(a));
}

TEST_CASE("who no longer waits is left out") {
  forget_the_past();
  auto& t = wakeup_baton::get();
  flag a, b, c;
  REQUIRE(bring(a, b, c) == 3);
  t.awake(b); // its time was up
  t.awake(a);
  wakeup_baton::pass();
  t.awake(c);
  CHECK_FALSE(t.has_waiting());
  wakeup_baton::pass();
  CHECK_FALSE(t.active());
}

TEST_CASE("what comes while somebody has the baton waits for it") {
  forget_the_past();
  auto& t = wakeup_baton::get();
  flag a, b;
  REQUIRE(bring(a) == 1);
  REQUIRE(bring(b) == 1);
  CHECK(t.has_waiting());
  t.awake(a);
  wakeup_baton::pass();
  t.awake(b);
  wakeup_baton::pass();
  CHECK_FALSE(t.active());
}

TEST_CASE("a thread that keeps the baton loses it, and there is none for a "
          "while") {
  forget_the_past();
  auto& t = wakeup_baton::get();
  flag a, b, c;
  REQUIRE(bring(a, b) == 2);
  while (t.has_waiting()) // until `a` has had it for too long
    CHECK(t.revoke_if_overdue());
  CHECK(bring(c) == 0);
  std::thread late{[&] {
    t.awake(a);
    wakeup_baton::pass(); // has nothing to give
  }};
  late.join();
  CHECK(t.active());
  t.awake(b);
  wakeup_baton::pass();
  CHECK_FALSE(t.active());
  CHECK_FALSE(t.revoke_if_overdue());
}
