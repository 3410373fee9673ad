#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>

#include "actors/services.hpp"
#include "runtime/base/host_name.hpp"

using namespace hornbeam;
using namespace hornbeam::runtime;
using actors::invocation;

// Real nodes, with sockets on 127.0.0.1 and TLS.

namespace {

struct fixture {
  fixture() {
    folder = std::filesystem::temp_directory_path()
             / ("hornbeam-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    ::setenv("RUNTIME_DIRECTORY", folder.c_str(), 1);
  }
  ~fixture() {
    for (auto& n : nodes)
      n->stop();
    std::filesystem::remove_all(folder);
  }
  actors::services& start(const std::string& name,
                          const std::string& secret = "secret.pem") {
    node_settings s;
    s.name = name;
    s.listen = true;
    s.secret = folder / secret;
    nodes.push_back(actors::services::start(std::move(s)));
    return *nodes.back();
  }
  outcome wait(const reply_slot_ptr& slot) {
    if (!slot->wait_until(clock::now() + std::chrono::seconds(30)))
      return failure{error_code::internal, "no answer at all"};
    return slot->take();
  }
  outcome connect(actors::services& from, const std::string& to) {
    auto slot = std::make_shared<reply_slot>();
    from.node->connect(to, deadline::in(20000),
                       responder{[slot](outcome x) { slot->set(x); }});
    return wait(slot);
  }
  outcome call(actors::services& from, const std::string& to, term arg) {
    auto slot = std::make_shared<reply_slot>();
    from.node->request(
      to, "rpc",
      make_op("call", term::string("hornbeam"), term::string("echo"),
              term::list({std::move(arg)})),
      deadline::in(20000), 0, responder{[slot](outcome x) { slot->set(x); }});
    return wait(slot);
  }
  struct pair {
    std::string x;
    std::string y;
    actors::services& a;
    actors::services& b;
  };
  /// Two nodes of names that no other round has, each of which connects to the
  /// other while that does the same.
  pair meet_at_once(int round) {
    auto x = "x" + std::to_string(round) + "@127.0.0.1";
    auto y = "y" + std::to_string(round) + "@127.0.0.1";
    auto& a = start(x);
    auto& b = start(y);
    auto ab = std::make_shared<reply_slot>();
    auto ba = std::make_shared<reply_slot>();
    a.node->connect(y, deadline::in(20000),
                    responder{[ab](outcome r) { ab->set(r); }});
    b.node->connect(x, deadline::in(20000),
                    responder{[ba](outcome r) { ba->set(r); }});
    REQUIRE(wait(ab).ok());
    REQUIRE(wait(ba).ok());
    return {x, y, a, b};
  }
  std::filesystem::path folder;
  std::vector<std::shared_ptr<actors::services>> nodes;
};

} // namespace

TEST_CASE_METHOD(fixture, "a call to a node that is not connected connects") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  auto x = call(a, "b@127.0.0.1", term{5});
  REQUIRE(x.ok());
  CHECK(*x == term{5});
  CHECK(a.node->peers() == std::vector<std::string>{"b@127.0.0.1"});
  CHECK(b.node->peers() == std::vector<std::string>{"a@127.0.0.1"});
}

TEST_CASE_METHOD(fixture, "nodes that call each other at once both succeed") {
  for (int round = 0; round < 5; ++round) {
    auto [x, y, a, b] = meet_at_once(round);
    CHECK(call(a, y, term{1}).ok());
    CHECK(call(b, x, term{1}).ok());
  }
}

TEST_CASE_METHOD(fixture,
                 "who was disconnected stays so, whatever was under way "
                 "when both had connected at once") {
  for (int round = 0; round < 20; ++round) {
    auto met = meet_at_once(round);
    auto& first = round % 2 == 0 ? met.a : met.b;
    first.node->disconnect(round % 2 == 0 ? met.y : met.x);
    auto linked = [&] {
      return met.a.node->connected(met.y) || met.b.node->connected(met.x);
    };
    auto until = clock::now() + std::chrono::seconds(20);
    while (linked() && clock::now() < until)
      std::this_thread::yield();
    // Longer than what was under way, and its first pause, take.
    bool again = false;
    for (until = clock::now() + std::chrono::milliseconds(100);
         clock::now() < until; std::this_thread::yield())
      again |= linked();
    CHECK_FALSE(again);
  }
}

