#include <catch2/catch.hpp>

#include <map>

#include "runtime/link/peering.hpp"

using namespace hornbeam::runtime;

// What one node decides, step by step. How several do together is tried in
// tests/simulation.

namespace {

using ms = std::chrono::milliseconds;

struct fixture {
  explicit fixture(std::vector<peer_setting> peers = {},
                   const std::string& self = "b@h")
    : machine(options_for(self, std::move(peers))) {}

  peering::options options_for(const std::string& self,
                               std::vector<peer_setting> peers) {
    peering::options o;
    o.self = [self] { return self; };
    o.peers = std::move(peers);
    o.forget = ms(60'000);
    o.on_host = [this](const std::string& name) -> std::optional<std::string> {
      auto i = registry.find(name);
      if (i == registry.end())
        return std::nullopt;
      return i->second;
    };
    return o;
  }
  /// What is asked for, of one kind; the rest is dropped.
  template <class T>
  std::vector<T> take() {
    std::vector<T> out;
    for (auto& x : machine.take())
      if (auto* y = std::get_if<T>(&x))
        out.push_back(*y);
    return out;
  }
  std::vector<peering::dial> dials() { return take<peering::dial>(); }
  void pass(ms d) {
    auto until = now + d;
    for (auto next = machine.next(); next && *next <= until;
         next = machine.next()) {
      now = std::max(now, *next);
      machine.tick(now);
    }
    now = until;
  }
  void fail(const peering::dial& x, bool again = false) {
    machine.failed(now, x.number, x.name,
                   {error_code::no_connection, "not there", x.name}, again);
  }
  void link(const std::string& name, std::uint64_t number = 0,
            std::uint64_t incarnation = 1) {
    machine.linked(now, number, {name, "h:1"}, incarnation, false);
  }

  std::map<std::string, std::string> registry;
  clock::time_point now{};
  peering machine;
};

} // namespace

TEST_CASE("who waits for a connection is answered once, whoever has dialled") {
  fixture x;
  x.machine.want(x.now, 7, "a@h:9", x.now + ms(1000), false);
  auto dials = x.dials();
  REQUIRE(dials.size() == 1);
  CHECK(to_string(dials[0].address) == "h:9");
  x.link("a@h"); // it came by itself
  auto answers = x.take<peering::answer>();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].waiter == 7);
  CHECK(answers[0].connected);
  x.fail(dials[0], true); // which was abandoned
  CHECK(x.take<peering::answer>().empty());
  x.pass(ms(10'000));
  CHECK(x.dials().empty());
}

TEST_CASE("who waits hears why there is no connection, or waits on if trying "
          "again may help") {
  fixture x;
  x.machine.want(x.now, 1, "a@h:9", x.now + ms(1000), false);
  x.fail(x.dials().at(0), true);
  CHECK(x.take<peering::answer>().empty());
  x.pass(ms(100));
  x.fail(x.dials().at(0), false);
  auto answers = x.take<peering::answer>();
  REQUIRE(answers.size() == 1);
  CHECK_FALSE(answers[0].connected);
  CHECK(answers[0].why.message == "not there");
  CHECK(x.machine.size() == 0);
}

TEST_CASE("of two nodes that dial each other the dial of the smaller name "
          "stands") {
  fixture small{{}, "a@h"};
  fixture large{{}, "b@h"};
  small.machine.want({}, 1, "b@h:9", {}, false);
  large.machine.want({}, 1, "a@h:9", {}, false);
  auto mine = small.dials().at(0);
  CHECK(small.machine.hello("b@h", 1) == peering::reception::accept);
  small.machine.reached(mine.number, "b@h");
  CHECK(small.machine.hello("b@h", 1) == peering::reception::both_dial);
  auto theirs = large.dials().at(0);
  large.machine.reached(theirs.number, "a@h");
  CHECK(large.machine.hello("a@h", 1) == peering::reception::accept);
}

TEST_CASE("another incarnation of a connected node has to wait for a proof") {
  fixture x;
  x.link("a@h");
  CHECK(x.machine.hello("a@h", 1) == peering::reception::accept);
  CHECK(x.machine.hello("a@h", 2) == peering::reception::prove);
}

TEST_CASE("whom a node has dialled is dialled again, with pauses that grow") {
  fixture x;
  x.machine.want(x.now, 1, "a@h:9", x.now, false);
  x.link("a@h", x.dials().at(0).number);
  x.take<peering::answer>();
  x.machine.closed(x.now, "a@h", 1, false);
  auto before = x.now;
  std::vector<ms> pauses;
  for (int i = 0; i < 8; ++i) {
    while (true) {
      REQUIRE(x.machine.next());
      x.now = *x.machine.next();
      x.machine.tick(x.now);
      if (auto dials = x.dials(); !dials.empty()) {
        pauses.push_back(std::chrono::duration_cast<ms>(x.now - before));
        before = x.now;
        x.fail(dials[0]);
        break;
      }
    }
  }
  CHECK(pauses.front() < ms(100));
  CHECK(pauses.back() >= ms(1500));
  CHECK(pauses.back() <= ms(2500));
}

TEST_CASE("who has said goodbye is not dialled, but if the settings name it") {
  fixture x{{{"c@h", "h:3"}}};
  x.machine.start(x.now);
  x.pass(ms(1000));
  x.link("c@h", x.dials().at(0).number);
  x.machine.want(x.now, 1, "a@h:9", x.now, false);
  x.link("a@h", x.dials().at(0).number);
  x.machine.closed(x.now, "a@h", 1, true);
  x.machine.closed(x.now, "c@h", 1, true);
  x.pass(ms(5000));
  for (auto& d : x.dials())
    CHECK(d.name == "c@h");
}

TEST_CASE("what is under way to a node is left again when it is unwanted") {
  fixture x;
  x.machine.told(x.now, {{"a@h", "h:9"}});
  auto dial = x.dials().at(0);
  x.machine.unwanted("a@h");
  x.link("a@h", dial.number);
  auto byes = x.take<peering::say_goodbye>();
  REQUIRE(byes.size() == 1);
  CHECK(byes[0].to == "a@h");
}

TEST_CASE("a member is looked for until it is found, or forgotten") {
  fixture x;
  x.machine.told(x.now, {{"a@h", "h:9"}, {"b@h", "h:2"}});
  int dials = 0;
  for (int i = 0; i < 200 && x.machine.size() > 0; ++i) {
    for (auto& d : x.dials()) {
      CHECK(d.name == "a@h"); // not itself
      ++dials;
      x.fail(d);
    }
    if (auto next = x.machine.next()) {
      x.now = *next;
      x.machine.tick(x.now);
    }
  }
  CHECK(dials > 20);
  CHECK(x.machine.size() == 0);
  CHECK(x.now - clock::time_point{} < ms(70'000));
}

TEST_CASE("a member whose link turns out to be dead is looked for") {
  fixture x;
  x.link("a@h"); // it had dialled
  x.machine.told(x.now, {{"a@h", "h:9"}});
  x.machine.closed(x.now, "a@h", 1, false);
  x.pass(ms(1000));
  CHECK(x.dials().size() == 1);
}

TEST_CASE("a node that is gone from the registry of its host is forgotten") {
  fixture x;
  x.registry["a@h"] = "h:1";
  x.machine.want(x.now, 1, "a@h", x.now, false);
  x.link("a@h", x.dials().at(0).number);
  x.machine.closed(x.now, "a@h", 1, false);
  x.registry.clear();
  x.pass(ms(100));
  x.fail(x.dials().at(0));
  x.pass(ms(61'000));
  CHECK(x.dials().empty());
  CHECK(x.machine.size() == 0);
}

TEST_CASE("who wants to know what the other node has waits for it, but not for "
          "ever") {
  fixture x;
  x.machine.want(x.now, 1, "a@h:9", x.now + ms(9000), true);
  x.link("a@h", x.dials().at(0).number);
  CHECK(x.take<peering::answer>().empty());
  SECTION("it is known") {
    x.machine.known("a@h", 2); // of an earlier link
    CHECK(x.take<peering::answer>().empty());
    x.machine.known("a@h", 1);
  }
  SECTION("it takes too long") {
    x.pass(ms(1000));
  }
  CHECK(x.take<peering::answer>().size() == 1);
}

TEST_CASE("what peers tell of others is bounded") {
  fixture f;
  f.link("a@h");
  std::vector<peering::member> many;
  for (std::size_t i = 0; i < peering::most_told + 100; ++i)
    many.push_back({"n" + std::to_string(i) + "@h", "h:1"});
  f.machine.told(f.now, many);
  CHECK(f.machine.size() == peering::most_told);
  f.machine.told(f.now, {{"n1@h", "h:1"}}); // which is known
  CHECK(f.machine.size() == peering::most_told);
}

TEST_CASE("a node is no peer of itself, as where processes share settings") {
  fixture f{{{"a@h", ""}, {"b@h", ""}}};
  f.machine.start(f.now);
  f.pass(ms(1000));
  auto all = f.dials();
  REQUIRE(all.size() == 1);
  CHECK(all[0].name == "a@h");
}

TEST_CASE("a newcomer is told of the others, but of those that are hidden") {
  fixture x;
  x.link("a@h");
  x.machine.linked(x.now, 0, {"tool@h", ""}, 1, true);
  x.link("c@h");
  auto news = x.take<peering::tell_members>();
  REQUIRE(news.size() == 2); // the tool's as well
  CHECK(news.back().to == "c@h");
  REQUIRE(news.back().members.size() == 1);
  CHECK(news.back().members[0].name == "a@h");
}

TEST_CASE("an address that is none is an error that names it") {
  fixture x;
  x.machine.want(x.now, 1, "a@h:99999", x.now + ms(9000), false);
  auto answers = x.take<peering::answer>();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].why.message.find("h:99999") != std::string::npos);
}
