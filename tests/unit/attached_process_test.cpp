#include "process_fixture.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "real_scheduler.hpp"
#include "runtime/otp/gen_server.hpp"

using namespace hornbeam::test;
using namespace std::chrono_literals;

namespace {

struct fixture : real_node {
  attached_process p{a};
};

class doubler : public gen_server {
public:
  task<server_result> handle_call(self me, term request, term) override {
    if (match("exit")(request))
      me.exit(atom("asked"));
    if (match("silent")(request))
      co_return server_result::noreply();
    co_return server_result::reply(term{request.as_int() * 2});
  }
};

/// Turns that a test gives by hand.
struct by_hand final : attached_process::turns {
  void add(process_ptr p) noexcept override { asked.push_back(std::move(p)); }
  std::vector<process_ptr> asked;
};

struct with_turns : real_node {
  std::shared_ptr<by_hand> turns = std::make_shared<by_hand>();
  int code = 0;
  attached_process p{a, turns, &code};
  attached_process::place at;

  /// What is asked for holds processes, which hold this.
  ~with_turns() {
    p.forget_code();
    turns->asked.clear();
  }

  std::optional<term> take() { return p.take_or_sleep(any, at); }
};

} // namespace

TEST_CASE_METHOD(fixture, "a thread receives what a process sends") {
  a.spawn([to = p.pid()](self me) -> process_body {
    me.send(to, term{1});
    me.send(to, term{2});
    co_return;
  });
  CHECK(p.receive(match(2), soon()) == term{2});
  CHECK(p.receive(soon()) == term{1});
}

TEST_CASE_METHOD(fixture, "a thread's receive ends at its deadline") {
  auto begin = clock::now();
  CHECK_FALSE(p.receive(deadline::in(30)));
  CHECK(clock::now() - begin >= 30ms);
  CHECK_FALSE(p.receive(deadline::in(0)));
  p.me().send(p.pid(), term{1});
  CHECK(p.receive(deadline::in(0)) == term{1});
}

TEST_CASE_METHOD(fixture, "a message that does not match does not wake a "
                          "thread for good") {
  std::thread other{[&] {
    for (int i = 0; i < 1000; ++i)
      a.send(p.pid(), term{i});
    a.send(p.pid(), atom("this"));
  }};
  CHECK(p.receive(match("this"), soon()));
  other.join();
  for (int i = 0; i < 1000; ++i)
    CHECK(p.receive(deadline::in(0)) == term{i});
}

TEST_CASE_METHOD(fixture, "a thread calls a server as a process does") {
  auto s = gen_server::spawn(a, std::make_unique<doubler>());
  for (int i = 0; i < 100; ++i)
    CHECK(p.run(gen_server::call(p.me(), s, term{i})) == term{2 * i});
  CHECK(a.info(p.pid(), "monitors") == list_of());
  auto exit_of = [&](const term& request, std::int64_t ms) {
    try {
      p.run(gen_server::call(p.me(), s, request, ms));
    } catch (const exit_error& e) {
      return e.reason.items()[0];
    }
    return term{};
  };
  CHECK(exit_of(atom("silent"), 20) == atom("timeout"));
  CHECK(exit_of(atom("exit"), 5000) == atom("asked"));
  CHECK(exit_of(atom("exit"), 5000) == atom("noproc"));
  CHECK(p.alive());
}

TEST_CASE_METHOD(fixture, "a thread that is ended hears of it at its next "
                          "call, and as it waits") {
  a.exit(p.pid(), atom("boom"));
  CHECK_FALSE(p.alive());
  CHECK_THROWS_AS(p.receive(soon()), process_killed);
  CHECK_THROWS_AS(p.me().send(p.pid(), term{1}), process_killed);
  CHECK_THROWS_AS(p.me().spawn([](self) -> process_body { co_return; }),
                  process_killed);

  attached_process waiting{a};
  std::thread other{[&] {
    while (a.info(waiting.pid(), "status") != atom("waiting"))
      std::this_thread::yield();
    a.exit(waiting.pid(), atom("kill"));
  }};
  CHECK_THROWS_AS(waiting.receive(soon()), process_killed);
  other.join();
}