TEST_CASE_METHOD(fixture,
                 "what was cast before a goodbye came arrives, however "
                 "large it is") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  std::atomic<int> arrived{0};
  a.rpc.add_module("count", actors::make_function([&](auto&) -> outcome {
                     ++arrived;
                     return term{};
                   }));
  REQUIRE(call(b, "a@127.0.0.1", term{1}).ok());
  auto large = term::bytes(std::string(1 << 20, 'x'));
  for (int i = 0; i < 20; ++i)
    REQUIRE(b.node->cast("a@127.0.0.1", "rpc",
                         make_op("call", term::string("count"),
                                 term::string("one"), term::list({large}))));
  a.node->disconnect("b@127.0.0.1");
  auto until = clock::now() + std::chrono::seconds(20);
  while ((arrived < 20 || a.node->connected("b@127.0.0.1"))
         && clock::now() < until)
    std::this_thread::yield();
  CHECK(arrived == 20);
  CHECK_FALSE(a.node->connected("b@127.0.0.1"));
}

TEST_CASE_METHOD(fixture,
                 "what is told to a node that is not connected dials nobody "
                 "and is not lost") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  auto op = make_op("announce", term::string("x"), std::int64_t{1});
  CHECK_FALSE(a.node->tell("b@127.0.0.1", "hooks", op));
  CHECK_FALSE(a.node->tell("nobody@127.0.0.1", "hooks", op));
  REQUIRE(connect(a, "b@127.0.0.1").ok());
  CHECK(a.node->tell("b@127.0.0.1", "hooks", op));
  a.node->stop();
  CHECK(a.node->lost_casts() + b.node->lost_casts() == 0);
}

TEST_CASE_METHOD(fixture,
                 "who hears that the node it has asked is gone may ask others "
                 "at once") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  std::promise<void> asked;
  std::promise<void> over;
  b.rpc.add_module("slow", actors::make_function([&](auto&) -> outcome {
                     asked.set_value();
                     over.get_future().wait();
                     return term{};
                   }));
  auto slot = std::make_shared<reply_slot>();
  auto ask_others = [&a, slot](const outcome& x) {
    a.hooks.pick("of some other node"); // the build with ranked locks looks
    slot->set(x);
  };
  a.node->request(
    "b@127.0.0.1", "rpc",
    make_op("call", term::string("slow"), term::string("one"), term::list({})),
    deadline::in(20000), 0, responder{ask_others});
  asked.get_future().wait();
  a.node->disconnect("b@127.0.0.1");
  auto lost = wait(slot);
  over.set_value();
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == error_code::no_connection);
}

TEST_CASE_METHOD(fixture, "a node with another secret is refused") {
  auto& a = start("a@127.0.0.1", "one.pem");
  start("b@127.0.0.1", "two.pem");
  auto x = connect(a, "b@127.0.0.1");
  REQUIRE_FALSE(x.ok());
  CHECK(x.error().code == error_code::no_connection);
  CHECK_THAT(x.error().message, Catch::Contains("secret"));
  CHECK(a.node->peers().empty());
}

TEST_CASE_METHOD(fixture, "a second node of the same name on another host is "
                          "refused by whoever knows the first") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  auto port = b.node->address().substr(b.node->address().rfind(':'));
  REQUIRE(connect(a, "b@127.0.0.1").ok());
  auto elsewhere = folder / "elsewhere";
  std::filesystem::create_directories(elsewhere);
  ::setenv("RUNTIME_DIRECTORY", elsewhere.c_str(), 1);
  auto& other = start("a@127.0.0.1");
  auto slot = std::make_shared<reply_slot>();
  other.node->connect("b@127.0.0.1" + port, deadline::in(500),
                      responder{[slot](outcome x) { slot->set(x); }});
  auto x = wait(slot);
  REQUIRE_FALSE(x.ok());
  CHECK_THAT(x.error().message, Catch::Contains("connected already"));
}

TEST_CASE_METHOD(fixture,
                 "a second node of the same name on this host does not "
                 "start, and the next one does once the first has "
                 "ended") {
  start("a@127.0.0.1");
  CHECK_THROWS_WITH(start("a@127.0.0.1"),
                    "a node named a@127.0.0.1 runs on this host already: pid "
                      + std::to_string(::getpid()));
  nodes.front()->stop();
  CHECK_NOTHROW(start("a@127.0.0.1"));
}

TEST_CASE_METHOD(fixture, "a node leaves no file in its cluster's folder") {
  start("a@127.0.0.1");
  auto all = folder / "hornbeam";
  CHECK(std::filesystem::exists(all / "a@127.0.0.1"));
  nodes.front()->stop();
  CHECK(std::filesystem::is_empty(all));
}

