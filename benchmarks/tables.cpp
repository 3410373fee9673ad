// What tables cost, one line of JSON for each benchmark that is named:
//
//     hornbeam_bench_tables get_spread_1 incr_same_2
//
// tables.erl has the same operations with ETS: whoever changes one changes the
// other. tables.py runs both.

#include <algorithm>
#include <chrono>
#include <functional>
#include <latch>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <malloc.h>

#include "benchmarks/program.hpp"
#include "runtime/table_memory/table.hpp"

using namespace hornbeam::bench;
using namespace hornbeam::runtime;

namespace {

constexpr int key_count = 10'000;

term name_of_key(int i) {
  return term::string("key:" + std::to_string(i));
}

std::vector<term> names(int n) {
  std::vector<term> out;
  out.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i)
    out.push_back(name_of_key(i));
  return out;
}

void fill(table& t, const std::vector<term>& keys) {
  for (std::size_t i = 0; i < keys.size(); ++i)
    t.set(keys[i], term{static_cast<int>(i)});
}

/// Microseconds for each of the `count` calls that each thread makes, all
/// threads together. Spread keys come in an order that no cache foresees.
template <class F>
double each(int threads, bool spread, F f) {
  constexpr int count = 1'000'000;
  auto keys = names(key_count);
  memory_table t{"t"};
  fill(t, keys);
  std::latch ready{threads};
  auto work = [&](int seed) {
    // Each thread has keys of its own making, as programs have.
    auto mine = names(key_count);
    auto at = static_cast<std::uint32_t>(seed);
    ready.arrive_and_wait();
    for (int i = 0; i < count; ++i) {
      at = spread ? (at * 4649 + 101) % key_count : 1;
      f(t, mine[at], i);
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i)
    others.emplace_back(work, i);
  stopwatch watch;
  work(0);
  for (auto& x : others)
    x.join();
  return watch.us() / count / threads;
}

const auto do_get = [](table& t, const term& key, int) { t.get(key); };
const auto do_set = [](table& t, const term& key, int i) {
  t.set(key, term{i});
};
const auto do_incr = [](table& t, const term& key, int) {
  t.update_counter(key, term{1});
};

/// New keys into a table, and out of it.
double insert_delete(int threads) {
  constexpr int count = 500'000;
  memory_table t{"t"};
  auto work = [&](int first) {
    for (int i = 0; i < count; ++i)
      t.insert_new(term{first + i}, term{i});
    for (int i = 0; i < count; ++i)
      t.erase(term{first + i});
  };
  std::vector<std::thread> others;
  stopwatch watch;
  for (int i = 1; i < threads; ++i)
    others.emplace_back(work, i * count);
  work(0);
  for (auto& x : others)
    x.join();
  return watch.us() / count / threads / 2;
}

double get_many() {
  constexpr int count = 20'000;
  memory_table t{"t"};
  auto keys = names(key_count);
  fill(t, keys);
  stopwatch watch;
  for (int i = 0; i < count; ++i) {
    auto first = static_cast<std::size_t>(i * 37 % (key_count - 100));
    t.get_many({keys.data() + first, 100});
  }
  return watch.us() / count;
}

/// Ten hits among a million keys.
double keys_by_prefix() {
  constexpr int count = 2'000;
  memory_table t{"t"};
  fill(t, names(1'000'000));
  t.keys("key:1");
  stopwatch watch;
  for (int i = 0; i < count; ++i)
    if (t.keys("key:" + std::to_string(10'000 + i * 41 % 90'000)).size() != 11)
      std::abort();
  return watch.us() / count;
}

/// The first question, which sorts the keys.
double first_keys_by_prefix() {
  memory_table t{"t"};
  fill(t, names(1'000'000));
  stopwatch watch;
  t.keys("key:12345");
  return watch.us() / 1000;
}

double allocated() {
  auto x = mallinfo2();
  return static_cast<double>(x.uordblks + x.hblkhd);
}

/// Keys and all, with the index of sorted keys.
double memory_per_entry() {
  constexpr int count = 1'000'000;
  auto before = allocated();
  memory_table t{"t"};
  for (int i = 0; i < count; ++i)
    t.set(name_of_key(i), term{i});
  t.keys("key:12345");
  return (allocated() - before) / count;
}

/// Each entry of a walk over a million.
double scan() {
  memory_table t{"t"};
  fill(t, names(1'000'000));
  stopwatch watch;
  std::size_t n = 0;
  for (term at;;) {
    auto batch = t.scan(at);
    n += batch.entries.size();
    if (batch.next.is_none())
      break;
    at = std::move(batch.next);
  }
  return watch.us() * 1000 / static_cast<double>(n);
}

struct benchmark {
  std::string_view name;
  const char* unit;
  std::function<double()> run;
};

const benchmark benchmarks[] = {
  {"get_same_1", "us", [] { return each(1, false, do_get); }},
  {"get_same_2", "us", [] { return each(2, false, do_get); }},
  {"get_spread_1", "us", [] { return each(1, true, do_get); }},
  {"get_spread_2", "us", [] { return each(2, true, do_get); }},
  {"set_same_1", "us", [] { return each(1, false, do_set); }},
  {"set_same_2", "us", [] { return each(2, false, do_set); }},
  {"set_spread_1", "us", [] { return each(1, true, do_set); }},
  {"set_spread_2", "us", [] { return each(2, true, do_set); }},
  {"incr_same_1", "us", [] { return each(1, false, do_incr); }},
  {"incr_same_2", "us", [] { return each(2, false, do_incr); }},
  {"incr_spread_1", "us", [] { return each(1, true, do_incr); }},
  {"incr_spread_2", "us", [] { return each(2, true, do_incr); }},
  {"insert_delete_1", "us", [] { return insert_delete(1); }},
  {"insert_delete_2", "us", [] { return insert_delete(2); }},
  {"get_many_100", "us", get_many},
  {"keys_by_prefix", "us", keys_by_prefix},
  {"first_keys_by_prefix", "ms", first_keys_by_prefix},
  {"scan", "ns", scan},
  {"memory_per_entry", "bytes", memory_per_entry},
};

} // namespace

int main(int argc, char** argv) {
  return run_named(argc, argv, benchmarks, [](auto& x) { return x.run(); });
}
