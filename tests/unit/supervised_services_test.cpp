#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "actors/services.hpp"
#include "runtime/caf/caf.hpp"
#include "runtime/process/attached_process.hpp"

// Services of real nodes whose actors are killed: the supervisor brings them
// back, what they had is still there, and who calls notices a delay at most.

using namespace hornbeam;
using namespace hornbeam::runtime;
using actors::invocation;
using actors::make_function;

namespace {

const char* const all_services[] = {"topics", "hooks",   "functions",  "rpc",
                                    "tasks",  "streams", "table:state"};

term text(const std::string& x) {
  return term::string(x);
}

struct fixture {
  fixture() {
    folder = std::filesystem::temp_directory_path()
             / ("hornbeam-supervised-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    ::setenv("RUNTIME_DIRECTORY", folder.c_str(), 1);
    a = start("a@127.0.0.1");
    b = start("b@127.0.0.1");
    auto slot = std::make_shared<reply_slot>();
    a->node->connect("b@127.0.0.1", deadline::in(20000),
                     responder{[slot](outcome x) { slot->set(x); }});
    REQUIRE(wait(slot).ok());
    REQUIRE(comes_true([&] { return b->node->connected("a@127.0.0.1"); }));
    auto twice = make_function([](const invocation& x) -> outcome {
      return term{x.args.at(0).as_int() * 2};
    });
    b->functions.add("twice", twice);
    b->hooks.add("twice", twice);
    // Announcements and calls go different ways: wait for the first.
    REQUIRE(comes_true([&] {
      return !a->functions.directory().remote("twice").empty()
             && !a->hooks.directory().remote("twice").empty();
    }));
  }
  ~fixture() {
    a->stop();
    b->stop();
    std::filesystem::remove_all(folder);
  }
  std::shared_ptr<actors::services> start(const std::string& name) {
    node_settings s;
    s.name = name;
    s.listen = true;
    s.secret = folder / "secret.pem";
    return actors::services::start(std::move(s));
  }

  template <class F>
  bool comes_true(F f) {
    for (auto until = deadline::in(20000); !f(); std::this_thread::yield())
      if (until.expired())
        return false;
    return true;
  }
  outcome wait(const reply_slot_ptr& slot) {
    if (!slot->wait_until(runtime::clock::now() + std::chrono::seconds(30)))
      return failure{error_code::internal, "no answer at all"};
    return slot->take();
  }
  /// Asks a service of b, from a.
  outcome ask(const std::string& service, const term& op) {
    auto slot = std::make_shared<reply_slot>();
    a->node->request("b@127.0.0.1", service, op, deadline::in(20000), 0,
                     responder{[slot](outcome x) { slot->set(x); }});
    return wait(slot);
  }
  outcome invoke(actors::named_handlers& of, std::int64_t x) {
    invocation i;
    i.target = "twice";
    i.args = {term{x}};
    i.until = deadline::in(20000);
    auto slot = std::make_shared<reply_slot>();
    of.invoke(i, responder{[slot](outcome y) { slot->set(y); }});
    return wait(slot);
  }
  /// Kills the actor of a service of b; it may be between two lives.
  caf::actor kill(const std::string& service) {
    auto actor = b->node->service_actor(service);
    if (actor)
      caf::anon_send_exit(actor, caf::exit_reason::kill);
    return actor;
  }
  /// Kills it and waits for the next one.
  bool replace(const std::string& service) {
    auto old = kill(service);
    return comes_true([&] {
      auto now = b->node->service_actor(service);
      return now && now != old;
    });
  }

  std::filesystem::path folder;
  std::shared_ptr<actors::services> a;
  std::shared_ptr<actors::services> b;
};

} // namespace

TEST_CASE_METHOD(fixture, "each service has an actor, and another after it was "
                          "killed") {
  for (auto* name : all_services) {
    INFO(name);
    REQUIRE(b->node->service_actor(name));
    CHECK(replace(name));
  }
  CHECK_FALSE(b->node->service_actor("unheard of"));
}

TEST_CASE_METHOD(fixture, "a table keeps its data when its actor is killed") {
  for (int i = 0; i < 10; ++i) {
    REQUIRE(ask("table:state", make_op("incr", text("n"), term{1})).ok());
    REQUIRE(replace("table:state"));
  }
  CHECK(*b->table("state")->get(text("n")) == term{10});
}

TEST_CASE_METHOD(fixture, "functions and hooks stay registered, here and "
                          "elsewhere") {
  REQUIRE(replace("functions"));
  REQUIRE(replace("hooks"));
  CHECK(*invoke(a->functions, 4) == term{8});
  CHECK(*invoke(a->hooks, 5) == term{10});
  // What is announced afterwards is heard as well.
  a->functions.add("of a", make_function([](auto&) { return term{1}; }));
  CHECK(comes_true(
    [&] { return !b->functions.directory().remote("of a").empty(); }));
}

TEST_CASE_METHOD(fixture, "topics keep their subscribers") {
  attached_process box{b->node->processes()};
  b->topics.subscribe("news", box.pid());
  REQUIRE(comes_true([&] { return a->topics.count("news") == 1; }));
  REQUIRE(replace("topics"));
  CHECK(a->topics.publish("news", term{7}) == 1);
  CHECK(box.receive(deadline::in(20000)));
}

TEST_CASE_METHOD(fixture, "tasks that ended are still known") {
  auto id = b->tasks.make_id("b@127.0.0.1");
  b->tasks.start(id, "x", "go");
  b->tasks.finish(id, {term{42}, {}});
  REQUIRE(replace("tasks"));
  auto x = ask("tasks", make_op("await", text(id)));
  REQUIRE(x.ok());
  CHECK(*x == term{42});
}

TEST_CASE_METHOD(fixture, "a service that is killed twenty times in a row "
                          "comes back each time") {
  for (int i = 0; i < 20; ++i)
    REQUIRE(replace("rpc"));
  auto x = ask("rpc", make_op("call", text("hornbeam"), text("echo"),
                              term::list({term{5}})));
  REQUIRE(x.ok());
  CHECK(*x == term{5});
}

TEST_CASE_METHOD(fixture, "calls from another node while services are killed "
                          "again and again all succeed") {
  std::atomic<bool> over{false};
  std::atomic<int> kills{0};
  std::thread killer{[&] {
    // A supervisor allows 100 restarts in five seconds: stay below.
    while (!over && kills < 80) {
      kill(all_services[static_cast<std::size_t>(kills) % 7]);
      ++kills;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }};
  int failed = 0;
  std::string why;
  std::int64_t counted = 0;
  auto check = [&](const outcome& x, const term& wanted) {
    if (x.ok() && *x == wanted)
      return;
    ++failed;
    why = x.ok() ? to_string(*x) : x.error().message;
  };
  for (std::int64_t i = 0; i < 100'000 && kills < 80; ++i) {
    check(ask("rpc", make_op("call", text("hornbeam"), text("echo"),
                             term::list({term{i}}))),
          term{i});
    check(invoke(a->functions, i), term{2 * i});
    check(invoke(a->hooks, i), term{2 * i});
    check(ask("table:state", make_op("incr", text("n"), term{1})),
          term{++counted});
  }
  over = true;
  killer.join();
  INFO(why);
  CHECK(failed == 0);
  CHECK(counted > 50);
  CHECK(kills == 80);
}

TEST_CASE_METHOD(fixture, "services that are killed too often come back all "
                          "the same") {
  for (int i = 0; i < 16; ++i)
    for (auto* name : all_services)
      REQUIRE(replace(name)); // 112 in five seconds: the supervisor gives up
  auto x = ask("rpc", make_op("call", text("hornbeam"), text("echo"),
                              term::list({term{5}})));
  INFO((x.ok() ? "" : x.error().message));
  REQUIRE(x.ok());
  CHECK(*x == term{5});
}

TEST_CASE_METHOD(fixture, "killing every process of a node harms no service") {
  for (auto& pid : b->node->processes().all())
    b->node->processes().exit(pid, term::atom("kill"));
  auto x = ask("rpc", make_op("call", text("hornbeam"), text("echo"),
                              term::list({term{5}})));
  INFO((x.ok() ? "" : x.error().message));
  REQUIRE(x.ok());
  CHECK(*invoke(a->functions, 4) == term{8});
}
