#include "process_fixture.hpp"

#include <malloc.h>

using namespace hornbeam::test;

TEST_CASE_METHOD(one_node, "send_after delivers a message at its time") {
  me().send_after(10, p->pid(), atom("ding"));
  advance(9);
  CHECK(p->all().empty());
  advance(1);
  CHECK(p->all() == terms("ding"));
  CHECK(a.clock().size() == 0);
}

TEST_CASE_METHOD(one_node, "start_timer delivers timeout, its reference and "
                           "the message") {
  auto ref = me().start_timer(1, p->pid(), tup("m", 1));
  advance(1);
  CHECK(p->all() == terms(tup("timeout", ref, tup("m", 1))));
}

TEST_CASE_METHOD(one_node, "a timer of zero fires") {
  me().send_after(0, p->pid(), atom("now"));
  a.clock().advance(0);
  CHECK(p->all() == terms("now"));
}

TEST_CASE_METHOD(one_node, "timers fire in the order of their times") {
  for (auto ms : {30, 10, 20, 10})
    me().send_after(ms, p->pid(), term{ms});
  a.clock().advance(100);
  CHECK(p->all() == terms(10, 10, 20, 30));
}

TEST_CASE_METHOD(one_node, "cancel_timer returns the milliseconds left, then "
                           "nothing") {
  auto ref = me().send_after(100, p->pid(), atom("ding"));
  advance(30);
  CHECK(me().read_timer(ref) == 70);
  CHECK(me().cancel_timer(ref) == 70);
  CHECK_FALSE(me().cancel_timer(ref));
  CHECK_FALSE(me().read_timer(ref));
  advance(100);
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(one_node, "a timer that fired can't be cancelled") {
  auto ref = me().send_after(1, p->pid(), atom("ding"));
  advance(1);
  CHECK_FALSE(me().cancel_timer(ref));
  CHECK(p->all() == terms("ding"));
  CHECK_FALSE(me().cancel_timer(a.make_ref()));
}

TEST_CASE_METHOD(one_node, "anybody may cancel a timer") {
  auto ref = me().send_after(10, p->pid(), atom("ding"));
  std::optional<std::int64_t> left;
  a.spawn([&](self me) -> process_body {
    left = me.cancel_timer(ref);
    co_return;
  });
  run();
  CHECK(left == 10);
  advance(10);
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(one_node, "a timer outlives the process that started it") {
  auto to = p->pid();
  a.spawn([to](self me) -> process_body {
    me.send_after(10, to, atom("ding"));
    co_return;
  });
  advance(10);
  CHECK(p->all() == terms("ding"));
}

TEST_CASE_METHOD(one_node, "a timer to a pid dies with it") {
  auto x = idle();
  auto ref = me().send_after(10, x, atom("ding"));
  CHECK(a.clock().size() == 1);
  a.exit(x, atom("kill"));
  CHECK(a.clock().size() == 0);
  CHECK_FALSE(me().cancel_timer(ref));
  CHECK_NOTHROW(me().send_after(10, x, atom("ding")));
  CHECK(a.clock().size() == 0);
}

TEST_CASE_METHOD(one_node, "a timer to a name looks the name up when it "
                           "fires") {
  me().send_after(10, atom("later"), atom("ding"));
  me().send_after(5, atom("later"), atom("nobody hears it"));
  advance(5);
  me().register_name("later");
  advance(5);
  CHECK(p->all() == terms("ding"));
}

TEST_CASE_METHOD(one_node, "a timer to a name does not die with its process") {
  auto x = idle();
  me().register_name("w", x);
  me().send_after(10, atom("w"), atom("ding"));
  a.exit(x, atom("kill"));
  me().register_name("w");
  advance(10);
  CHECK(p->all() == terms("ding"));
}

TEST_CASE_METHOD(one_node, "what can't be a timer is an error that shows it") {
  CHECK_THROWS_WITH(me().send_after(-7, p->pid(), term{}),
                    Catch::Contains("-7"));
  CHECK_THROWS_WITH(me().send_after(1, term{71}, term{}),
                    Catch::Contains("71"));
  auto foreign = term{pid{origin::of("z@h", 9), 1, nullptr}};
  CHECK_THROWS_WITH(me().send_after(1, foreign, term{}),
                    Catch::Contains("z@h"));
  CHECK_THROWS_AS(me().cancel_timer(term{1}), erlang_error);
  CHECK_THROWS_AS(me().read_timer(term{1}), erlang_error);
}

TEST_CASE_METHOD(one_node, "a time that no clock can hold is for ever") {
  auto ref = me().send_after(std::numeric_limits<std::int64_t>::max(), p->pid(),
                             atom("never"));
  advance(10);
  CHECK(p->all().empty());
  CHECK(me().cancel_timer(ref));
}

TEST_CASE_METHOD(one_node, "a sleep takes its time and leaves messages alone") {
  auto to = p->pid();
  auto x = a.spawn([to](self me) -> process_body {
    co_await me.sleep(10);
    me.send(to, atom("awake"));
    me.send(to, co_await me.receive());
  });
  run();
  a.send(x, atom("waits"));
  advance(9);
  CHECK(p->all().empty());
  advance(1);
  CHECK(p->all() == terms("awake", "waits"));
}

TEST_CASE_METHOD(one_node, "thousands that sleep awake in the order of their "
                           "times") {
  std::vector<int> woken;
  for (int i = 1000; i > 0; --i)
    a.spawn([&woken, i](self me) -> process_body {
      co_await me.sleep(i);
      woken.push_back(i);
    });
  advance(1000);
  CHECK(woken.size() == 1000);
  CHECK(std::is_sorted(woken.begin(), woken.end()));
}

TEST_CASE_METHOD(one_node, "a process that is killed as it sleeps leaves no "
                           "alarm") {
  auto x = a.spawn([](self me) -> process_body { co_await me.sleep(10); });
  run();
  a.exit(x, atom("kill"));
  run();
  CHECK_NOTHROW(advance(20));
  CHECK(a.count().first == 1);
}

TEST_CASE_METHOD(one_node, "timers that are cancelled leave nothing behind") {
  auto use = [&](int n) {
    for (int i = 0; i < n; ++i)
      me().cancel_timer(me().send_after(1000, p->pid(), term{}));
  };
  use(1000);
  auto before = ::mallinfo2().uordblks;
  use(20000);
  CHECK(::mallinfo2().uordblks < before + 20000);
}