TEST_CASE_METHOD(fixture, "a thread that is ended as it calls a server hears "
                          "of it") {
  auto s = gen_server::spawn(a, std::make_unique<doubler>());
  std::thread other{[&] {
    while (a.info(p.pid(), "status") != atom("waiting"))
      std::this_thread::yield();
    a.exit(p.pid(), atom("kill"));
  }};
  CHECK_THROWS_AS(p.run(gen_server::call(p.me(), s, atom("silent"))),
                  process_killed);
  other.join();
}

TEST_CASE_METHOD(fixture, "links and monitors reach across threads and "
                          "processes") {
  p.me().trap_exit(true);
  auto [x, ref] = p.me().spawn_monitor([to = p.pid()](self me) -> process_body {
    me.link(to);
    me.exit(atom("boom"));
    co_return;
  });
  CHECK(p.receive(match("EXIT", x, any), soon()) == exited(x, "boom"));
  CHECK(p.receive(soon()) == down(ref, x, "boom"));
}

TEST_CASE_METHOD(fixture, "an attached process that goes ends with normal, or "
                          "as it is told") {
  auto watch = [&](auto end) {
    auto other = std::make_unique<attached_process>(a);
    auto ref = p.me().monitor(other->pid());
    end(other);
    auto got = p.receive(match("DOWN", ref, any, any, any), soon());
    return got ? got->items()[4] : term{};
  };
  CHECK(watch([](auto& x) { x.reset(); }) == atom("normal"));
  CHECK(watch([](auto& x) {
          x->detach(atom("told"));
          x->detach(atom("twice"));
        })
        == atom("told"));
  CHECK(a.count() == std::pair<std::size_t, std::size_t>{1, 0});
}

TEST_CASE_METHOD(fixture, "notify_once calls once when something comes") {
  std::atomic<int> calls{0};
  auto note = [&] { ++calls; };
  p.notify_once(note);
  CHECK(calls == 0);
  a.send(p.pid(), term{1});
  a.send(p.pid(), term{2});
  CHECK(calls == 1);
  CHECK(p.receive(soon()) == term{1});
  CHECK(p.receive(soon()) == term{2});
  CHECK(calls == 1);
}

TEST_CASE_METHOD(fixture, "notify_once calls at once if what it waits for is "
                          "there, whoever has looked at it") {
  std::atomic<int> calls{0};
  auto note = [&] { ++calls; };
  a.send(p.pid(), term{1});
  p.notify_once(note);
  CHECK(calls == 1);
  CHECK_FALSE(p.receive(match("other"), deadline::in(0)));
  p.notify_once(note);
  CHECK(calls == 2);
  p.notify_once(match("other"), note);
  CHECK(calls == 2);
  a.send(p.pid(), atom("other"));
  CHECK(calls == 3);
}

TEST_CASE_METHOD(fixture, "everybody who waits for a notice gets one, but who "
                          "has taken it back") {
  std::atomic<int> calls{0};
  p.notify_once([&] { calls += 1; });
  auto number = p.notify_once([&] { calls += 10; });
  p.notify_once([&] { calls += 100; });
  p.forget_notice(number);
  CHECK_FALSE(p.receive(deadline::in(0)));
  a.send(p.pid(), term{1});
  CHECK(calls == 101);
}

TEST_CASE_METHOD(fixture, "several threads wait for messages of one process") {
  constexpr int n = 2000;
  std::atomic<int> got{0};
  std::vector<std::thread> threads;
  for (int k = 0; k < 3; ++k)
    threads.emplace_back([&, k] {
      auto mine = [k](const term& x) { return x.as_int() % 3 == k; };
      for (int i = k; i < n; i += 3)
        got += p.receive(mine, soon()) == term{i};
    });
  for (int i = 0; i < n; ++i)
    a.send(p.pid(), term{i});
  for (auto& t : threads)
    t.join();
  CHECK(got == n);
}