TEST_CASE_METHOD(fixture, "a node that can't listen holds no name") {
  auto& a = start("a@127.0.0.1");
  node_settings s;
  s.name = "b@127.0.0.1";
  s.listen = true;
  s.secret = folder / "secret.pem";
  auto address = a.node->address();
  s.port = static_cast<std::uint16_t>(
    std::stoi(address.substr(address.rfind(':') + 1)));
  CHECK_THROWS_WITH(actors::services::start(s), Catch::Contains(address));
  CHECK_FALSE(std::filesystem::exists(folder / "hornbeam" / "b@127.0.0.1"));
}

TEST_CASE_METHOD(fixture, "a node that joins nobody needs no folder on its "
                          "host") {
  ::setenv("RUNTIME_DIRECTORY", "/dev/null/none", 1);
  node_settings s;
  s.secret = "/dev/null/none";
  nodes.push_back(actors::services::start(s));
  auto x = connect(*nodes.back(), "b@127.0.0.1");
  REQUIRE_FALSE(x.ok());
  CHECK_THAT(x.error().message, Catch::Contains("/dev/null/none")
                                  && Catch::Contains("Not a directory"));
}

TEST_CASE("a cluster's name is checked whoever gives it") {
  for (std::string x : {"", ".", "..", "a/b", "@tables", "a b", "~a", ".a"}) {
    node_settings s;
    s.cluster = x;
    CHECK_THROWS_WITH(node::start(s), Catch::Contains("a cluster's name")
                                        && Catch::Contains("'" + x + "'"));
  }
  node_settings s;
  s.cluster = "a\n\x01z";
  CHECK_THROWS_WITH(node::start(s), Catch::Contains("'a\\x0a\\x01z'"));
  s.cluster = std::string(5000, 'x');
  CHECK_THROWS_WITH(node::start(s),
                    Catch::Contains("xxx...'") && !Catch::Contains(s.cluster));
}

TEST_CASE_METHOD(fixture, "a request to a node that ends fails at once") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  std::vector<responder> kept;
  struct keeper : actors::handler {
    explicit keeper(std::vector<responder>& x) : kept(x) {}
    void invoke(invocation, responder r) override {
      kept.push_back(std::move(r));
    }
    std::vector<responder>& kept;
  };
  b.rpc.add_module("slow", std::make_shared<keeper>(kept));
  REQUIRE(connect(a, "b@127.0.0.1").ok());
  auto slot = std::make_shared<reply_slot>();
  a.node->request(
    "b@127.0.0.1", "rpc",
    make_op("call", term::string("slow"), term::string("f"), term::list({})),
    {}, 0, responder{[slot](outcome x) { slot->set(x); }});
  CHECK_FALSE(slot->wait_until(clock::now() + std::chrono::milliseconds(50)));
  b.node->stop();
  auto x = wait(slot);
  REQUIRE_FALSE(x.ok());
  CHECK(x.error().code == error_code::no_connection);
  CHECK_THAT(x.error().message, Catch::Contains("b@127.0.0.1"));
}

TEST_CASE_METHOD(fixture, "nodes that join become known to all") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  auto& c = start("c@127.0.0.1");
  REQUIRE(connect(a, "b@127.0.0.1").ok());
  REQUIRE(connect(c, "b@127.0.0.1").ok());
  auto until = clock::now() + std::chrono::seconds(5);
  while ((a.node->peers().size() < 2 || c.node->peers().size() < 2)
         && clock::now() < until)
    std::this_thread::yield();
  CHECK(a.node->peers().size() == 2);
  CHECK(c.node->peers().size() == 2);
  CHECK(b.node->peers().size() == 2);
}

TEST_CASE_METHOD(fixture, "a value of 64 MiB crosses nodes whole") {
  auto& a = start("a@127.0.0.1");
  start("b@127.0.0.1");
  auto big = term::bytes(std::string(64 << 20, 'x'));
  auto x = call(a, "b@127.0.0.1", big);
  REQUIRE(x.ok());
  CHECK(*x == big);
}

TEST_CASE_METHOD(fixture, "a table is made when another node asks for it") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  auto slot = std::make_shared<reply_slot>();
  a.node->request(
    "b@127.0.0.1", "table:new", make_op("incr", term::string("n"), term{2}),
    deadline::in(20000), 0, responder{[slot](outcome x) { slot->set(x); }});
  auto x = wait(slot);
  REQUIRE(x.ok());
  CHECK(*x == term{2});
  CHECK(*b.table("new")->get(term::string("n")) == term{2});
}

TEST_CASE_METHOD(fixture, "a node that nobody runs is named in the error") {
  auto& a = start("a@127.0.0.1");
  auto x = call(a, "nobody@127.0.0.1", term{1});
  REQUIRE_FALSE(x.ok());
  CHECK(x.error().code == error_code::no_connection);
  CHECK_THAT(x.error().message, Catch::Contains("nobody@127.0.0.1"));
}

