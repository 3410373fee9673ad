#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/services.hpp"
#include "child_process.hpp"
#include "runtime/caf/actor_system_thread.hpp"
#include "runtime/caf/loop_actor.hpp"
#include "runtime/net/event_loop.hpp"

using namespace hornbeam;
using namespace hornbeam::runtime;
using std::chrono::seconds;

namespace {

/// A loop that a test uses.
struct world {
  ~world() { loop->stop(); }

  reply_slot_ptr slot() const {
    auto x = std::make_shared<reply_slot>();
    x->helped_by(loop);
    return x;
  }
  /// A thread that waits at `x` and leads.
  std::thread leader(const reply_slot_ptr& x) const {
    auto until = clock::now() + seconds(60);
    std::thread out{[x, until] { x->wait_until(until); }};
    auto leads = [&] {
      auto seen = std::make_shared<reply_slot>();
      loop->post([seen, thread = out.get_id()] {
        seen->set(term{std::this_thread::get_id() == thread});
      });
      return seen->wait_until(until) && seen->take()->as_bool();
    };
    while (!leads() && clock::now() < until)
      std::this_thread::yield();
    return out;
  }

  std::shared_ptr<event_loop> loop = event_loop::start();
};

/// Says whether it runs in the loop.
struct state_in_loop {
  std::shared_ptr<event_loop> loop;
  static inline const char* name = "test";
  caf::behavior run(caf::event_based_actor* self) const {
    return {[self, on = loop](int) {
      self->spawn([](caf::event_based_actor*, int) {}, 0);
      return on->inside() && caf::logger::current_logger() != nullptr;
    }};
  }
};

/// Posts itself `n` times from inside, then answers.
void post_chain(const std::shared_ptr<event_loop>& x, int n,
                reply_slot_ptr to) {
  if (n == 0)
    to->set(term{true});
  else
    x->post([x, n, to] { post_chain(x, n - 1, to); });
}

} // namespace

TEST_CASE("what follows from each other runs though somebody leads") {
  world w;
  auto slot = w.slot();
  auto began = clock::now();
  auto leader = w.leader(slot);
  post_chain(w.loop, 1000, slot);
  leader.join();
  CHECK(slot->ready());
  CHECK(clock::now() - began < seconds(30));
}

TEST_CASE("who leads one loop wakes who leads another") {
  world a, b;
  auto at_a = a.slot();
  auto at_b = b.slot();
  auto leads_b = b.leader(at_b); // first, so that it sleeps by then
  auto leads_a = a.leader(at_a);
  auto began = clock::now();
  a.loop->post([&] { at_b->set(term{true}); });
  leads_b.join();
  CHECK(clock::now() - began < seconds(30));
  at_a->set(term{true});
  leads_a.join();
}

TEST_CASE(
  "an actor of a loop runs where the loop is turned, and who has turned "
  "it keeps no share in its system") {
  world w;
  actor_system_thread caf{1};
  auto unit = std::make_shared<loop_unit>(caf.system(), w.loop);
  auto inside = std::make_shared<reply_slot>();
  auto afterwards = std::make_shared<reply_slot>();
  {
    logger_share_scope here;
    auto x = caf.system().spawn<loop_actor<state_in_loop>>(
      unit, [&](state_in_loop& st) { st.loop = w.loop; });
    caf::scoped_actor self{caf.system()};
    self->request(x, seconds(60), 1)
      .receive([&](bool y) { inside->set(term{y}); },
               [&](caf::error&) { inside->set(term{false}); });
    caf::anon_send_exit(x, caf::exit_reason::kill);
    self->wait_for(x);
  }
  w.loop->post([afterwards] {
    afterwards->set(term{caf::logger::current_logger() == nullptr});
  });
  REQUIRE(afterwards->wait_until(clock::now() + seconds(60)));
  CHECK(afterwards->take()->as_bool());
  CHECK(inside->take()->as_bool());
  unit = nullptr;
  CHECK(caf.end(seconds(10), {}));
}

TEST_CASE("what a handler raises ends nothing") {
  world w;
  auto slot = w.slot();
  w.loop->post([] { throw std::runtime_error("a test"); });
  w.loop->post([] { throw 1; });
  w.loop->post([slot] { slot->set(term{true}); });
  CHECK(slot->wait_until(clock::now() + seconds(60)));
}

TEST_CASE("a timer runs once, unless it is set anew or cancelled before") {
  world w;
  auto slot = w.slot();
  auto ran = std::make_shared<std::vector<int>>();
  std::optional<loop_timer> first, second;
  w.loop->post([&, ran, slot] {
    first.emplace(w.loop);
    second.emplace(w.loop);
    first->after(std::chrono::milliseconds(1), [ran] { ran->push_back(1); });
    first->after(std::chrono::milliseconds(2), [ran] { ran->push_back(2); });
    second->after(std::chrono::milliseconds(3), [ran] { ran->push_back(3); });
    second->cancel();
    second->after(std::chrono::milliseconds(20),
                  [slot] { slot->set(term{true}); });
  });
  REQUIRE(slot->wait_until(clock::now() + seconds(60)));
  CHECK(*ran == std::vector<int>{2});
}

TEST_CASE("what is deferred runs though nobody settles it") {
  world w;
  auto slot = w.slot();
  auto until = clock::now() + seconds(60);
  auto f = [slot] { slot->set(term{true}); };
  CHECK_FALSE(w.loop->defer(f)); // this thread is not patient
  event_loop::batch_sends_scope here;
  auto look = std::make_shared<std::atomic<bool>>(true);
  w.loop->post([look] {
    if (auto* own = event_loop::own())
      own->in_a_moment([look] { return look->load(); });
  });
  while (!w.loop->defer(f) && clock::now() < until)
    std::this_thread::yield();
  CHECK(slot->wait_alone(until));
  *look = false;
}