TEST_CASE_METHOD(fixture, "a thread ends a process in which others wait") {
  auto other = std::make_unique<attached_process>(a);
  std::atomic<int> killed{0};
  std::vector<std::thread> threads;
  for (int k = 0; k < 2; ++k)
    threads.emplace_back([&] {
      try {
        other->receive(match("never"), soon());
      } catch (const process_killed&) {
        ++killed;
      }
    });
  for (int i = 0; i < 100; ++i)
    a.send(other->pid(), term{i});
  while (a.info(other->pid(), "status") != atom("waiting"))
    std::this_thread::yield();
  other->detach();
  for (auto& t : threads)
    t.join();
  CHECK(killed == 2);
  CHECK_THROWS_AS(other->receive(deadline::in(0)), process_killed);
}

TEST_CASE_METHOD(fixture, "who waits no longer is running, and others who wait "
                          "for the same process go on") {
  auto status = [&] { return *a.info(p.pid(), "status"); };
  CHECK_FALSE(p.receive(deadline::in(1)));
  CHECK(status() == atom("running"));
  auto notice = p.notify_once(match("never"), [] {});
  CHECK(status() == atom("waiting"));
  p.forget_notice(notice);
  CHECK(status() == atom("running"));

  bool told = false;
  notice = p.notify_once(match("never"), [&] { told = true; });
  CHECK_FALSE(p.receive(deadline::in(0)));
  CHECK_FALSE(told); // who only looks wakes nobody
  p.forget_notice(notice);

  std::thread other{
    [&] { CHECK(p.receive(match("now"), soon()) == atom("now")); }};
  while (status() != atom("waiting"))
    std::this_thread::yield();
  CHECK_FALSE(p.receive(match("never"), deadline::in(1)));
  a.send(p.pid(), atom("now"));
  other.join();
}

TEST_CASE_METHOD(fixture, "notify_once of a process that is ended is called") {
  std::atomic<int> calls{0};
  p.notify_once([&] { ++calls; });
  a.exit(p.pid(), atom("kill"));
  CHECK(calls == 1);
  attached_process dead{a};
  a.exit(dead.pid(), atom("kill"));
  dead.notify_once([&] { ++calls; });
  CHECK(calls == 2);
}

TEST_CASE_METHOD(fixture, "notify_once and receive alternate under fire") {
  constexpr int n = 20'000;
  std::thread other{[&] {
    for (int i = 0; i < n; ++i)
      a.send(p.pid(), term{i});
  }};
  std::mutex m;
  std::condition_variable cv;
  bool told = false;
  int got = 0;
  bool in_order = true;
  bool lost = false;
  while (got < n && !lost) {
    while (auto x = p.receive(deadline::in(0)))
      in_order &= *x == term{got++};
    if (got == n)
      break;
    p.notify_once([&] {
      std::lock_guard guard{m};
      told = true;
      cv.notify_one();
    });
    std::unique_lock lock{m};
    lost = !cv.wait_for(lock, 20s, [&] { return told; });
    told = false;
  }
  other.join();
  CHECK_FALSE(lost);
  CHECK(got == n);
  CHECK(in_order);
}

TEST_CASE_METHOD(fixture, "two threads talk to each other") {
  attached_process q{a};
  std::thread other{[&] {
    for (int i = 0; i < 2000; ++i)
      q.me().send(p.pid(), q.receive(any_int, soon()).value_or(term{-1}));
  }};
  bool same = true;
  for (int i = 0; i < 2000; ++i) {
    p.me().send(q.pid(), term{i});
    same &= p.receive(soon()) == term{i};
  }
  other.join();
  CHECK(same);
}

TEST_CASE_METHOD(fixture, "a thread's timers come") {
  auto ref = p.me().start_timer(10, p.pid(), atom("ding"));
  CHECK(p.receive(soon()) == tup("timeout", ref, "ding"));
}

