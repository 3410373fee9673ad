#include <catch2/catch.hpp>

#include "actors/rpc.hpp"
#include "actors/services.hpp"
#include "actors/streams.hpp"
#include "actors/tasks.hpp"
#include "test_cluster.hpp"

using namespace hornbeam;
using namespace hornbeam::test;
using actors::invocation;
using actors::make_function;

namespace {

/// Hooks, functions, tasks, streams and rpc on each of three nodes.
struct fixture : test_cluster {
  struct part {
    explicit part(router& net)
      : hooks("hook", net),
        rpc(net),
        tasks(net, hooks, {60'000, 2}),
        streams(net, hooks) {}
    actors::named_handlers hooks;
    actors::rpc rpc;
    actors::tasks tasks;
    actors::streams streams;
  };
  fixture() {
    for (auto* name : {"a@h", "b@h", "c@h"}) {
      auto& n = add_node(name);
      auto& p = *(parts[name] = std::make_unique<part>(n));
      n.add("hooks", [&p] { return p.hooks.make_service(); });
      n.add("rpc", [&p] { return p.rpc.make_service(); });
      n.add("tasks", [&p] { return p.tasks.make_service(); });
      n.add("streams", [&p] { return p.streams.make_service(); });
    }
    connect("a@h", "b@h");
    connect("a@h", "c@h");
    connect("b@h", "c@h");
    run();
  }
  ~fixture() { stop(); }
  part& on(const std::string& name) { return *parts[name]; }

  /// A hook that answers with the node's name, the action and the arguments.
  void provide(const std::string& name) {
    on(name).hooks.add(
      "x", make_function([name](const invocation& i) {
        return outcome{term::tuple({term::string(name), term::string(i.action),
                                    term::list(i.args), term::map(i.kwargs)})};
      }));
    run();
  }
  std::optional<outcome> execute(const std::string& from, invocation x) {
    std::optional<outcome> out;
    on(from).hooks.invoke(std::move(x),
                          responder{[&](outcome r) { out = std::move(r); }});
    run();
    return out;
  }
  std::map<std::string, std::unique_ptr<part>> parts;
};

invocation simple(const char* target, term::sequence args = {}) {
  return {target, "go", std::move(args), {}, {}, {}, 0};
}

/// A handler that keeps its callers waiting until it is told.
struct slow_handler : actors::handler {
  void invoke(invocation, responder reply) override {
    waiting.push_back(std::move(reply));
  }
  std::vector<responder> waiting;
};

/// At its end the calls that a handler has not answered are dropped, while
/// those who are told are still there.
struct dropped_at_end {
  explicit dropped_at_end(slow_handler& x) : h(x) {}
  ~dropped_at_end() {
    while (!h.waiting.empty()) { // another one may begin with each
      auto gone = std::move(h.waiting.back());
      h.waiting.pop_back();
    }
  }
  slow_handler& h;
};

/// Counts up as far as there is credit; `length` chunks, then the end.
struct counter_source : actors::chunk_source {
  counter_source(std::shared_ptr<actors::chunk_sink> to, int n,
                 std::size_t bytes)
    : sink(std::move(to)), length(n), chunk_bytes(bytes) {}
  void credit(std::uint64_t n) override {
    for (; n > 0 && next < length; --n, ++next)
      sink->chunk(chunk_bytes == 0
                    ? term{next}
                    : term::bytes(std::string(chunk_bytes, 'x')));
    if (next == length && !closed)
      sink->end();
  }
  void close() override { closed = true; }
  std::shared_ptr<actors::chunk_sink> sink;
  int length;
  std::size_t chunk_bytes;
  int next = 0;
  bool closed = false;
};

struct counting_hook : actors::handler {
  explicit counting_hook(int n, std::size_t bytes = 0)
    : length(n), chunk_bytes(bytes) {}
  void invoke(invocation, responder) override {}
  std::shared_ptr<actors::chunk_source> open_stream(
    invocation, std::shared_ptr<actors::chunk_sink> to) override {
    return last = std::make_shared<counter_source>(std::move(to), length,
                                                   chunk_bytes);
  }
  int length;
  std::size_t chunk_bytes;
  std::shared_ptr<counter_source> last;
};

} // namespace

TEST_CASE_METHOD(fixture, "a hook of another node is found by name") {
  provide("b@h");
  auto x = execute(
    "a@h", {"x", "go", {term{1}}, {{term::string("k"), term{2}}}, {}, {}, 0});
  REQUIRE(x);
  CHECK(**x
        == term::tuple({term::string("b@h"), term::string("go"),
                        term::list({term{1}}),
                        term::map({{term::string("k"), term{2}}})}));
}

TEST_CASE_METHOD(fixture, "the node's own hook is preferred") {
  provide("b@h");
  provide("a@h");
  for (int i = 0; i < 3; ++i)
    CHECK((*execute("a@h", simple("x")))->items()[0].text() == "a@h");
}

TEST_CASE_METHOD(fixture, "other nodes share the calls in turn") {
  provide("b@h");
  provide("c@h");
  std::map<std::string, int> seen;
  for (int i = 0; i < 6; ++i)
    ++seen[std::string{(*execute("a@h", simple("x")))->items()[0].text()}];
  CHECK(seen == std::map<std::string, int>{{"b@h", 3}, {"c@h", 3}});
}

TEST_CASE_METHOD(fixture, "a call goes where the fewest are waited for") {
  auto b = std::make_shared<slow_handler>();
  auto c = std::make_shared<slow_handler>();
  on("b@h").hooks.add("x", b);
  on("c@h").hooks.add("x", c);
  run();
  auto call = [&](int n) {
    for (int i = 0; i < n; ++i)
      on("a@h").hooks.invoke(simple("x"), responder{});
    run();
  };
  dropped_at_end b_too{*b};
  dropped_at_end c_too{*c};
  call(4);
  CHECK(b->waiting.size() == 2);
  CHECK(c->waiting.size() == 2);
  for (auto& reply : c->waiting)
    reply(term{1});
  c->waiting.clear();
  run();
  call(2);
  CHECK(b->waiting.size() == 2);
  CHECK(c->waiting.size() == 2);
}

TEST_CASE_METHOD(fixture, "a call whose node is lost") {
  auto lost = [](bool unsent) {
    failure why{error_code::no_connection, "the node b@h is down", "b@h"};
    why.unsent = unsent;
    return why;
  };
  auto h = std::make_shared<slow_handler>();
  actors::handler_options options;
  std::optional<outcome> out;
  auto call = [&] {
    on("b@h").hooks.add("x", h, options);
    run();
    on("a@h").hooks.invoke(simple("x"),
                           responder{[&](outcome r) { out = std::move(r); }});
    run();
    provide("c@h");
  };
  dropped_at_end calls{*h};
  SECTION("is sent to another one if it may run twice") {
    options.retry = true;
    call();
    h->waiting.at(0)(lost(false));
    run();
    CHECK((*out)->items()[0].text() == "c@h");
  }
  SECTION("is sent to another one if it has never left") {
    call();
    h->waiting.at(0)(lost(true));
    run();
    CHECK((*out)->items()[0].text() == "c@h");
  }
  SECTION("fails if it may have run") {
    call();
    h->waiting.at(0)(lost(false));
    run();
    CHECK(out->error().node == "b@h");
  }
  SECTION("fails with its name if there is no other") {
    options.retry = true;
    call();
    on("c@h").hooks.remove("x");
    run();
    h->waiting.at(0)(lost(false));
    run();
    CHECK(out->error().node == "b@h");
  }
  SECTION("is not sent again for a node that its handler has lost") {
    options.retry = true;
    call();
    auto nested = lost(false);
    nested.type = "NodeError";
    h->waiting.at(0)(nested);
    run();
    CHECK(out->error().type == "NodeError");
  }
}

TEST_CASE_METHOD(fixture, "a bounded handler") {
  auto h = std::make_shared<slow_handler>();
  on("b@h").hooks.add("x", h, {.concurrency = 2, .queue = 1});
  run();
  std::vector<outcome> out;
  auto call = [&](deadline until = {}) {
    auto x = simple("x");
    x.until = until;
    on("a@h").hooks.invoke(
      x, responder{[&](outcome r) { out.push_back(std::move(r)); }});
    run();
  };
  dropped_at_end calls{*h};
  call();
  call();
  call();
  CHECK(h->waiting.size() == 2);
  SECTION("refuses at once what its queue can't hold") {
    call();
    REQUIRE(out.size() == 1);
    CHECK(out[0].error().code == error_code::overloaded);
    CHECK_THAT(out[0].error().message,
               Catch::Contains("the hook 'x' on b@h")
                 && Catch::Contains("its queue of 1 is full"));
  }
  SECTION("starts the next when one has ended") {
    h->waiting[0](term{1});
    run();
    CHECK(h->waiting.size() == 3);
    CHECK(out.size() == 1);
  }
  SECTION("starts the next when a caller is dropped") {
    auto gone = std::move(h->waiting[0]);
    h->waiting.erase(h->waiting.begin());
    gone = responder{};
    run();
    CHECK(h->waiting.size() == 2);
    CHECK(out.at(0).error().code == error_code::ended);
  }
  SECTION("says how it stands") {
    auto info = on("b@h").hooks.info().items()[0];
    auto field = [&](const char* key) {
      for (auto& [k, v] : info.pairs())
        if (k.text() == key)
          return v;
      return term::string("none");
    };
    CHECK(field("name") == term::string("x"));
    CHECK(field("open") == term{2});
    CHECK(field("waiting") == term{1});
    CHECK(field("calls") == term{0});
    h->waiting[0](term{1});
    h->waiting[1](failure{error_code::remote, "no"});
    run();
    info = on("b@h").hooks.info().items()[0];
    CHECK(field("calls") == term{2});
    CHECK(field("errors") == term{1});
  }
}

TEST_CASE("a permit that is released may be had by another") {
  auto g = std::make_shared<actors::concurrency_limiter>(1, 10);
  std::vector<std::shared_ptr<actors::run_permit>> inside;
  auto ask = [&] {
    return g->acquire([&](actors::run_permit p) {
      inside.push_back(std::make_shared<actors::run_permit>(std::move(p)));
    });
  };
  ask();
  ask();
  auto third = ask();
  CHECK(inside.size() == 1);
  inside[0]->release();
  CHECK(inside.size() == 2);
  inside[0]->reacquire(); // one too many for a moment
  inside[1]->end();
  CHECK(inside.size() == 2);
  CHECK(g->give_up(third));
  CHECK_FALSE(g->give_up(third));
  inside[0]->end();
  ask();
  CHECK(inside.size() == 3);
}

TEST_CASE("percentiles are within an eighth") {
  actors::call_stats stats;
  for (int i = 1; i <= 1000; ++i) {
    stats.begin();
    stats.end(i % 10 != 0, std::chrono::microseconds(i));
  }
  auto x = stats.to_term();
  auto at = [&](const char* key) {
    for (auto& [k, v] : x.pairs())
      if (k.text() == key)
        return v;
    return term{};
  };
  CHECK(at("calls") == term{1000});
  CHECK(at("errors") == term{100});
  CHECK(at("open") == term{0});
  CHECK(at("p50_ms").as_double() == Approx(0.5).epsilon(0.125));
  CHECK(at("p95_ms").as_double() == Approx(0.95).epsilon(0.125));
  CHECK(at("p99_ms").as_double() == Approx(0.99).epsilon(0.125));
  CHECK(actors::call_stats{}.to_term().pairs().size() == 6);
}

TEST_CASE_METHOD(fixture, "a hook that nobody has is named in the error") {
  auto x = execute("a@h", simple("nobody"));
  CHECK(x->error().code == error_code::not_found);
  CHECK_THAT(x->error().message, Catch::Contains("nobody"));
}

TEST_CASE_METHOD(fixture, "a hook that is gone when the call arrives says so") {
  provide("b@h");
  on("b@h").hooks.remove("x");
  auto x = ask("a@h", "b@h", "hooks",
               actors::write_invocation("invoke", simple("x")));
  CHECK(x.error().code == error_code::not_found);
}

TEST_CASE_METHOD(fixture,
                 "an exception of a C++ handler is the caller's failure") {
  on("b@h").hooks.add("x", make_function([](const invocation&) -> outcome {
                        throw std::runtime_error("no luck");
                      }));
  run();
  CHECK(execute("a@h", simple("x"))->error().message == "no luck");
}

TEST_CASE_METHOD(fixture, "a handler that drops its caller answers it") {
  auto h = std::make_shared<slow_handler>();
  on("b@h").hooks.add("x", h);
  run();
  std::optional<outcome> out;
  on("a@h").hooks.invoke(simple("x"),
                         responder{[&](outcome r) { out = std::move(r); }});
  run();
  CHECK_FALSE(out);
  h->waiting.clear();
  REQUIRE(out);
  CHECK(out->error().code == error_code::ended);
}

TEST_CASE_METHOD(fixture, "a call whose deadline has passed is not started") {
  provide("b@h");
  auto x = ask("a@h", "b@h", "hooks",
               actors::write_invocation("invoke", simple("x")),
               deadline::in(0));
  CHECK(x.error().code == error_code::timeout);
}

TEST_CASE_METHOD(fixture, "too many calls inside each other are refused") {
  provide("a@h");
  auto c = std::make_shared<call>();
  std::optional<outcome> out;
  c->op = actors::write_invocation("invoke", simple("x"));
  c->depth = actors::max_call_depth + 1;
  c->reply = responder{[&](outcome r) { out = std::move(r); }};
  node("a@h").service("hooks").post(std::move(c));
  run();
  CHECK_THAT(out->error().message, Catch::Contains("inside each other"));
}

TEST_CASE_METHOD(fixture, "modules are called on the node that is named") {
  on("b@h").rpc.add_module("math", make_function([](const invocation& i) {
                             return outcome{term{i.args[0].as_int() * 2}};
                           }));
  auto op = make_op("call", term::string("math"), term::string("double"),
                    term::list({term{21}}));
  CHECK(*ask("a@h", "b@h", "rpc", op) == term{42});
  CHECK(ask("a@h", "c@h", "rpc", op).error().code == error_code::not_found);
}

TEST_CASE_METHOD(fixture,
                 "a task's result is awaited anywhere, more than once") {
  provide("b@h");
  auto id = on("a@h").tasks.make_id("b@h");
  CHECK(actors::tasks::node_of(id) == "b@h");
  on("a@h").tasks.submit(id, simple("x", {term{5}}));
  run();
  for (auto* from : {"a@h", "c@h", "a@h"}) {
    auto x = ask(from, "b@h", "tasks", make_op("await", term::string(id)));
    REQUIRE(x.ok());
    CHECK(x->items()[2] == term::list({term{5}}));
  }
}

TEST_CASE_METHOD(fixture, "those who wait are answered when the task ends") {
  auto h = std::make_shared<slow_handler>();
  on("b@h").hooks.add("x", h);
  run();
  auto id = on("a@h").tasks.make_id("b@h");
  on("a@h").tasks.submit(id, simple("x"));
  int answers = 0;
  for (auto* from : {"a@h", "c@h"})
    node(from).request("b@h", "tasks", make_op("await", term::string(id)), {},
                       0,
                       responder{[&](const outcome& x) { answers += x.ok(); }});
  run();
  CHECK(answers == 0);
  h->waiting.at(0)(term{1});
  run();
  CHECK(answers == 2);
}

TEST_CASE_METHOD(fixture, "an unknown task is an error that says why") {
  auto id = on("a@h").tasks.make_id("b@h");
  auto x = ask("a@h", "b@h", "tasks", make_op("await", term::string(id)));
  CHECK(x.error().code == error_code::not_found);
  CHECK_THROWS_AS(actors::tasks::node_of("nonsense"), bad_term);
}

TEST_CASE_METHOD(fixture, "whoever hears of a task before its submission has "
                          "come through finds it all the same") {
  provide("b@h");
  run();
  auto id = on("a@h").tasks.make_id("b@h");
  on("a@h").tasks.submit(id, simple("x")); // under way
  std::optional<outcome> got;
  on("b@h").tasks.await_here(
    id, {}, [&](const actors::task_result& r) { got = r.value; });
  run();
  REQUIRE(got);
  CHECK(*got);
  std::optional<outcome> none;
  auto never_sent = on("a@h").tasks.make_id("b@h");
  on("b@h").tasks.await_here(
    never_sent, {}, [&](const actors::task_result& r) { none = r.value; });
  run();
  REQUIRE(none);
  CHECK(none->error().code == error_code::not_found);
}

TEST_CASE_METHOD(fixture, "of too many results the oldest goes first") {
  provide("a@h");
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(on("a@h").tasks.make_id("a@h"));
    on("a@h").tasks.submit(ids.back(), simple("x"));
    run();
  }
  auto known = [&](const std::string& id) {
    return on("a@h").tasks.await(id, {}, [](const auto&) {});
  };
  CHECK_FALSE(known(ids[0]));
  CHECK(known(ids[1]));
  CHECK(known(ids[2]));
  CHECK(on("a@h").tasks.count().second == 2);
}

TEST_CASE_METHOD(fixture, "nothing of a stream runs before the first chunk is "
                          "asked for") {
  auto h = std::make_shared<counting_hook>(3);
  on("b@h").hooks.add("n", h);
  run();
  auto r = actors::stream_reader::open(on("a@h").streams, simple("n"));
  run();
  CHECK(h->last == nullptr);
  r->start();
  run();
  CHECK(h->last != nullptr);
}

TEST_CASE_METHOD(fixture, "chunks come in order, as far as there is credit") {
  constexpr int length = 100;
  auto h = std::make_shared<counting_hook>(length);
  on("b@h").hooks.add("n", h);
  run();
  auto r = actors::stream_reader::open(on("a@h").streams, simple("n"));
  r->start();
  run();
  CHECK(h->last->next == static_cast<int>(actors::stream_reader::window));
  std::vector<term> got;
  for (bool more = true; more; run())
    for (auto& x : r->next(clock::now())) {
      if (auto* chunk = std::get_if<term>(&x))
        got.push_back(*chunk);
      else
        more = false;
    }
  REQUIRE(got.size() == length);
  for (int i = 0; i < length; ++i)
    CHECK(got[static_cast<std::size_t>(i)] == term{i});
  CHECK(on("a@h").streams.count().first == 0);
  CHECK(on("b@h").streams.count().second == 0);
}

TEST_CASE_METHOD(fixture, "a provider is ahead of a slow reader by so many "
                          "bytes, and by one chunk at least") {
  using actors::stream_reader;
  auto bytes = GENERATE(std::size_t{1}, std::size_t{10'000},
                        stream_reader::window_bytes / 3,
                        stream_reader::window_bytes * 2);
  auto h = std::make_shared<counting_hook>(600, bytes);
  on("b@h").hooks.add("n", h);
  run();
  auto r = stream_reader::open(on("a@h").streams, simple("n"));
  r->start();
  run();
  int taken = 0;
  for (bool more = true; more;) {
    auto items = r->next(clock::now());
    run();
    // What the reader looks at and what has come since, but for the first
    // chunks, whose size was not known.
    auto held = static_cast<std::size_t>(h->last->next - taken);
    if (taken > static_cast<int>(stream_reader::window)) {
      auto most = std::max<std::size_t>(stream_reader::window_bytes / bytes, 1);
      CHECK(held <= most);
    }
    for (auto& x : items) {
      more = x.index() == 0;
      taken += more;
    }
  }
  CHECK(taken == 600);
}

TEST_CASE_METHOD(fixture, "a window grows while its provider has to wait") {
  using actors::stream_reader;
  auto h = std::make_shared<counting_hook>(100'000);
  on("b@h").hooks.add("n", h);
  run();
  auto r = stream_reader::open(on("a@h").streams, simple("n"));
  r->start();
  run();
  int taken = 0;
  for (int i = 0; i < 20; ++i) {
    taken += static_cast<int>(r->next(clock::now()).size());
    run();
  }
  CHECK(h->last->next - taken
        == static_cast<int>(stream_reader::largest_window));
}

TEST_CASE_METHOD(fixture, "a stream that is closed early is closed there") {
  auto h = std::make_shared<counting_hook>(1000);
  on("b@h").hooks.add("n", h);
  run();
  auto r = actors::stream_reader::open(on("a@h").streams, simple("n"));
  r->start();
  run();
  SECTION("by its consumer") {
    r->close();
  }
  SECTION("because nobody holds it any more") {
    r = nullptr;
  }
  SECTION("because the consumer's node went down") {
    disconnect("a@h", "b@h");
  }
  run();
  CHECK(h->last->closed);
  CHECK(on("a@h").streams.count().first == 0);
  CHECK(on("b@h").streams.count().second == 0);
}

TEST_CASE_METHOD(fixture, "a stream whose provider goes down fails") {
  auto h = std::make_shared<counting_hook>(1000);
  on("b@h").hooks.add("n", h);
  run();
  auto r = actors::stream_reader::open(on("a@h").streams, simple("n"));
  r->start();
  run();
  disconnect("a@h", "b@h");
  run();
  auto items = r->next(clock::now());
  REQUIRE(!items.empty());
  CHECK(std::get<failure>(items.back()).code == error_code::no_connection);
}

TEST_CASE_METHOD(fixture,
                 "a stream whose node is lost before its first chunk") {
  auto lost = [](bool unsent) {
    failure why{error_code::no_connection, "the node b@h is down", "b@h"};
    why.unsent = unsent;
    return why;
  };
  auto h = std::make_shared<slow_handler>();
  dropped_at_end calls{*h};
  on("b@h").hooks.add("x", h);
  run();
  auto r = actors::stream_reader::open(on("a@h").streams, simple("x"));
  SECTION("goes on to another one if it may run twice") {
    on("b@h").hooks.add("x", h, {.retry = true});
    run();
    r->start();
    run();
    provide("c@h");
    h->waiting.at(0)(lost(false));
    run();
    CHECK(r->next(clock::now()).size() == 2);
  }
  auto begin = [&] {
    r->start();
    run();
    provide("c@h");
  };
  auto came_from_c = [&] {
    run();
    auto items = r->next(clock::now());
    return items.size() == 2
           && std::get<term>(items[0]).items()[0].text() == "c@h";
  };
  auto failed_with = [&] {
    run();
    auto items = r->next(clock::now());
    REQUIRE(items.size() == 1);
    return std::get<failure>(items[0]);
  };
  SECTION("goes on to another one if it has not begun") {
    begin();
    h->waiting.at(0)(lost(true));
    CHECK(came_from_c());
  }
  SECTION("fails if it may have begun") {
    begin();
    h->waiting.at(0)(lost(false));
    CHECK(failed_with().node == "b@h");
  }
  SECTION("fails with its name if there is no other") {
    begin();
    on("c@h").hooks.remove("x");
    run();
    h->waiting.at(0)(lost(true));
    CHECK(failed_with().node == "b@h");
  }
  SECTION("does not go on for a node that its handler has lost") {
    begin();
    auto nested = lost(true);
    nested.type = "NodeError";
    h->waiting.at(0)(nested);
    CHECK(failed_with().type == "NodeError");
  }
  SECTION("begins nowhere once its deadline has passed") {
    auto late = simple("x");
    late.until = deadline::in(0);
    r = actors::stream_reader::open(on("a@h").streams, late);
    begin();
    CHECK(h->waiting.empty());
    CHECK(failed_with().code == error_code::timeout);
  }
  SECTION("is nobody's if it was closed") {
    begin();
    auto other = std::make_shared<slow_handler>();
    on("c@h").hooks.add("x", other);
    r->close();
    h->waiting.at(0)(lost(true));
    run();
    CHECK(other->waiting.empty());
  }
  SECTION("asks the other one if nothing was asked of it yet") {
    provide("c@h");
    disconnect("a@h", "b@h");
    run();
    begin();
    CHECK(came_from_c());
  }
  run();
  CHECK(on("a@h").streams.count().first == 0);
  CHECK(on("b@h").streams.count().second == 0);
}

TEST_CASE_METHOD(fixture, "a stream that has begun does not begin again") {
  auto h = std::make_shared<counting_hook>(1000);
  on("b@h").hooks.add("n", h);
  run();
  auto r = actors::stream_reader::open(on("a@h").streams, simple("n"));
  r->start();
  run();
  provide("c@h");
  failure why{error_code::no_connection, "the node b@h is down", "b@h"};
  why.unsent = true;
  h->last->sink->fail(why);
  run();
  auto items = r->next(clock::now());
  CHECK(items.size() == actors::stream_reader::window + 1);
  CHECK(std::get<failure>(items.back()).message == why.message);
}

TEST_CASE_METHOD(fixture, "a hook without chunks of its own gives one") {
  provide("b@h");
  auto r = actors::stream_reader::open(on("a@h").streams, simple("x"));
  r->start();
  run();
  auto items = r->next(clock::now());
  REQUIRE(items.size() == 2);
  CHECK(std::get<term>(items[0]).items()[0].text() == "b@h");
  CHECK(items[1].index() == 2);
}