TEST_CASE("who defers can settle it") {
  world w;
  auto look = std::make_shared<std::atomic<bool>>(true);
  auto until = clock::now() + seconds(60);
  auto slot = w.slot();
  w.loop->post([look] {
    if (auto* own = event_loop::own())
      own->in_a_moment([look] { return look->load(); });
  });
  {
    event_loop::batch_sends_scope here;
    while (!w.loop->defer([slot] { slot->set(term{true}); })
           && clock::now() < until)
      std::this_thread::yield();
  }
  event_loop::flush_deferred();
  CHECK(slot->wait_alone(until));
  *look = false;
}

TEST_CASE("a loop that stops lets go who leads it") {
  auto w = std::make_unique<world>();
  auto slot = w->slot();
  auto leader = w->leader(slot);
  auto loop = w->loop;
  w = nullptr;
  loop->post([] { FAIL("it has stopped"); });
  slot->set(term{true});
  leader.join();
}

TEST_CASE("a child closes what the loop had at the fork, and nothing that only "
          "its parent's loop has since",
          "[forks]") {
  world w;
  auto in_loop = [&](const std::function<void()>& f) {
    auto slot = std::make_shared<reply_slot>();
    w.loop->post([&f, slot] {
      f();
      slot->set(term{true});
    });
    REQUIRE(slot->wait_until(clock::now() + seconds(20)));
  };
  int before[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, before) == 0);
  std::optional<watched_descriptor> old;
  std::optional<watched_descriptor> fresh;
  in_loop([&] { old.emplace(w.loop, before[0]); });
  int own[2]; // of the child
  int go_on[2];
  REQUIRE(::pipe(own) == 0);
  REQUIRE(::pipe(go_on) == 0);
  hornbeam::testing::child_process child{[&] {
    char c = 0;
    if (::read(go_on[0], &c, 1) != 1)
      return 1;
    w.loop->close_descriptors_after_fork();
    if (::fcntl(before[0], F_GETFD) >= 0)
      return 2; // it was the loop's
    return ::fcntl(own[1], F_GETFD) >= 0 ? 0 : 3;
  }};
  // Here that number is now a socket of the loop.
  int after[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, after) == 0);
  REQUIRE(::dup2(after[0], own[1]) == own[1]);
  in_loop([&] {
    fresh.emplace(w.loop, own[1]);
    fresh->on_readable([] {});
    fresh->arm_readable();
  });
  REQUIRE(::write(go_on[1], "x", 1) == 1);
  CHECK(child.wait() == 0);
  in_loop([&] {
    old.reset();
    fresh.reset();
  });
  for (int fd : {before[1], own[0], go_on[0], go_on[1], after[0], after[1]})
    ::close(fd);
}

namespace {

/// Real nodes, with sockets on 127.0.0.1 and TLS.
struct nodes {
  nodes() {
    folder = std::filesystem::temp_directory_path()
             / ("hornbeam-loop-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    ::setenv("RUNTIME_DIRECTORY", folder.c_str(), 1);
    for (auto* name : {"a@127.0.0.1", "b@127.0.0.1"}) {
      node_settings s;
      s.name = name;
      s.listen = true;
      s.secret = folder / "secret.pem";
      all.push_back(actors::services::start(std::move(s)));
    }
    REQUIRE(call(0, 1, term{0}).ok());
    REQUIRE(call(1, 0, term{0}).ok());
  }
  ~nodes() {
    for (auto& n : all)
      n->stop();
    std::filesystem::remove_all(folder);
  }
  outcome call(std::size_t from, std::size_t to, term arg) {
    auto slot = std::make_shared<reply_slot>();
    all[from]->node->request(all[to]->node->name(), "rpc",
                             make_op("call", term::string("hornbeam"),
                                     term::string("echo"),
                                     term::list({std::move(arg)})),
                             deadline::in(20000), 0, responder{slot});
    if (!slot->wait_until(clock::now() + seconds(30)))
      return failure{error_code::internal, "no answer at all"};
    return slot->take();
  }

  std::filesystem::path folder;
  std::vector<std::shared_ptr<actors::services>> all;
};

} // namespace

TEST_CASE_METHOD(nodes, "threads that call and wait at once are all answered") {
  constexpr int threads = 6;
  constexpr int calls = 200;
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < threads; ++t)
    callers.emplace_back([&, t] {
      // One alone at first and at last, so that callers lead and follow.
      for (int i = 0; i < calls * (t + 1) / threads; ++i) {
        auto x = call(t % 2, 1 - t % 2, term{t * calls + i});
        wrong += !x || x->as_int() != t * calls + i;
      }
    });
  for (auto& t : callers)
    t.join();
  CHECK(wrong == 0);
}

TEST_CASE_METHOD(nodes, "who waits hears of it when a node ends") {
  std::size_t ends = 0;
  SECTION("its own") {
    ends = 0;
  }
  SECTION("the other one") {
    ends = 1;
  }
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t)
    callers.emplace_back([&] {
      auto until = clock::now() + seconds(60);
      while (call(0, 1, term{1}).ok() && clock::now() < until) {
      }
    });
  auto began = clock::now();
  all[ends]->stop();
  for (auto& t : callers)
    t.join();
  CHECK(clock::now() - began < seconds(30));
}