TEST_CASE("malformed names are refused with an example") {
  CHECK_THROWS_WITH(full_node_name("a b@c", "x@h"),
                    Catch::Contains("worker1@127.0.0.1"));
  CHECK(full_node_name("web", "x@h") == "web@h");
  CHECK(full_node_name("web@h:4370", "x@h") == "web@h:4370");
}

TEST_CASE_METHOD(fixture, "a name without a host is one of this host") {
  auto& named = start("x@127.0.0.2");
  CHECK(named.node->full_name("web") == "web@127.0.0.2");
  table_options o;
  o.home = "web";
  CHECK(named.table("t", o)->options().home == "web@127.0.0.2");
  o.home = "x"; // that is this one
  CHECK(named.table("u", o)->options().home.empty());
  auto unnamed = [&](const std::string& host) {
    node_settings s;
    s.host = host;
    s.tables = {{"t", o}};
    nodes.push_back(actors::services::start(std::move(s)));
    CHECK(nodes.back()->node->name() == "hornbeam@localhost");
    return nodes.back()->table("t")->options().home;
  };
  CHECK(unnamed("127.0.0.1") == "x@127.0.0.1");
  CHECK(unnamed("10.1.2.3") == "x@10.1.2.3");
  CHECK(unnamed("0.0.0.0") == "x@" + host_name());
}

TEST_CASE_METHOD(fixture, "a table with a home is one table for all nodes") {
  auto& a = start("a@127.0.0.1");
  auto& b = start("b@127.0.0.1");
  table_options o;
  o.home = "a@127.0.0.1";
  o.ttl_ms = 60'000;
  auto far = b.table("t", o);
  far->set(term{1}, term{2});
  CHECK(a.table("t", o)->get(term{1}) == term{2});
  CHECK(a.table("t")->update_counter(term{1}, term{1}) == term{3});
  CHECK(far->get(term{1}) == term{3});
  CHECK(b.table("t") == far);
  CHECK_THROWS_WITH(b.table("t", {}), Catch::Contains("home"));
  // Who has no declaration of its own asks the home by its name.
  CHECK(far->info().find(term::atom("ttl_ms"))->as_int() == 60'000);
}

TEST_CASE_METHOD(fixture, "while the home is down its table fails at once") {
  auto& b = start("b@127.0.0.1");
  table_options o;
  o.home = "a@127.0.0.1";
  auto far = b.table("t", o);
  start("a@127.0.0.1");
  far->set(term{1}, term{2});
  nodes.back()->stop();
  auto down = [&] {
    auto before = clock::now();
    try {
      far->get(term{1});
      return false;
    } catch (const failed& e) {
      // The first may be one that was under way.
      return e.why.code == error_code::no_connection
             && clock::now() - before < std::chrono::seconds(1);
    }
  };
  auto until = clock::now() + std::chrono::seconds(20);
  while (!down())
    REQUIRE(clock::now() < until);
  CHECK(down());
  start("a@127.0.0.1");
  for (;;) {
    REQUIRE(clock::now() < until);
    try {
      bool found = far->get(term{1}).has_value();
      CHECK_FALSE(found); // a memory table that starts is empty
      break;
    } catch (const failed& e) {
      CHECK(e.why.code == error_code::no_connection);
      std::this_thread::yield();
    }
  }
}

TEST_CASE(
  "a listener at all addresses is announced as one that can be reached") {
  node_settings s;
  auto at = [&](const char* bound) {
    auto x = addresses_of(s, "a@web1", bound);
    return std::pair{x.here, x.elsewhere};
  };
  using pair = std::pair<std::string, std::string>;
  CHECK(at("127.0.0.1:80") == pair{"127.0.0.1:80", "127.0.0.1:80"});
  s.host = "0.0.0.0";
  CHECK(at("0.0.0.0:80") == pair{"127.0.0.1:80", "web1:80"});
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  auto unnamed = addresses_of(s, "a@0.0.0.0", "0.0.0.0:80").elsewhere;
  CHECK(unnamed == (is_host(host) ? host : std::string{"localhost"}) + ":80");
  s.advertise = "10.0.0.7:8080";
  CHECK(at("0.0.0.0:80") == pair{"127.0.0.1:80", "10.0.0.7:8080"});
  s.host = "::";
  s.advertise = "2001:db8::1";
  CHECK(at("[::]:80") == pair{"[::1]:80", "[2001:db8::1]:80"});
  s.host = "10.0.0.1"; // a container's
  CHECK(at("10.0.0.1:80") == pair{"10.0.0.1:80", "[2001:db8::1]:80"});
}
