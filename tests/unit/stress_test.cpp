#include "real_scheduler.hpp"

#include <atomic>
#include <deque>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include <malloc.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Debian has no header for it.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

#include "runtime/otp/gen_server.hpp"
#include "runtime/term/wire.hpp"

// On the scheduler that nodes have, with several threads: what must hold
// whatever comes first. At the end of each test nothing is left.

using namespace hornbeam::test;
using namespace std::chrono_literals;

namespace {

process_body idle(self me) {
  co_await me.receive(match("stop"));
}

/// Runs `f(i)` in several threads that start at once.
template <class F>
void in_threads(int n, F f) {
  std::atomic<int> ready{0};
  std::vector<std::thread> all;
  for (int i = 0; i < n; ++i)
    all.emplace_back([&, i] {
      ++ready;
      while (ready < n)
        ;
      f(i);
    });
  for (auto& t : all)
    t.join();
}

/// Bytes of memory that this program has now.
std::size_t memory() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  // They keep freed memory for a while, to see who uses it.
  return ::__sanitizer_get_current_allocated_bytes();
#else
  ::malloc_trim(0);
  std::ifstream in{"/proc/self/statm"};
  std::size_t pages = 0;
  in >> pages >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
#endif
}
constexpr std::size_t mib = 1 << 20;

/// Waits until `f` says so.
template <class F>
bool comes_true(F f) {
  for (auto until = soon(); !f(); std::this_thread::yield())
    if (until.expired())
      return false;
  return true;
}

/// One of two nodes, whose casts a thread brings to the other.
struct one_of_two : router {
  one_of_two(process_cluster& of, const std::string& name, std::uint64_t start)
    : me(origin::of(name, start)), all(of.system(), *this, true), p(all) {}

  origin_ptr self() const override { return me; }
  std::vector<std::string> peers() const override { return {}; }
  bool cast(const std::string&, const std::string&, const term& op) override {
    std::lock_guard guard{mutex};
    casts.push_back(encode(op));
    return true;
  }
  void request(const std::string& to, const std::string&, const term&, deadline,
               std::uint32_t, responder reply) override {
    reply(failure{error_code::no_connection, "no requests here", to});
  }
  /// One cast arrives; false if none is under way.
  bool bring_to(one_of_two& other) {
    std::unique_lock lock{mutex};
    if (casts.empty())
      return false;
    auto x = std::move(casts.front());
    casts.pop_front();
    lock.unlock();
    other.all.handle(me->name(), operation{decode(x)});
    return true;
  }
  bool linked_to(const one_of_two& other) const {
    return all.info(p.pid(), "links") == list_of(far(other.p.pid()));
  }

  origin_ptr me;
  std::mutex mutex;
  std::deque<std::string> casts;
  processes all;
  attached_process p;
};

} // namespace

TEST_CASE("links and unlinks of two nodes at once leave both of one mind") {
  process_cluster of;
  one_of_two a{of, "a@h", 1};
  one_of_two b{of, "b@h", 2};
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> working{2};
    in_threads(4, [&](int i) {
      auto& mine = i % 2 == 0 ? a : b;
      auto& other = i % 2 == 0 ? b : a;
      if (i >= 2) {
        while (mine.bring_to(other) || working > 0)
          std::this_thread::yield();
        return;
      }
      std::mt19937 rng{static_cast<unsigned>(2 * round + i)};
      auto to = far(other.p.pid());
      for (int n = 0; n < 40; ++n) {
        if (rng() % 2 == 0)
          mine.p.me().link(to);
        else
          mine.p.me().unlink(to);
      }
      --working;
    });
    while (a.bring_to(b) || b.bring_to(a))
      ;
    REQUIRE(a.linked_to(b) == b.linked_to(a));
  }
}

TEST_CASE("a process that is ended as it links and monitors leaves nothing on "
          "the other node") {
  process_cluster of;
  one_of_two a{of, "a@h", 1};
  one_of_two b{of, "b@h", 2};
  b.p.me().trap_exit(true);
  auto to = far(b.p.pid());
  for (int round = 0; round < 200; ++round) {
    attached_process x{a.all};
    std::atomic<int> turns{0};
    in_threads(2, [&](int i) {
      if (i == 1) {
        while (turns < round % 20) // in the middle of one
          ;
        a.all.exit(x.pid(), atom("kill"));
        return;
      }
      try {
        for (;;) {
          ++turns;
          x.me().monitor(to);
          x.me().link(to);
          x.me().unlink(to);
        }
      } catch (const process_killed&) {
      }
    });
    while (a.bring_to(b) || b.bring_to(a))
      ;
    REQUIRE(b.all.info(b.p.pid(), "links") == list_of());
    REQUIRE(b.all.info(b.p.pid(), "monitored_by") == list_of());
  }
}

