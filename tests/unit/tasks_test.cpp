#include <catch2/catch.hpp>

#include "actors/tasks.hpp"
#include "test_cluster.hpp"

using namespace hornbeam;
using namespace hornbeam::test;
using actors::invocation;

namespace {

/// A handler that keeps its calls until a test goes on with them.
struct held_handler : actors::handler {
  void invoke(invocation x, responder reply) override {
    calls.push_back(std::move(x));
    replies.push_back(std::move(reply));
  }
  std::vector<invocation> calls;
  std::vector<responder> replies;
};

/// Two nodes; `b@h` has the hook `x`, and both know it.
struct fixture : test_cluster {
  struct part {
    explicit part(router& net)
      : hooks("hook", net), tasks(net, hooks, {60'000, 20, 1000}) {}
    actors::named_handlers hooks;
    actors::tasks tasks;
  };
  fixture() {
    for (auto* name : {"a@h", "b@h"}) {
      auto& n = add_node(name);
      auto& p = *(parts[name] = std::make_unique<part>(n));
      n.add("hooks", [&p] { return p.hooks.make_service(); });
      n.add("tasks", [&p] { return p.tasks.make_service(); });
    }
    connect("a@h", "b@h");
    parts["b@h"]->hooks.add("x", handler);
    run();
  }
  ~fixture() { stop(); }

  /// Submits a task from `a@h` to `b@h`.
  std::string submit() {
    auto& t = parts["a@h"]->tasks;
    auto id = t.make_id("b@h");
    t.submit(id, {"x", "go", {term{1}}, {}, {}, {}, 0});
    run();
    return id;
  }
  /// Asks `b@h` from `a@h`.
  outcome about(const char* what, const std::string& id) {
    return ask("a@h", "b@h", "tasks", make_op(what, term::string(id)));
  }
  std::string state(const std::string& id) {
    auto x = about("status", id);
    return std::string{x->find(term::string("state"))->text()};
  }
  /// What is told to one who watches and has seen `n` reports, as it comes.
  std::shared_ptr<std::optional<outcome>> watch(const std::string& id, int n) {
    auto out = std::make_shared<std::optional<outcome>>();
    node("a@h").request("b@h", "tasks",
                        make_op("watch", term::string(id), term{n}), {}, 0,
                        responder{[out](outcome x) { *out = std::move(x); }});
    run();
    return out;
  }

  std::shared_ptr<held_handler> handler = std::make_shared<held_handler>();
  std::map<std::string, std::unique_ptr<part>> parts;
};

} // namespace

TEST_CASE_METHOD(fixture, "the status of a task tells how far it is") {
  auto id = submit();
  auto x = about("status", id);
  auto at = [&](const char* key) { return *x->find(term::string(key)); };
  CHECK(at("id") == term::string(id));
  CHECK(at("state") == term::string("waiting"));
  CHECK(at("hook") == term::string("x"));
  CHECK(at("action") == term::string("go"));
  CHECK(at("node") == term::string("b@h"));
  CHECK(at("submitted").as_double() > 1e9);
  CHECK(at("started").is_none());
  CHECK(at("ended").is_none());
  CHECK(at("progress").is_none());

  auto& task = *handler->calls.at(0).task;
  CHECK(task.begin());
  task.progress(term{50});
  x = about("status", id);
  CHECK(at("state") == term::string("running"));
  CHECK(at("started").as_double() >= at("submitted").as_double());
  CHECK(at("progress") == term{50});

  handler->replies.at(0)(term{2});
  x = about("status", id);
  CHECK(at("state") == term::string("done"));
  CHECK(at("ended").as_double() >= at("started").as_double());
}

TEST_CASE_METHOD(fixture, "a task whose handler fails has failed") {
  auto id = submit();
  handler->replies.at(0)(failure{error_code::remote, "no", {}, "KeyError"});
  CHECK(state(id) == "failed");
  CHECK(about("cancel", id)->as_bool() == false);
  CHECK(state(id) == "failed");
}

TEST_CASE_METHOD(fixture, "whoever waits for a task that is cancelled is told "
                          "at once, whatever its handler does") {
  auto id = submit();
  std::optional<outcome> waiter;
  node("a@h").request("b@h", "tasks", make_op("await", term::string(id)), {}, 0,
                      responder{[&](outcome x) { waiter = std::move(x); }});
  auto watcher = watch(id, 0);
  CHECK_FALSE(waiter);
  CHECK(about("cancel", id)->as_bool());
  REQUIRE(waiter);
  CHECK(waiter->error().type == "TaskCancelled");
  CHECK(waiter->error().message == "the task '" + id + "' was cancelled");
  REQUIRE(*watcher);
  CHECK((**watcher)->is_none());
  CHECK(state(id) == "cancelled");

  handler->replies.at(0)(term{2});
  run();
  CHECK(about("await", id).error().type == "TaskCancelled");
  CHECK(about("cancel", id)->as_bool() == false);
}

TEST_CASE_METHOD(fixture, "the handler sees that its task is cancelled") {
  auto id = submit();
  auto& task = *handler->calls.at(0).task;
  int told = 0;
  task.on_cancel([&] { ++told; });
  CHECK(task.begin());
  CHECK_FALSE(task.cancelled());
  CHECK(told == 0);
  about("cancel", id);
  CHECK(task.cancelled());
  CHECK(told == 1);
  task.on_cancel([&] { ++told; });
  CHECK(told == 2);
}

TEST_CASE_METHOD(fixture, "a task that is cancelled before it begins never "
                          "does") {
  auto id = submit();
  about("cancel", id);
  CHECK_FALSE(handler->calls.at(0).task->begin());
  int calls = 0;
  auto counted = actors::function_handler{[&](const invocation&) {
    ++calls;
    return outcome{term{}};
  }};
  counted.invoke(handler->calls.at(0), responder{});
  CHECK(calls == 0);
}

TEST_CASE_METHOD(fixture, "a task that has ended can't be cancelled") {
  auto id = submit();
  int told = 0;
  handler->calls.at(0).task->on_cancel([&] { ++told; });
  handler->replies.at(0)(term{2});
  CHECK(about("cancel", id)->as_bool() == false);
  CHECK(*about("await", id) == term{2});
  CHECK_FALSE(handler->calls.at(0).task->cancelled());
  CHECK(told == 0);
}

TEST_CASE_METHOD(fixture, "reports of progress come as they are made, and the "
                          "last one before the end") {
  auto id = submit();
  auto& task = *handler->calls.at(0).task;
  auto first = watch(id, 0);
  CHECK_FALSE(*first);
  task.progress(term::string("one"));
  run();
  REQUIRE(*first);
  CHECK(***first == term::tuple({term{1}, term::string("one")}));

  // This one is slow.
  task.progress(term::string("two"));
  task.progress(term::string("three"));
  handler->replies.at(0)(term{2});
  auto second = watch(id, 1);
  REQUIRE(*second);
  CHECK(***second == term::tuple({term{3}, term::string("three")}));
  auto last = watch(id, 3);
  REQUIRE(*last);
  CHECK((**last)->is_none());

  task.progress(term::string("too late"));
  auto still = watch(id, 3);
  CHECK((**still)->is_none());
}

TEST_CASE_METHOD(fixture, "all who watch get a report") {
  auto id = submit();
  auto one = watch(id, 0);
  auto two = watch(id, 0);
  handler->calls.at(0).task->progress(term{1});
  run();
  CHECK(*one);
  CHECK(*two);
}

TEST_CASE_METHOD(fixture, "a node lists the tasks that it has") {
  std::vector<std::string> ids{submit(), submit(), submit()};
  handler->replies.at(1)(term{});
  auto x = ask("a@h", "b@h", "tasks", make_op("list"));
  REQUIRE(x);
  REQUIRE(x->items().size() == 3);
  std::vector<std::string> states;
  for (std::size_t i = 0; i < 3; ++i) {
    auto& one = x->at(i);
    CHECK(one.find(term::string("id"))->text() == ids[i]);
    states.emplace_back(one.find(term::string("state"))->text());
  }
  CHECK(states == std::vector<std::string>{"waiting", "done", "waiting"});
  CHECK(ask("a@h", "a@h", "tasks", make_op("list"))->items().empty());
}

TEST_CASE_METHOD(fixture, "what is asked of an unknown task is an error that "
                          "names it") {
  auto id = parts["a@h"]->tasks.make_id("b@h");
  for (auto* what : {"await", "status", "cancel"}) {
    auto x = about(what, id);
    REQUIRE_FALSE(x);
    CHECK(x.error().code == error_code::not_found);
    CHECK(x.error().message.starts_with("no task '" + id + "' on b@h"));
  }
  auto x = watch(id, 0);
  REQUIRE(*x);
  CHECK((*x)->error().code == error_code::not_found);
}

TEST_CASE_METHOD(fixture,
                 "results go, the oldest first, when all together take "
                 "more than is to be kept") {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < 4; ++i) {
    ids.push_back(submit());
    handler->replies.at(i)(term::bytes(std::string(400, 'x')));
  }
  CHECK(parts["b@h"]->tasks.count()
        == std::pair{std::size_t{0}, std::size_t{2}});
  for (auto& id : {ids[2], ids[3]})
    CHECK(about("await", id)->text().size() == 400);
  for (auto& id : {ids[0], ids[1]})
    for (auto* what : {"await", "status", "watch", "cancel"}) {
      auto x = what == std::string{"watch"}
                 ? ask("a@h", "b@h", "tasks",
                       make_op("watch", term::string(id), term{0}))
                 : about(what, id);
      REQUIRE_FALSE(x);
      CHECK(x.error().code == error_code::not_found);
      CHECK(x.error().message.find("task_keep_bytes = 1000")
            != std::string::npos);
    }
}

TEST_CASE_METHOD(fixture,
                 "the result that came last is kept whatever it takes") {
  auto first = submit();
  handler->replies.at(0)(term{1});
  auto large = submit();
  handler->replies.at(1)(term::bytes(std::string(5000, 'x')));
  CHECK(about("await", large)->text().size() == 5000);
  CHECK_FALSE(about("await", first));
  auto next = submit();
  handler->replies.at(2)(term{3});
  CHECK_FALSE(about("await", large));
  CHECK(about("await", next)->as_int() == 3);
}

TEST_CASE_METHOD(fixture, "reports of progress and failures count as well") {
  auto first = submit();
  handler->replies.at(0)(term{1});
  auto reports = submit();
  auto& task = *handler->calls.at(1).task;
  CHECK(task.begin());
  task.progress(term::bytes(std::string(600, 'x')));
  handler->replies.at(1)(term{2});
  CHECK(about("await", first)->as_int() == 1);
  auto fails = submit();
  handler->replies.at(2)(
    failure{error_code::remote, std::string(600, 'x'), {}, "KeyError"});
  CHECK(state(fails) == "failed");
  CHECK_FALSE(about("await", reports));
}

TEST_CASE_METHOD(fixture, "more results than are to be kept say so, too") {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < 21; ++i) {
    ids.push_back(submit());
    handler->replies.at(i)(term{1});
  }
  auto x = about("await", ids[0]);
  REQUIRE_FALSE(x);
  CHECK(x.error().message.find("task_keep_count = 20") != std::string::npos);
  CHECK(about("await", ids[1]));
}

TEST_CASE_METHOD(fixture, "a result that is forgotten is kept no longer") {
  auto id = submit();
  handler->replies.at(0)(term{1});
  CHECK(about("forget", id)->as_bool());
  CHECK_FALSE(about("forget", id)->as_bool());
  auto x = about("await", id);
  REQUIRE_FALSE(x);
  CHECK(x.error().message.find("forget()") != std::string::npos);
  CHECK_FALSE(about("forget", id + "0")->as_bool());
}

TEST_CASE_METHOD(fixture, "a task that is forgotten before it ends tells those "
                          "who wait, and nobody else") {
  auto id = submit();
  std::optional<outcome> waiter;
  node("a@h").request("b@h", "tasks", make_op("await", term::string(id)), {}, 0,
                      responder{[&](outcome x) { waiter = std::move(x); }});
  run();
  CHECK(about("forget", id)->as_bool());
  CHECK(state(id) == "waiting");
  handler->replies.at(0)(term{1});
  run();
  REQUIRE(waiter);
  CHECK((*waiter)->as_int() == 1);
  CHECK_FALSE(about("await", id));
  CHECK(parts["b@h"]->tasks.count()
        == std::pair{std::size_t{0}, std::size_t{0}});
}
