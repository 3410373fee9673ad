#include <catch2/catch.hpp>

#include <algorithm>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/log.hpp"

using namespace hornbeam::runtime;
using log::level;
using log::logger;

namespace {

/// Keeps what it is given, and says so in a list of several sinks.
struct kept : log::sink {
  explicit kept(std::vector<std::string>* order = nullptr, std::string me = {})
    : order_(order), me_(std::move(me)) {}
  void write(const log::record& x) override {
    records.push_back(x);
    if (order_)
      order_->push_back(me_);
  }
  std::vector<log::record> records;

private:
  std::vector<std::string>* order_;
  std::string me_;
};

/// A logger whose time stands still until it is moved.
struct by_hand {
  logger::clock::time_point now = logger::clock::now();
  logger log{[this] { return now; }};
};

/// Keeps the records whose text is "text": threads of nodes that other tests
/// have ended may still log.
struct kept_text : kept {
  void write(const log::record& x) override {
    if (x.text == "text")
      kept::write(x);
  }
};

/// The log of this process says what it has to say to `to`, on all levels.
struct captured {
  captured() {
    logger::get().set_level(level::debug);
    logger::get().set_sinks({to});
  }
  ~captured() {
    logger::get().set_level(level::warning);
    logger::get().set_sinks({log::stderr_sink()});
  }
  std::shared_ptr<kept> to = std::make_shared<kept_text>();
};

/// What `f` writes to stderr.
template <class F>
std::string stderr_of(F f) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  int before = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  f();
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  ::close(ends[1]);
  std::string out(4096, '\0');
  auto n = ::read(ends[0], out.data(), out.size());
  ::close(ends[0]);
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

} // namespace

TEST_CASE("a log begins with warnings, and a level leaves out those below") {
  logger x;
  CHECK(x.on(level::error));
  CHECK(x.on(level::warning));
  CHECK_FALSE(x.on(level::info));
  x.set_level(level::debug);
  CHECK(x.on(level::debug));
  x.configure(level::error);
  CHECK_FALSE(x.on(level::warning));
}

TEST_CASE("levels have names, and only those") {
  for (auto x : {level::debug, level::info, level::warning, level::error})
    CHECK(log::level_of(log::name_of(x)) == x);
  CHECK_FALSE(log::level_of("loud"));
  CHECK_FALSE(log::level_of(""));
}

TEST_CASE("a record has a level, a part, a node, a text and a time") {
  logger x;
  auto to = std::make_shared<kept>();
  x.set_sinks({to});
  auto before = std::chrono::system_clock::now();
  x.write(level::error, "link", "a@h", "gone");
  REQUIRE(to->records.size() == 1);
  auto& r = to->records[0];
  CHECK(r.level == level::error);
  CHECK(r.part == "link");
  CHECK(r.node == "a@h");
  CHECK(r.text == "gone");
  CHECK(r.at >= before);
}

TEST_CASE("sinks get each record in their order, until others take over") {
  logger x;
  std::vector<std::string> order;
  auto first = std::make_shared<kept>(&order, "first");
  auto second = std::make_shared<kept>(&order, "second");
  x.set_sinks({first, second});
  x.write(level::error, "link", "", "one");
  x.write(level::error, "link", "", "two");
  CHECK(order
        == std::vector<std::string>{"first", "second", "first", "second"});
  x.set_sinks({second});
  x.write(level::error, "link", "", "three");
  CHECK(first->records.size() == 2);
  CHECK(second->records.size() == 3);
}

TEST_CASE("a sink that raises takes nothing from the others") {
  struct broken : log::sink {
    void write(const log::record&) override { throw std::bad_alloc{}; }
  };
  logger x;
  auto to = std::make_shared<kept>();
  x.set_sinks({std::make_shared<broken>(), to});
  x.write(level::error, "link", "", "one");
  CHECK(to->records.size() == 1);
}

TEST_CASE("what repeats within a minute is counted and not said") {
  by_hand x;
  CHECK(x.log.due("a") == 0u);
  x.now += std::chrono::seconds(59);
  CHECK_FALSE(x.log.due("a"));
  CHECK_FALSE(x.log.due("a"));
  CHECK(x.log.due("b") == 0u);
  x.now += std::chrono::seconds(1);
  CHECK(x.log.due("a") == 2u);
  x.now += std::chrono::minutes(1);
  CHECK(x.log.due("a") == 0u);
}