TEST_CASE_METHOD(real_node, "of servers that want one name at once one starts, "
                            "the others are told which") {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> told{0};
    std::atomic<int> wrong{0};
    for (int i = 0; i < 8; ++i)
      a.spawn([&](self me) -> process_body {
        me.trap_exit(true);
        auto x = co_await gen_server::start(me, std::make_unique<gen_server>(),
                                            server_options{"one", true});
        auto who = me.whereis("one");
        bool good = who
                    && (x == tup("ok", *who)
                        || x == tup("error", tup("already_started", *who)));
        if (!good || co_await me.receive(after{0}))
          ++wrong;
        ++told;
        co_await me.receive(match("stop"));
      });
    REQUIRE(comes_true([&] { return told == 8; }));
    REQUIRE(wrong == 0);
    for (auto& x : a.all())
      a.exit(x, atom("kill"));
    REQUIRE(settles(0));
  }
}

TEST_CASE_METHOD(real_node, "a storm of spawns and kills from several threads "
                            "leaves nothing") {
  in_threads(4, [&](int seed) {
    std::mt19937 rng{static_cast<unsigned>(seed)};
    std::vector<term> mine;
    for (int i = 0; i < 20'000; ++i) {
      mine.push_back(a.spawn(idle));
      if (rng() % 2 == 0) {
        std::swap(mine[rng() % mine.size()], mine.back());
        a.exit(mine.back(), atom("kill"));
        mine.pop_back();
      }
    }
    for (auto& x : mine)
      a.exit(x, atom("boom"));
  });
  CHECK(settles(0));
  CHECK(a.all().empty());
  CHECK(a.abandoned().empty());
}

TEST_CASE_METHOD(real_node, "processes that spawn, link and are killed leave "
                            "nothing") {
  struct tree {
    static process_body run(self me, int depth) {
      if (depth > 0)
        for (int i = 0; i < 3; ++i)
          me.spawn_link(&tree::run, depth - 1);
      co_await me.receive(match("stop"));
    }
  };
  in_threads(3, [&](int) {
    for (int i = 0; i < 20; ++i) {
      auto root = a.spawn(&tree::run, 6);
      if (i % 2 == 0)
        std::this_thread::yield();
      a.exit(root, atom("boom")); // perhaps in the middle of its growth
    }
  });
  CHECK(settles(0));
}

