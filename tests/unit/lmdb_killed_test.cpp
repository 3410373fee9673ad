#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include <sys/mman.h>

#include "child_process.hpp"
#include "lmdb_fixture.hpp"

using namespace hornbeam::runtime;
using hornbeam::testing::child_process;
using hornbeam::testing::lmdb_folder;

namespace {

constexpr int processes = 8;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::chrono::seconds longest_wait{4};
#else
constexpr std::chrono::seconds longest_wait{1};
#endif

/// What a process says of itself, in memory that survives it.
struct worker_state {
  std::atomic<std::uint64_t> acknowledged;
};

struct worker_states {
  static constexpr std::size_t most = 100'000;
  worker_state* at = static_cast<worker_state*>(
    ::mmap(nullptr, most * sizeof(worker_state), PROT_READ | PROT_WRITE,
           MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ~worker_states() { ::munmap(at, most * sizeof(worker_state)); }
};

/// Increments, and now and then sets a value of many equal bytes.
int work(const lmdb_folder& folder, worker_state& me, std::uint64_t seed) {
  auto t = folder.open();
  auto counter = term::string("counter");
  auto large = term::string("large");
  for (std::uint64_t i = seed;; ++i) {
    t->update_counter(counter, term{1});
    me.acknowledged.fetch_add(1);
    if (i % 16 == 0)
      t->set(large, term::string(std::string(3000 + i % 9000,
                                             static_cast<char>('a' + i % 26))));
  }
  return 0;
}

void kill_at_random(std::uint64_t increments) {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 gen{seed};
  lmdb_folder folder;
  auto t = folder.open();
  worker_states states;
  std::size_t started = 0;
  std::vector<child_process> children;
  auto start = [&] {
    auto n = started++;
    return child_process{[&, n] { return work(folder, states.at[n], n); }};
  };
  auto acknowledged = [&] {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < started; ++i)
      sum += states.at[i].acknowledged.load();
    return sum;
  };
  for (int i = 0; i < processes; ++i)
    children.push_back(start());
  std::uint64_t mine = 0;
  std::uint64_t next_kill = 1000;
  std::size_t killed = 0;
  std::chrono::steady_clock::duration longest{};
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(110);
  while (acknowledged() + mine < increments) {
    REQUIRE(std::chrono::steady_clock::now() < until);
    auto before = std::chrono::steady_clock::now();
    t->update_counter(term::string("counter"), term{1});
    ++mine;
    if (auto large = t->get(term::string("large"))) {
      auto x = large->text();
      REQUIRE(x.size() >= 3000);
      REQUIRE(x.find_first_not_of(x[0]) == std::string::npos);
    }
    longest = std::max(longest, std::chrono::steady_clock::now() - before);
    if (acknowledged() < next_kill || started + 1 >= worker_states::most)
      continue;
    next_kill += 1 + gen() % 2000;
    auto i = gen() % children.size();
    children[i].send(SIGKILL);
    REQUIRE(children[i].wait() == -SIGKILL);
    ++killed;
    children[i] = start();
  }
  for (auto& x : children) {
    x.send(SIGKILL);
    REQUIRE(x.wait() == -SIGKILL);
    ++killed;
  }
  auto value
    = static_cast<std::uint64_t>(t->get(term::string("counter"))->as_int());
  CAPTURE(acknowledged(), mine, killed);
  CHECK(value >= acknowledged() + mine);
  CHECK(value <= acknowledged() + mine + killed);
  CHECK(killed > processes);
  CHECK(longest < longest_wait);
  CHECK(t->size() == 2);
  // What the killed ones left is used again.
  CHECK(t->info().find(term::atom("file_bytes"))->as_int() < 32 << 20);
}

} // namespace

TEST_CASE("no increment is lost while processes of an lmdb table are killed",
          "[alone]") {
  kill_at_random(60'000);
}

TEST_CASE("no increment of a million is lost while processes are killed",
          "[.][long]") {
  kill_at_random(1'000'000);
}
