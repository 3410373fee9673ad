#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <unistd.h>

#include "actors/services.hpp"
#include "runtime/caf/actor_system_thread.hpp"
#include "runtime/caf/caf.hpp"
#include "runtime/caf/io_loop.hpp"

using namespace hornbeam;
using namespace hornbeam::runtime;
using std::chrono::seconds;

namespace {

/// A CAF system whose loop a test turns.
struct world {
  world() : caf(settings(), 1), loop(io_loop::of(caf.system())) {}
  ~world() { caf.end(seconds(10), {}); }

  static node_settings settings() {
    node_settings s;
    s.insecure_loopback_without_tls = true;
    return s;
  }
  auto& sockets() { return caf.system().middleman().backend(); }
  reply_slot_ptr slot() const {
    auto x = std::make_shared<reply_slot>();
    x->helped_by(loop);
    return x;
  }
  /// Runs `f` in the loop, in this thread.
  void run(const std::function<void()>& f) const {
    while (!loop->try_run(f))
      std::this_thread::yield();
  }
  /// A thread that waits at `x` and leads.
  std::thread leader(const reply_slot_ptr& x) {
    auto until = clock::now() + seconds(60);
    std::thread out{[x, until] { x->wait_until(until); }};
    auto leads = [&] {
      auto seen = std::make_shared<reply_slot>();
      sockets().post([seen, thread = out.get_id()] {
        seen->set(term{std::this_thread::get_id() == thread});
      });
      return seen->wait_until(until) && seen->take()->as_bool();
    };
    while (!leads() && clock::now() < until)
      std::this_thread::yield();
    return out;
  }

  actor_system_thread caf;
  std::shared_ptr<io_loop> loop;
};

/// Posts itself `n` times from inside, then answers.
void post_chain(caf::io::network::multiplexer& x, int n, reply_slot_ptr to) {
  if (n == 0)
    to->set(term{true});
  else
    x.post([&x, n, to] { post_chain(x, n - 1, to); });
}

} // namespace

TEST_CASE("what a helper leaves undone runs though somebody leads") {
  world w;
  auto slot = w.slot();
  auto began = clock::now();
  auto leader = w.leader(slot);
  w.run([&] { post_chain(w.sockets(), 1000, slot); });
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
  a.sockets().post([&] { at_b->set(term{true}); });
  leads_b.join();
  CHECK(clock::now() - began < seconds(30));
  at_a->set(term{true});
  leads_a.join();
}

TEST_CASE("who has turned a loop keeps no share in its system") {
  world w;
  w.run([&] {
    // With an argument: without one CAF refers to nothing, which libstdc++'s
    // assertions find.
    w.caf.system().spawn([](caf::event_based_actor*, int) {}, 0);
    CHECK(caf::logger::current_logger() != nullptr);
  });
  CHECK(caf::logger::current_logger() == nullptr);
}

TEST_CASE("what is deferred runs though nobody settles it") {
  world w;
  auto slot = w.slot();
  auto until = clock::now() + seconds(60);
  auto f = [slot] { slot->set(term{true}); };
  CHECK_FALSE(w.loop->defer(f)); // this thread is not patient
  io_loop::batch_sends_scope here;
  auto look = std::make_shared<std::atomic<bool>>(true);
  w.sockets().post([look] {
    if (auto* own = io_loop::own())
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
  w.sockets().post([look] {
    if (auto* own = io_loop::own())
      own->in_a_moment([look] { return look->load(); });
  });
  {
    io_loop::batch_sends_scope here;
    while (!w.loop->defer([slot] { slot->set(term{true}); })
           && clock::now() < until)
      std::this_thread::yield();
  }
  io_loop::flush_deferred();
  CHECK(slot->wait_alone(until));
  *look = false;
}

TEST_CASE("a loop that stops lets go who leads it") {
  auto w = std::make_unique<world>();
  auto slot = w->slot();
  auto leader = w->leader(slot);
  auto loop = w->loop;
  w = nullptr; // ends the system
  CHECK_FALSE(loop->try_run([] { FAIL("it has stopped"); }));
  slot->set(term{true});
  leader.join();
}

TEST_CASE("OpenSSL is as it was for the rest of the program") {
  auto* found = ::dlsym(RTLD_DEFAULT, "SSL_set_fd");
  REQUIRE(found != nullptr);
  Dl_info where{};
  REQUIRE(::dladdr(found, &where) != 0);
  CHECK_THAT(where.dli_fname, Catch::Contains("libssl"));
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