TEST_CASE_METHOD(real_node, "a process that is killed as it is spawned ends "
                            "with its link and its monitor") {
  constexpr int n = 2000;
  std::atomic<int> heard{0};
  auto parent = a.spawn([&](self me) -> process_body {
    me.trap_exit(true);
    for (int i = 0; i < n; ++i) {
      auto x = me.spawn_link(idle);
      if (co_await me.receive(match("EXIT", x, "killed"), after{20'000}))
        ++heard;
      auto [y, ref] = me.spawn_monitor(idle);
      if (co_await me.receive(match("DOWN", ref, any, any, "killed"),
                              after{20'000}))
        ++heard;
    }
  });
  in_threads(2, [&](int) {
    while (a.alive(parent))
      for (auto& x : a.all())
        if (x != parent)
          a.exit(x, atom("kill"));
  });
  CHECK(heard == 2 * n);
  CHECK(settles(0));
}

TEST_CASE_METHOD(real_node, "a linked ring that is hit from outside at several "
                            "places ends whole") {
  struct ring {
    static process_body run(self me) {
      auto next = co_await me.receive(any_pid);
      me.link(next);
      co_await me.receive(match("stop"));
    }
  };
  for (int round = 0; round < 20; ++round) {
    std::vector<term> all;
    for (int i = 0; i < 500; ++i)
      all.push_back(a.spawn(&ring::run));
    for (std::size_t i = 0; i < all.size(); ++i)
      a.send(all[i], all[(i + 1) % all.size()]);
    REQUIRE(comes_true([&] {
      return std::all_of(all.begin(), all.end(), [&](auto& x) {
        auto links = a.info(x, "links");
        return links && links->items().size() == 2;
      });
    }));
    in_threads(3, [&](int i) {
      a.exit(all[static_cast<std::size_t>(i) * 150], atom("boom"));
    });
    REQUIRE(settles(0));
  }
}

TEST_CASE_METHOD(real_node, "linked processes that end against each other hear "
                            "of it once") {
  std::atomic<int> heard{0};
  std::atomic<int> twice{0};
  constexpr int rounds = 2000;
  struct watcher {
    static process_body run(self me, term x, term y, std::atomic<int>* heard,
                            std::atomic<int>* twice) {
      me.trap_exit(true);
      me.link(x);
      me.link(y);
      for (int i = 0; i < 2; ++i) {
        co_await me.receive(match("EXIT", any, any));
        ++*heard;
      }
      if (co_await me.receive(match("EXIT", any, any), after{0}))
        ++*twice;
    }
  };
  struct partner {
    static process_body run(self me) {
      auto other = co_await me.receive(any_pid);
      try {
        me.link(other);
      } catch (const erlang_error&) { // it has ended already
      }
      me.exit(atom("boom"));
    }
  };
  for (int i = 0; i < rounds; ++i) {
    auto x = a.spawn(&partner::run);
    auto y = a.spawn(&partner::run);
    a.spawn(&watcher::run, x, y, &heard, &twice);
    a.send(x, y);
    a.send(y, x);
  }
  CHECK(settles(0));
  CHECK(heard == 2 * rounds);
  CHECK(twice == 0);
}

TEST_CASE_METHOD(real_node, "each monitor gives one down message, or none "
                            "after demonitor with flush") {
  std::atomic<int> wrong{0};
  std::atomic<int> downs{0};
  std::atomic<int> done{0};
  struct watcher {
    static process_body run(self me, term target, std::atomic<int>* downs,
                            std::atomic<int>* wrong, std::atomic<int>* done) {
      for (int i = 0; i < 300; ++i) {
        auto ref = me.monitor(target);
        auto kept = me.monitor(target);
        if (i % 3 == 0)
          co_await me.yield();
        me.demonitor(ref, true);
        auto down = match("DOWN", ref, any, any, any);
        if (co_await me.receive(down, after{0}))
          ++*wrong;
        if (i % 10 != 0) {
          me.demonitor(kept, true);
          continue;
        }
        me.send(target, atom("stop"));
        auto got = match("DOWN", kept, any, any, any);
        if (co_await me.receive(got, after{20'000}))
          ++*downs;
        if (co_await me.receive(got, after{0}))
          ++*wrong;
        target = me.spawn(idle);
      }
      me.send(target, atom("stop"));
      if (me.impl().queue_length() != 0)
        ++*wrong;
      ++*done;
    }
  };
  for (int i = 0; i < 60; ++i) {
    auto shared = a.spawn(idle);
    for (int k = 0; k < 3; ++k)
      a.spawn(&watcher::run, shared, &downs, &wrong, &done);
  }
  CHECK(settles(0));
  CHECK(wrong == 0);
  CHECK(done == 180);
  CHECK(downs == 180 * 30);
}

TEST_CASE_METHOD(real_node, "every process that is monitored as it dies is "
                            "reported once") {
  attached_process p{a};
  std::vector<term> all;
  for (int i = 0; i < 20'000; ++i)
    all.push_back(a.spawn(idle));
  std::thread killer{[&] {
    for (auto& x : all)
      a.exit(x, atom("kill"));
  }};
  std::map<term, int> waiting;
  for (auto& x : all)
    ++waiting[p.me().monitor(x)];
  killer.join();
  std::map<term, int> got;
  while (auto m = p.receive(deadline::in(0)))
    ++got[m->items()[1]];
  CHECK(got == waiting);
  CHECK(settles(1));
}

TEST_CASE_METHOD(real_node, "calls to a server that is killed return or exit, "
                            "none hangs") {
  class echo : public gen_server {
    task<server_result> handle_call(self, term request, term) override {
      co_return server_result::reply(request);
    }
  };
  std::atomic<int> answered{0};
  std::atomic<int> failed{0};
  std::atomic<int> wrong{0};
  struct caller {
    static process_body run(self me, std::atomic<int>* answered,
                            std::atomic<int>* failed, std::atomic<int>* wrong) {
      for (int i = 0; i < 500; ++i) {
        try {
          auto x = co_await gen_server::call(me, atom("echo"), term{i}, 20'000);
          ++(x == term{i} ? *answered : *wrong);
        } catch (const exit_error& e) {
          auto& why = e.reason.items()[0];
          ++(why == atom("noproc") || why == atom("killed") ? *failed : *wrong);
        }
      }
    }
  };
  // Callers without a server are through in no time: the first one is there
  // before them, and has answered before it is killed.
  auto first = gen_server::spawn(a, std::make_unique<echo>(), "echo");
  REQUIRE(comes_true([&] { return a.whereis("echo").has_value(); }));
  for (int i = 0; i < 50; ++i)
    a.spawn(&caller::run, &answered, &failed, &wrong);
  CHECK(comes_true([&] { return answered > 0; }));
  std::atomic<bool> over{false};
  std::thread killer{[&] {
    a.exit(first, atom("kill"));
    while (!over) {
      auto s = gen_server::spawn(a, std::make_unique<echo>(), "echo");
      std::this_thread::sleep_for(200us);
      a.exit(s, atom("kill"));
    }
  }};
  CHECK(comes_true([&] { return answered + failed + wrong == 50 * 500; }));
  over = true;
  killer.join();
  CHECK(settles(0));
  CHECK(wrong == 0);
}

TEST_CASE_METHOD(real_node, "a million messages wait for one process and are "
                            "read in order") {
  auto before = memory();
  std::atomic<int> got{0};
  std::atomic<bool> in_order{true};
  {
    auto x = a.spawn([&](self me) -> process_body {
      co_await me.receive(match("go"));
      for (int i = 0; i < 1'000'000; ++i) {
        in_order = in_order && co_await me.receive() == term{i};
        ++got;
      }
    });
    for (int i = 0; i < 1'000'000; ++i)
      a.send(x, term{i});
    a.send(x, atom("go"));
    CHECK(comes_true([&] { return got == 1'000'000; }));
  }
  CHECK(in_order);
  CHECK(settles(0));
  CHECK(memory() < before + 20 * mib);
}

TEST_CASE_METHOD(real_node, "a process that is killed with a million messages "
                            "gives their memory back") {
  auto before = memory();
  auto x = a.spawn(idle);
  auto text = term::string(std::string(200, 'x'));
  for (int i = 0; i < 1'000'000; ++i)
    a.send(x, term{i});
  CHECK(memory() > before + 20 * mib);
  a.exit(x, atom("kill"));
  x = {};
  CHECK(settles(0));
  CHECK(memory() < before + 20 * mib);
}

TEST_CASE_METHOD(real_node, "a reason of 100 MB goes through a chain of a "
                            "thousand links without a copy") {
  struct chain {
    static process_body run(self me, int left, term last) {
      if (left > 0)
        me.spawn_link(&chain::run, left - 1, last);
      else
        me.link(last);
      co_await me.receive(match("stop"));
    }
  };
  attached_process p{a};
  p.me().trap_exit(true);
  auto first = a.spawn(&chain::run, 1000, p.pid());
  REQUIRE(
    comes_true([&] { return a.info(p.pid(), "links")->items().size() == 1; }));
  auto before = memory();
  auto reason = tup("big", term::bytes(std::string(100 * mib, 'x')));
  a.exit(first, reason);
  auto got = p.receive(match("EXIT", any, any), soon());
  REQUIRE(got);
  CHECK(got->items()[2] == reason);
  CHECK(memory() < before + 200 * mib);
  CHECK(settles(1));
}

TEST_CASE_METHOD(real_node, "sends to dead processes from several threads are "
                            "silent and keep nothing") {
  std::vector<term> dead;
  for (int i = 0; i < 1000; ++i)
    dead.push_back(a.spawn(idle));
  for (auto& x : dead)
    a.exit(x, atom("kill"));
  auto before = memory();
  in_threads(3, [&](int) {
    for (int i = 0; i < 300; ++i)
      for (auto& x : dead)
        a.send(x, term{i});
  });
  CHECK(settles(0));
  CHECK(memory() < before + 20 * mib);
}

TEST_CASE_METHOD(real_node, "messages sent while their receiver dies are lost "
                            "or read, never kept") {
  for (int round = 0; round < 200; ++round) {
    auto x = a.spawn([](self me) -> process_body {
      for (;;)
        co_await me.receive();
    });
    in_threads(3, [&](int i) {
      if (i == 0)
        a.exit(x, atom("kill"));
      else
        for (int k = 0; k < 100; ++k)
          a.send(x, term{k});
    });
  }
  CHECK(settles(0));
}

TEST_CASE_METHOD(real_node, "a body that never suspends holds only its own "
                            "worker") {
  std::atomic<bool> over{false};
  std::atomic<bool> runs{false};
  auto x = a.spawn([&](self) -> process_body {
    runs = true;
    while (!over)
      std::this_thread::yield();
    co_return;
  });
  REQUIRE(comes_true([&] { return runs.load(); }));
  std::atomic<int> done{0};
  struct pair {
    static process_body run(self me, std::atomic<int>* done) {
      auto to = co_await me.receive(any_pid);
      for (int i = 0; i < 100; ++i) {
        me.send(to, term{i});
        co_await me.receive(any_int);
      }
      ++*done;
    }
  };
  for (int i = 0; i < 500; ++i) {
    auto one = a.spawn(&pair::run, &done);
    auto two = a.spawn(&pair::run, &done);
    a.send(one, two);
    a.send(two, one);
  }
  CHECK(comes_true([&] { return done == 1000; }));
  a.exit(x, atom("kill"));
  CHECK_FALSE(a.alive(x)); // for everybody else
  CHECK(comes_true([&] { return a.count().second == 1; }));
  CHECK(a.abandoned() == terms(x));
  over = true;
  CHECK(settles(0));
}

TEST_CASE_METHOD(real_node, "names are given to one at a time, whoever wants "
                            "them") {
  std::atomic<int> holders{0};
  std::atomic<int> wrong{0};
  std::atomic<int> won{0};
  struct rival {
    static process_body run(self me, std::atomic<int>* holders,
                            std::atomic<int>* wrong, std::atomic<int>* won) {
      for (int i = 0; i < 200; ++i) {
        bool taken = false;
        try {
          me.register_name("crown");
        } catch (const erlang_error&) {
          taken = true;
        }
        if (taken) {
          co_await me.yield();
          continue;
        }
        if (holders->fetch_add(1) != 0)
          ++*wrong;
        if (me.whereis("crown") != me.pid())
          ++*wrong;
        ++*won;
        co_await me.yield();
        --*holders;
        me.unregister_name("crown");
      }
    }
  };
  for (int i = 0; i < 50; ++i)
    a.spawn(&rival::run, &holders, &wrong, &won);
  CHECK(settles(0));
  CHECK(wrong == 0);
  CHECK(won > 0);
  CHECK(a.registered().empty());
}

TEST_CASE_METHOD(real_node, "many timeouts and messages that race lose no "
                            "process") {
  std::atomic<int> done{0};
  for (int i = 0; i < 2000; ++i) {
    auto x = a.spawn([&](self me) -> process_body {
      for (int k = 0; k < 5; ++k)
        co_await me.receive(any_int, after{k % 3});
      ++done;
    });
    if (i % 2 == 0)
      a.send(x, term{i});
  }
  CHECK(comes_true([&] { return done == 2000; }));
  CHECK(settles(0));
}

TEST_CASE_METHOD(real_node, "timers that are set, cancelled and fire from all "
                            "sides come once") {
  attached_process p{a};
  std::atomic<int> cancelled{0};
  constexpr int each = 2000;
  for (int t = 0; t < 4; ++t)
    a.spawn([&, to = p.pid()](self me) -> process_body {
      for (int i = 0; i < each; ++i) {
        auto ref = me.send_after(i % 3, to, term{i});
        if (i % 2 == 0) {
          co_await me.yield();
          if (me.cancel_timer(ref))
            ++cancelled;
        }
      }
    });
  REQUIRE(settles(1));
  int got = 0;
  CHECK(comes_true([&] {
    while (p.receive(deadline::in(0)))
      ++got;
    return got + cancelled == 4 * each;
  }));
  CHECK_FALSE(p.receive(deadline::in(20)));
  CHECK(a.clock().size() == 0);
}

TEST_CASE_METHOD(real_node, "a hundred thousand processes live at once and end "
                            "at once") {
  auto before = memory();
  std::vector<term> all;
  for (int i = 0; i < 100'000; ++i)
    all.push_back(a.spawn(idle));
  CHECK(a.count().first == 100'000);
  for (auto& x : all)
    a.exit(x, atom("boom"));
  all.clear();
  all.shrink_to_fit();
  CHECK(settles(0));
  CHECK(memory() < before + 30 * mib);
}

TEST_CASE("a node's processes that never suspend are left behind in time") {
  std::atomic<bool> over{false};
  std::atomic<bool> runs{false};
  real_node x{2};
  x.a.spawn([&](self) -> process_body {
    runs = true;
    while (!over)
      std::this_thread::yield();
    co_return;
  });
  REQUIRE(comes_true([&] { return runs.load(); }));
  auto begin = clock::now();
  x.a.stop(50ms);
  CHECK(clock::now() - begin < 5s);
  CHECK(x.a.count() == std::pair<std::size_t, std::size_t>{0, 1});
  CHECK_THROWS_AS(x.a.spawn(idle), erlang_error);
  over = true;
  CHECK(x.settles(0));
}
