#include <catch2/catch.hpp>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "runtime/table_memory/table.hpp"

using namespace hornbeam::runtime;

namespace {

/// Runs `f(0)` to `f(n - 1)` in threads.
template <class F>
void threads(int n, F f) {
  std::vector<std::thread> all;
  for (int i = 0; i < n; ++i)
    all.emplace_back(f, i);
  for (auto& x : all)
    x.join();
}

} // namespace

TEST_CASE(
  "a walk sees what stays exactly once, whatever is written meanwhile") {
  auto kind = GENERATE(table_kind::set, table_kind::ordered_set);
  table_options o;
  o.kind = kind;
  memory_table t{"t", o};
  constexpr int stay = 3000;
  for (int i = 0; i < stay; ++i)
    t.set(term{i * 2}, term{0});
  std::atomic<bool> over{false};
  std::thread writer{[&] {
    std::mt19937 random{7};
    while (!over) {
      auto k = static_cast<int>(random() % 20'000) * 2 + 1;
      if (random() % 2 == 0)
        t.set(term{k}, term{1});
      else
        t.erase(term{k});
      t.update_counter(term{static_cast<int>(random() % stay) * 2}, term{1});
    }
  }};
  for (int round = 0; round < 20; ++round) {
    std::map<term, int> seen;
    for (term at;;) {
      auto batch = t.scan(at, 100);
      for (auto& [k, v] : batch.entries)
        if (k.as_int() % 2 == 0)
          ++seen[k];
      if (batch.next.is_none())
        break;
      at = batch.next;
    }
    CHECK(seen.size() == stay);
    for (auto& [k, n] : seen)
      if (n != 1)
        FAIL("key " << to_string(k) << " came " << n << " times");
  }
  over = true;
  writer.join();
}

TEST_CASE("nobody sees half of a set_many") {
  memory_table t{"t"};
  std::vector<term> keys;
  for (int i = 0; i < 10; ++i)
    keys.emplace_back(i);
  auto set_all = [&](int x) {
    term::entries all;
    for (auto& k : keys)
      all.emplace_back(k, term{x});
    t.set_many(std::move(all));
  };
  set_all(0);
  std::atomic<int> torn{0};
  threads(3, [&](int n) {
    for (int i = 0; i < 5000; ++i) {
      if (n == 0) {
        set_all(i);
        continue;
      }
      auto found = t.get_many(keys);
      for (auto& x : found)
        torn += *x != *found[0];
    }
  });
  CHECK(torn == 0);
}

TEST_CASE("compare_and_swap lets one through at a time") {
  memory_table t{"t"};
  t.set(term{1}, term{0});
  threads(4, [&](int) {
    for (int i = 0; i < 5000;) {
      auto old = *t.get(term{1});
      i += t.compare_and_swap(term{1}, old, term{old.as_int() + 1}).done;
    }
  });
  CHECK(t.get(term{1}) == term{20'000});
}

TEST_CASE("of several insert_new and take one wins") {
  memory_table t{"t"};
  std::atomic<int> inserted{0};
  std::atomic<int> taken{0};
  threads(4, [&](int n) {
    for (int i = 0; i < 20'000; ++i) {
      auto k = term::string("key " + std::to_string(i % 100));
      if (n % 2 == 0)
        inserted += t.insert_new(k, term{n});
      else
        taken += t.take(k).has_value();
    }
  });
  CHECK(static_cast<int>(t.size()) == inserted - taken);
}

TEST_CASE("a table survives everything at once") {
  auto bounded = GENERATE(false, true);
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  table_options o;
  o.max_entries = bounded ? 300 : 0;
  memory_table t{"t", o};
  std::atomic<std::uint64_t> events{0};
  t.watch(table_interest::in_prefix("key 1"),
          [&](const table_event&) { ++events; });
  threads(4, [&](int n) {
    std::mt19937 random{seed + static_cast<unsigned>(n)};
    for (int i = 0; i < 20'000; ++i) {
      auto k = term::string("key " + std::to_string(random() % 500));
      switch (random() % 12) {
        case 0:
          t.take(k);
          break;
        case 1:
          t.set_many({{k, term{i}}, {term{i % 50}, k}});
          break;
        case 2:
          t.get_many(std::vector<term>{k, term{i % 50}});
          break;
        case 3:
          if (i % 50 == 0)
            t.keys("key 2");
          break;
        case 4:
          if (i % 100 == 0)
            t.items();
          break;
        case 5:
          if (i % 500 == 0)
            t.clear();
          break;
        case 6:
          t.set(k, k, static_cast<std::int64_t>(random() % 3));
          break;
        default:
          t.get(k);
          t.set(k, term::list({k, term{i}}));
      }
    }
  });
  auto items = t.items();
  CHECK(t.size() <= items.size()); // some may have expired since
  CHECK(events > 0);
  t.clear();
  CHECK(t.size() == 0);
  CHECK(t.keys("").empty());
}
