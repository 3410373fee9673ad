#include <catch2/catch.hpp>

#include <deque>
#include <random>
#include <thread>

#include "runtime/link/link.hpp"
#include "runtime/term/wire.hpp"

using namespace hornbeam;
using namespace hornbeam::runtime;

namespace {

/// One end of a link, which answers requests by echoing them.
struct end : runtime::link::sink {
  explicit end(std::string peer,
               std::size_t buffer = runtime::link::default_buffer)
    : wire(
      std::move(peer), 1, [this](bool) { ++wakes; }, nullptr, buffer) {}

  void on_request(std::uint64_t id, const std::string& service, deadline until,
                  std::uint32_t depth, std::string_view body) override {
    got.push_back(service + "?");
    last_until = until;
    last_depth = depth;
    if (answering)
      wire.reply(id, decode(body));
  }
  void on_cast(const std::string& service, std::string_view body) override {
    auto x = decode(body);
    got.push_back(
      service + ":"
      + (x.is_any_integer() ? to_string(x) : std::to_string(x.text().size())));
  }
  void on_bye() override { ++byes; }
  void on_bye_seen() override { ++byes_seen; }
  void on_announced() override { ++announcements; }

  runtime::link wire; // not unistd.h's
  std::vector<std::string> got;
  deadline last_until;
  std::uint32_t last_depth = 0;
  int wakes = 0;
  int byes = 0;
  int byes_seen = 0;
  int announcements = 0;
  bool answering = true;
};

/// Carries batches in both directions until nothing moves any more.
int exchange(end& a, end& b) {
  int batches = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (auto [from, to] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
      if (auto batch = from->wire.next_batch(); !batch.empty()) {
        to->wire.receive(batch, *to);
        moved = true;
        ++batches;
      }
    }
  }
  return batches;
}

responder into(std::optional<outcome>& to) {
  return responder{[&to](outcome x) { to = std::move(x); }};
}

std::string body(int x) {
  return encode(term{x});
}

} // namespace