TEST_CASE_METHOD(with_turns,
                 "code that has turns is added to them once for all "
                 "that comes until it begins one") {
  CHECK_FALSE(take());
  CHECK(turns->asked.empty());
  a.send(p.pid(), term{1});
  a.send(p.pid(), term{2});
  REQUIRE(turns->asked.size() == 1);
  CHECK(attached_process::begin_turn(*turns->asked[0]) == &code);
  CHECK(take() == term{1});
  CHECK(take() == term{2});
  CHECK_FALSE(take());
  a.send(p.pid(), term{3});
  CHECK(turns->asked.size() == 2);
}

TEST_CASE_METHOD(with_turns, "code that is at work is not added to its turns") {
  a.send(p.pid(), term{1});
  CHECK(turns->asked.empty());
  CHECK(take() == term{1});
}

TEST_CASE_METHOD(with_turns,
                 "a receive goes on behind what it has looked at, and "
                 "from the beginning once a message has left") {
  auto number = [this](int wanted) {
    return p.take_or_sleep([&](const term& x) { return x == term{wanted}; },
                           at);
  };
  a.send(p.pid(), term{1});
  a.send(p.pid(), term{2});
  CHECK_FALSE(number(9));
  a.send(p.pid(), term{9});
  CHECK(number(9) == term{9});
  CHECK(number(1) == term{1});
  CHECK(take() == term{2});
}

TEST_CASE_METHOD(with_turns, "the end of a process gives its code a last turn, "
                             "awake or asleep, with the reason") {
  bool asleep = GENERATE(false, true);
  if (asleep)
    CHECK_FALSE(take());
  CHECK_FALSE(p.end_reason());
  a.exit(p.pid(), atom("enough"));
  CHECK(turns->asked.size() == 1);
  CHECK(p.end_reason() == atom("enough"));
  CHECK_THROWS_AS(take(), process_killed);
}

TEST_CASE_METHOD(with_turns, "code that is gone has no turns") {
  CHECK_FALSE(take());
  p.forget_code();
  a.send(p.pid(), term{1});
  CHECK(turns->asked.empty());
}

TEST_CASE_METHOD(with_turns, "code sleeps only when there is no more to see") {
  auto seen = p.look(any, {});
  a.send(p.pid(), term{1});
  CHECK_FALSE(p.sleep_unless_more(seen));
  seen = p.look(any, seen);
  CHECK(p.sleep_unless_more(seen));
  a.send(p.pid(), term{2});
  CHECK(turns->asked.size() == 1);
}

TEST_CASE("what many threads send comes to code that has turns, each of them "
          "in its order") {
  struct queue final : attached_process::turns {
    void add(process_ptr p) noexcept override {
      {
        std::lock_guard guard{mutex};
        ready.push_back(std::move(p));
      }
      there.notify_one();
    }
    process_ptr next() {
      std::unique_lock lock{mutex};
      there.wait(lock, [&] { return !ready.empty(); });
      auto out = std::move(ready.front());
      ready.pop_front();
      return out;
    }
    std::mutex mutex;
    std::condition_variable there;
    std::deque<process_ptr> ready;
  };
  constexpr int threads = 4, each = 5000;
  real_node node;
  auto turns = std::make_shared<queue>();
  int code = 0;
  attached_process p{node.a, turns, &code};
  attached_process::place at;
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&, t] {
      for (int i = 0; i < each; ++i)
        node.a.send(p.pid(), tup(t, i));
    });
  int next[threads] = {};
  int wrong = 0;
  p.ask_for_turn();
  for (int left = threads * each; left > 0;) {
    auto mine = turns->next();
    wrong += attached_process::begin_turn(*mine) != &code;
    while (auto x = p.take_or_sleep(any, at)) {
      auto who = x->items()[0].as_int();
      wrong += x->items()[1].as_int() != next[who]++;
      --left;
    }
  }
  for (auto& x : senders)
    x.join();
  p.forget_code();
  turns->ready.clear(); // they hold it
  CHECK(wrong == 0);
}
