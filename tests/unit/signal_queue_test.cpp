#include <catch2/catch.hpp>

#include <thread>
#include <vector>

#include "runtime/process/signal_queue.hpp"

using namespace hornbeam::runtime;

namespace {

using pushed = signal_queue::pushed;

signal* message(int x) {
  return new signal(term{x});
}
bool all(const signal&) {
  return true;
}
std::vector<std::int64_t> drain(signal_queue& q) {
  std::vector<std::int64_t> out;
  q.collect(all);
  while (*q.first() != nullptr)
    out.push_back(q.take(q.first()).as_int());
  return out;
}
using numbers = std::vector<std::int64_t>;

} // namespace

TEST_CASE("signals come out in the order in which they went in") {
  signal_queue q;
  for (int i = 0; i < 5; ++i)
    CHECK(q.push(message(i)) == pushed::taken);
  CHECK(q.size() == 5);
  CHECK(drain(q) == numbers{0, 1, 2, 3, 4});
  CHECK(q.size() == 0);
}

TEST_CASE("what comes later stands behind what was collected before") {
  signal_queue q;
  q.push(message(1));
  q.push(message(2));
  CHECK(q.collect(all));
  CHECK_FALSE(q.collect(all));
  q.push(message(3));
  CHECK(q.collect(all));
  CHECK(drain(q) == numbers{1, 2, 3});
}

TEST_CASE("a signal can be taken from any place") {
  signal_queue q;
  for (int i = 0; i < 4; ++i)
    q.push(message(i));
  q.collect(all);
  auto** second = &(*q.first())->next;
  CHECK(q.take(second) == term{1});
  CHECK(q.take(&(*second)->next) == term{3}); // the last
  q.push(message(4));
  CHECK(drain(q) == numbers{0, 2, 4});
}

TEST_CASE("the place behind the last is where the next will be") {
  signal_queue q;
  q.push(message(1));
  q.collect(all);
  auto** place = q.last();
  CHECK(*place == nullptr);
  q.push(message(2));
  q.collect(all);
  CHECK((*place)->body == term{2});
}

TEST_CASE("one push wakes an owner that sleeps, the next does not") {
  signal_queue q;
  CHECK(q.sleep());
  CHECK(q.sleeping());
  CHECK(q.push(message(1)) == pushed::woke);
  CHECK(q.push(message(2)) == pushed::taken);
  CHECK_FALSE(q.sleeping());
  CHECK(drain(q) == numbers{1, 2});
}

TEST_CASE("an owner with something in the inbox can't go to sleep") {
  signal_queue q;
  q.push(message(1));
  CHECK_FALSE(q.sleep());
  q.collect(all);
  CHECK(q.sleep()); // what is in its list it has seen
}

TEST_CASE("a nudge wakes once, and only who sleeps") {
  signal_queue q;
  CHECK_FALSE(q.nudge());
  q.sleep();
  CHECK(q.nudge());
  CHECK_FALSE(q.nudge());
  CHECK(q.push(message(1)) == pushed::taken);
  CHECK_FALSE(q.nudge());
}

TEST_CASE("a closed queue refuses, says whether its owner slept, and can't "
          "sleep") {
  signal_queue awake;
  awake.push(message(1));
  CHECK_FALSE(awake.close());
  CHECK(awake.push(message(2)) == pushed::refused);
  CHECK_FALSE(awake.sleep());
  CHECK_FALSE(awake.close());
  signal_queue asleep;
  asleep.sleep();
  CHECK(asleep.close());
  CHECK_FALSE(asleep.nudge());
}

TEST_CASE("closing drops the inbox, clearing what was collected") {
  auto shared = term::string(std::string(100, 'x'));
  signal_queue q;
  q.push(new signal(shared));
  q.collect(all);
  q.push(new signal(shared));
  CHECK(q.size() == 2);
  q.close();
  CHECK(q.size() == 1);
  q.clear();
  CHECK(q.size() == 0);
  CHECK(*q.first() == nullptr);
}

TEST_CASE("signals of an alias are asked about, others are not") {
  signal_queue q;
  q.push(message(1));
  q.push(new signal(term{2}, 7));
  q.push(new signal(term{3}, 8));
  q.push(new signal(term{4}, 7, true));
  std::vector<std::uint64_t> asked;
  q.collect([&](const signal& x) {
    asked.push_back(x.alias);
    return x.alias != 8;
  });
  CHECK(asked == std::vector<std::uint64_t>{7, 8, 7});
  CHECK(q.size() == 3);
  CHECK(drain(q) == numbers{1, 2, 4});
}

TEST_CASE("a queue whose last signals are refused takes more") {
  signal_queue q;
  q.push(message(1));
  q.push(new signal(term{2}, 7));
  q.collect([](const signal&) { return false; });
  q.push(message(3));
  CHECK(drain(q) == numbers{1, 3});
}

TEST_CASE("many threads push, each in its order, and every sleep is woken "
          "once") {
  constexpr int threads = 4;
  constexpr int each = 20'000;
  signal_queue q;
  std::atomic<int> wakes{0};
  std::vector<std::thread> ts;
  for (int t = 0; t < threads; ++t)
    ts.emplace_back([&, t] {
      for (int i = 0; i < each; ++i)
        if (q.push(message(t * each + i)) == pushed::woke) {
          wakes.fetch_add(1);
          wakes.notify_one();
        }
    });
  std::vector<int> next(threads, 0);
  int slept = 0;
  bool in_order = true;
  for (int got = 0; got < threads * each;) {
    if (!q.collect(all)) {
      if (q.sleep()) {
        for (int seen = wakes.load(); seen <= slept; seen = wakes.load())
          wakes.wait(seen);
        ++slept;
      }
      continue;
    }
    while (*q.first() != nullptr) {
      auto x = static_cast<int>(q.take(q.first()).as_int());
      auto& n = next[static_cast<std::size_t>(x / each)];
      in_order &= x % each == n;
      ++n;
      ++got;
    }
  }
  for (auto& t : ts)
    t.join();
  CHECK(in_order);
  CHECK(wakes == slept);
  CHECK(q.size() == 0);
}

TEST_CASE("a thread that only frees signals leaves no memory behind") {
  std::vector<signal*> some;
  for (int i = 0; i < 10; ++i)
    some.push_back(message(i));
  std::thread{[&] {
    for (auto* x : some)
      delete x; // kept by this thread; the asan preset sees what is lost
  }}.join();
  CHECK(some.size() == 10);
}