TEST_CASE("a request is answered, with its deadline and depth") {
  end a{"b"};
  end b{"a"};
  std::optional<outcome> out;
  a.wire.request("svc", body(7), deadline::in(60'000), 3, into(out));
  CHECK(a.wire.pending() == 1);
  exchange(a, b);
  REQUIRE(out);
  CHECK(**out == term{7});
  CHECK(a.wire.pending() == 0);
  CHECK(b.last_depth == 3);
  CHECK(b.last_until.left_ms() > 50'000);
  CHECK_FALSE(b.last_until.infinite());
}

TEST_CASE("what waits for a peer travels in one batch, after one wake") {
  end a{"b"};
  end b{"a"};
  for (int i = 0; i < 100; ++i)
    a.wire.cast("svc", body(i));
  CHECK(a.wakes == 1);
  b.wire.receive(a.wire.next_batch(), b);
  CHECK(b.got.size() == 100);
  CHECK(a.wire.next_batch().empty());
  a.wire.cast("svc", body(0));
  CHECK(a.wakes == 2);
}

TEST_CASE("small requests overtake a large one") {
  end a{"b"};
  end b{"a"};
  std::optional<outcome> large;
  std::optional<outcome> small;
  auto big = term::bytes(std::string(10 << 20, 'x'));
  a.wire.request("big", encode(big), {}, 0, into(large));
  b.wire.receive(a.wire.next_batch(), b); // its first fragment
  a.wire.request("small", body(1), {}, 0, into(small));
  b.wire.receive(a.wire.next_batch(), b);
  a.wire.receive(b.wire.next_batch(), a);
  CHECK(small);
  CHECK_FALSE(large);
  exchange(a, b);
  REQUIRE(large);
  CHECK(**large == big);
}

TEST_CASE("casts keep their order, large ones too") {
  end a{"b"};
  end b{"a"};
  a.wire.cast("s", body(1));
  a.wire.cast("s", encode(term::bytes(std::string(1 << 20, 'x'))));
  a.wire.cast("s", body(2));
  a.wire.cast("s", body(3));
  exchange(a, b);
  CHECK(b.got == std::vector<std::string>{"s:1", "s:1048576", "s:2", "s:3"});
}

TEST_CASE(
  "what came in pieces is decoded apart: casts wait for it, and nothing "
  "else") {
  struct slow_end : end {
    using end::end;
    void apart(std::function<void()> f) override {
      waiting.push_back(std::move(f));
    }
    void read_on() {
      while (!waiting.empty()) {
        auto f = std::move(waiting.front());
        waiting.pop_front();
        f();
      }
    }
    std::deque<std::function<void()>> waiting;
  };
  end a{"b"};
  slow_end b{"a"};
  std::optional<outcome> small;
  std::optional<outcome> large;
  auto big = encode(term::bytes(std::string(2 << 20, 'x')));
  auto middle = encode(term::bytes(std::string(1 << 20, 'x')));
  a.wire.cast("s", body(1));
  a.wire.cast("s", middle); // not worth another thread
  exchange(a, b);
  CHECK(b.got == std::vector<std::string>{"s:1", "s:1048576"});
  b.got = {"s:1"};
  a.wire.cast("s", big);
  a.wire.cast("s", middle);
  a.wire.tell("s", body(2));
  a.wire.bye();
  a.wire.request("small", body(3), {}, 0, into(small));
  a.wire.request("large", big, {}, 0, into(large));
  exchange(a, b);
  CHECK(small);
  CHECK_FALSE(large);
  CHECK(b.got == std::vector<std::string>{"s:1", "small?"});
  CHECK(b.byes == 0);
  CHECK(b.byes_seen == 1); // though it came as a fragment
  b.read_on();
  exchange(a, b);
  CHECK(large);
  CHECK(b.got
        == std::vector<std::string>{"s:1", "small?", "s:2097152", "s:1048576",
                                    "s:2", "large?"});
  CHECK(b.byes == 1);
  a.wire.cast("s", body(4)); // nothing is taken apart any more
  exchange(a, b);
  CHECK(b.got.back() == "s:4");
}

TEST_CASE("what is charged counts as long as anybody has it") {
  auto x = std::make_shared<runtime::link>(
    "b", 1, [](bool) {}, nullptr, std::size_t{64} << 10);
  auto large = x->charge(1 << 30);
  CHECK_FALSE(x->full());
  large = nullptr;
  auto one = x->charge(32 << 10);
  CHECK_FALSE(x->full());
  auto other = x->charge(32 << 10);
  CHECK(x->full());
  auto copy = other;
  other = nullptr;
  CHECK(x->full());
  copy = nullptr;
  CHECK_FALSE(x->full());
  std::vector<std::shared_ptr<void>> many; // bodies are the least of it
  for (int i = 0; i < 128; ++i)
    many.push_back(x->charge(0));
  CHECK(x->full());
}

TEST_CASE(
  "a link that is shut takes nothing, and answers what was open when it "
  "closes") {
  end a{"b"};
  std::optional<outcome> open;
  std::optional<outcome> late;
  a.wire.request("svc", body(1), {}, 0, into(open));
  a.wire.shut();
  CHECK_FALSE(a.wire.open());
  CHECK_FALSE(a.wire.cast("svc", body(1)));
  a.wire.request("svc", body(1), {}, 0, into(late));
  REQUIRE(late);
  CHECK(late->error().code == error_code::no_connection);
  CHECK(late->error().unsent);
  CHECK_FALSE(open);
  a.wire.close({error_code::no_connection, "gone", "b"});
  CHECK(open);
}

TEST_CASE("a large cast does not overtake smaller ones of many batches") {
  end a{"b"};
  end b{"a"};
  auto middle = encode(term::bytes(std::string(128 << 10, 'x')));
  for (int i = 0; i < 24; ++i)
    a.wire.cast("s", middle);
  a.wire.cast("s", encode(term::bytes(std::string(300 << 10, 'x'))));
  a.wire.cast("s", body(7));
  exchange(a, b);
  REQUIRE(b.got.size() == 26);
  CHECK(b.got[23] == "s:131072");
  CHECK(b.got[24] == "s:307200");
  CHECK(b.got[25] == "s:7");
}

TEST_CASE("no more fragments are under way than the window allows") {
  end a{"b"};
  end b{"a"};
  a.wire.cast("s", encode(term::bytes(std::string(8 << 20, 'x'))));
  std::size_t batches = 0;
  while (!a.wire.next_batch().empty())
    ++batches;
  CHECK(batches == runtime::link::window);
}

TEST_CASE("a closed link fails what is open and refuses what comes") {
  end a{"b"};
  std::optional<outcome> out;
  std::optional<outcome> late;
  a.wire.request("svc", body(1), {}, 0, into(out));
  a.wire.close({error_code::no_connection, "gone", "b"});
  REQUIRE(out);
  CHECK(out->error().code == error_code::no_connection);
  CHECK(out->error().message == "gone");
  a.wire.request("svc", body(1), {}, 0, into(late));
  REQUIRE(late);
  CHECK(late->error().message == "gone");
  CHECK_FALSE(a.wire.cast("svc", body(1)));
  CHECK(a.wire.next_batch().empty());
}

TEST_CASE("a request that a closed link has never sent says so") {
  end a{"b"};
  end b{"a"};
  std::optional<outcome> sent;
  std::optional<outcome> large;
  std::optional<outcome> waiting;
  std::optional<outcome> late;
  a.wire.request("x", body(1), {}, 0, into(sent));
  a.wire.next_batch();
  a.wire.request("x", encode(term::bytes(std::string(10'000'000, 'x'))), {}, 0,
                 into(large));
  a.wire.next_batch();
  a.wire.request("x", body(2), {}, 0, into(waiting));
  a.wire.close({error_code::no_connection, "the node b is down", "b"});
  a.wire.request("x", body(3), {}, 0, into(late));
  CHECK_FALSE(sent->error().unsent);
  CHECK(large->error().unsent); // in pieces, and so it has not run
  CHECK(waiting->error().unsent);
  CHECK(late->error().unsent);
}

TEST_CASE("a closed link tells how many casts it has never sent") {
  end a{"b"};
  a.wire.cast("s", body(1));
  a.wire.next_batch();
  a.wire.cast("s", body(2));
  a.wire.cast("s", encode(term::bytes(std::string(10'000'000, 'x'))));
  a.wire.tell("s", body(3)); // without a connection nobody needs it
  a.wire.request("s", body(4), {}, 0, {});
  CHECK(a.wire.close({}) == 2);
  CHECK(a.wire.close({}) == 0);
}

TEST_CASE("a link may be closed while a message comes in") {
  for (int i = 0; i < 20; ++i) {
    end a{"b"};
    end b{"a"};
    a.wire.cast("s", encode(term::bytes(std::string(2 << 20, 'x'))));
    b.wire.receive(a.wire.next_batch(), b); // its first fragment
    std::thread closer{[&] { b.wire.close({}); }};
    for (auto x = a.wire.next_batch(); !x.empty(); x = a.wire.next_batch())
      b.wire.receive(x, b);
    closer.join();
    CHECK_FALSE(b.wire.open());
  }
}

TEST_CASE("a reply that comes after the caller has given up is dropped") {
  end a{"b"};
  end b{"a"};
  std::optional<outcome> out;
  auto id = a.wire.request("svc", body(1), {}, 0, into(out));
  a.wire.forget(id);
  REQUIRE(out);
  CHECK(out->error().code == error_code::timeout);
  exchange(a, b);
  CHECK(a.wire.pending() == 0);
}

TEST_CASE("a request that nobody answers is forgotten after its deadline") {
  end a{"b"};
  std::optional<outcome> late;
  std::optional<outcome> patient;
  a.wire.request("svc", body(1), deadline::in(0), 0, into(late));
  a.wire.request("svc", body(1), {}, 0, into(patient));
  a.wire.expire();
  REQUIRE(late);
  CHECK(late->error().code == error_code::timeout);
  CHECK_FALSE(patient);
  CHECK(a.wire.pending() == 1);
  a.wire.close({});
}

TEST_CASE("that all is announced is said behind all casts, large ones too") {
  end a{"b"};
  end b{"a"};
  a.wire.cast("s", encode(term::bytes(std::string(1 << 20, 'x'))));
  a.wire.cast("s", body(1));
  a.wire.announced();
  std::string batch;
  while (b.announcements == 0) {
    batch = a.wire.next_batch();
    REQUIRE_FALSE(batch.empty());
    CHECK(b.got.size() < 3);
    b.wire.receive(batch, b);
  }
  CHECK(b.got.size() == 2);
}

TEST_CASE("a goodbye is answered behind all casts") {
  end a{"b"};
  end b{"a"};
  a.wire.cast("s", body(1));
  a.wire.bye();
  exchange(a, b);
  CHECK(b.got.size() == 1);
  CHECK(b.byes == 1);
  CHECK(a.byes == 1);
}

TEST_CASE("requests and casts are refused while too much waits, and answers "
          "never are") {
  end a{"b", 1000};
  end b{"a", 1000};
  std::optional<outcome> first, second, refused;
  auto bytes = encode(term::bytes(std::string(2000, 'x')));
  a.wire.request("s", body(1), {}, 0, into(first));
  a.wire.request("s", bytes, {}, 0, into(second)); // while there is room
  a.wire.request("s", body(1), {}, 0, into(refused));
  REQUIRE(refused);
  CHECK(refused->error().code == error_code::overloaded);
  CHECK(refused->error().unsent);
  CHECK_FALSE(a.wire.cast("s", body(2)));
  CHECK(a.wire.refused() == 2);
  exchange(a, b);
  CHECK(first);
  CHECK(second);
  CHECK(a.wire.cast("s", body(2)));
}

TEST_CASE("a large message that is under way keeps no small one out") {
  end a{"b", 1000};
  std::optional<outcome> large, second, third, small;
  auto big = encode(term::bytes(std::string(1 << 20, 'x')));
  a.wire.request("s", big, {}, 0, into(large));
  CHECK(a.wire.cast("s", body(1)));
  a.wire.request("s", big, {}, 0, into(second)); // the next one waits
  a.wire.request("s", big, {}, 0, into(third));
  CHECK_FALSE(second);
  CHECK(third);
  CHECK_FALSE(a.wire.cast("s", body(1)));
  a.wire.close({});
}

TEST_CASE("who asks on and reads no answer is refused, and left in the end") {
  end a{"b", 1000};
  end b{"a", 1000};
  std::string asks;
  {
    std::optional<outcome> never;
    a.wire.request("s", encode(term::bytes(std::string(5000, 'x'))), {}, 0,
                   into(never));
    asks = a.wire.next_batch();
    a.wire.close({});
  }
  b.wire.receive(asks, b); // its answer waits
  auto served = b.got.size();
  CHECK(served == 1);
  b.wire.receive(asks, b);
  CHECK(b.got.size() == served);
  CHECK_THROWS_WITH(
    [&] {
      for (std::size_t i = 0; i <= link::most_unread_refusals; ++i)
        b.wire.receive(asks, b);
    }(),
    "requests, and reads no answer");
}

TEST_CASE("no more than a few messages are half received at once") {
  end a{"b"};
  for (char number = 1; number <= 4; ++number)
    a.wire.receive(std::string{"\x04\x04"} + number + "\x09x", a);
  CHECK_THROWS_WITH(a.wire.receive("\x04\x04\x05\x09x", a),
                    "more than 4 messages at once");
}

TEST_CASE("what no link wrote is refused") {
  end a{"b"};
  CHECK_THROWS_AS(a.wire.receive("\x05\x01zzzz", a), decode_error);
  CHECK_THROWS_AS(a.wire.receive("\x7f", a), decode_error);
}

TEST_CASE("a frame that a newer node may send is skipped") {
  end a{"b"};
  a.wire.receive("\x05\x63zzzz", a);
}

TEST_CASE("a fragment is never inside a fragment") {
  end a{"b"};
  a.wire.receive("\x04\x04\x01\x01\x06", a); // a ping in one piece
  CHECK_THROWS_WITH(a.wire.receive("\x07\x04\x01\x04\x04\x01\x01\x06", a),
                    "a fragment inside a fragment");
}

TEST_CASE("random traffic arrives whole, each cast in order") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 rng{seed};
  end a{"b"};
  end b{"a"};
  std::vector<std::string> sent;
  int answered = 0;
  int asked = 0;
  for (int i = 0; i < 300; ++i) {
    switch (rng() % 4) {
      case 0: {
        auto n = rng() % 3 == 0 ? rng() % (3 << 20) : rng() % 100;
        a.wire.cast("c", encode(term::bytes(std::string(n, 'x'))));
        sent.push_back("c:" + std::to_string(n));
        break;
      }
      case 1:
        ++asked;
        a.wire.request("r", body(i), {}, 0, responder{[&](const outcome& x) {
                         answered += x.ok();
                       }});
        break;
      default:
        if (auto batch = a.wire.next_batch(); !batch.empty())
          b.wire.receive(batch, b);
        if (auto batch = b.wire.next_batch(); !batch.empty())
          a.wire.receive(batch, a);
    }
  }
  exchange(a, b);
  std::erase(b.got, "r?");
  CHECK(b.got == sent);
  CHECK(answered == asked);
  CHECK(a.wire.drained());
}