TEST_CASE("keys beyond the bound count as one") {
  by_hand x;
  for (std::size_t i = 0; i < logger::max_keys; ++i)
    CHECK(x.log.due(std::to_string(i)) == 0u);
  CHECK(x.log.due("one more") == 0u);
  CHECK_FALSE(x.log.due("and another"));
  CHECK_FALSE(x.log.due("0")); // those that are known stay so
}

TEST_CASE("keys that are old make room, and what they left out is counted") {
  by_hand x;
  for (std::size_t i = 0; i < logger::max_keys; ++i)
    x.log.due(std::to_string(i));
  x.log.due("0");
  x.now += std::chrono::minutes(1);
  x.log.due("1"); // is young again
  CHECK(x.log.due("new") == 0u);
  CHECK_FALSE(x.log.due("new"));
  CHECK_FALSE(x.log.due("1"));
  CHECK(x.log.due("0") == 0u);
  for (std::size_t i = 2; i < logger::max_keys - 1; ++i)
    x.log.due(std::to_string(i));
  CHECK(x.log.due("beyond") == 1u);
}

TEST_CASE("a text is made only if it is said") {
  captured c;
  int made = 0;
  auto text = [&] {
    ++made;
    return std::string{"text"};
  };
  log::say(level::info, "link", "", text);
  log::say_once_a_minute(level::info, "link", "", "made only if", text);
  log::say_once_a_minute(level::info, "link", "", "made only if", text);
  CHECK(made == 2);
  logger::get().set_level(level::warning);
  log::say(level::info, "link", "", text);
  log::say_once_a_minute(level::info, "link", "", "another key", text);
  CHECK(made == 2);
  CHECK(c.to->records.size() == 2);
}

TEST_CASE("once a minute is once for each part, node and key") {
  captured c;
  for (int i = 0; i < 2; ++i) {
    log::say_once_a_minute(level::info, "link", "a@h", "each", "text");
    log::say_once_a_minute(level::info, "link", "b@h", "each", "text");
    log::say_once_a_minute(level::info, "pool", "a@h", "each", "text");
    log::say_once_a_minute(level::info, "link", "a@h", "each other", "text");
  }
  CHECK(c.to->records.size() == 4);
}

TEST_CASE("how many were left out stands behind the first line") {
  CHECK(log::with_left_out("text", 0) == "text");
  CHECK(log::with_left_out("text", 3) == "text (and 3 more like it before)");
  CHECK(log::with_left_out("a\nb", 3) == "a (and 3 more like it before)\nb");
}

TEST_CASE("records of many threads come whole, and none is lost") {
  logger x;
  auto to = std::make_shared<kept>();
  x.set_sinks({to});
  std::atomic<std::uint64_t> said{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, me = std::to_string(t)] {
      for (int i = 0; i < 1000; ++i) {
        x.write(level::error, me, me, me + me);
        if (x.due("one key"))
          ++said;
        x.due(me + std::to_string(i));
      }
    });
  for (auto& t : threads)
    t.join();
  CHECK(to->records.size() == 4000);
  CHECK(std::all_of(to->records.begin(), to->records.end(), [](auto& r) {
    return r.node == r.part && r.text == r.part + r.part;
  }));
  CHECK(said == 1);
}

TEST_CASE("stderr gets one line for each record") {
  auto found = stderr_of([] {
    auto to = log::stderr_sink();
    to->write({level::warning, "link", "a@h", "the node b@h is down", {}});
    to->write({level::error, "lmdb", "", "no room", {}});
  });
  CHECK(found
        == "hornbeam: warning (link, a@h): the node b@h is down\n"
           "hornbeam: error (lmdb): no room\n");
}

TEST_CASE("a child forked while others log can log, and begins its minutes",
          "[forks]") {
  captured c;
  std::atomic<bool> ended{false};
  std::thread other{[&] {
    while (!ended)
      log::say(level::info, "link", "", "text");
  }};
  log::say_once_a_minute(level::info, "link", "", "over a fork", "text");
  for (int i = 0; i < 20; ++i) {
    auto child = ::fork();
    if (child == 0) {
      ::alarm(20); // it would wait for ever
      auto before = c.to->records.size();
      log::say_once_a_minute(level::info, "link", "", "over a fork", "text");
      ::_exit(c.to->records.size() == before + 1 ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  ended = true;
  other.join();
}
