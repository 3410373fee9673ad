#include <catch2/catch.hpp>

#include <limits>
#include <map>
#include <random>
#include <thread>

#include "lmdb_fixture.hpp"
#include "runtime/term/wire.hpp"

using namespace hornbeam::runtime;
using hornbeam::testing::lmdb_folder;

namespace {

term text(const std::string& x) {
  return term::string(x);
}

} // namespace

TEST_CASE("an lmdb table finds exactly the key that was set") {
  lmdb_folder folder;
  auto t = folder.open();
  t->set(term{1}, text("one"));
  CHECK(t->get(term{1})->text() == "one");
  CHECK_FALSE(t->get(term{1.0}));
  CHECK_FALSE(t->get(term{true}));
  CHECK_FALSE(t->get(text("1")));
  t->set(term{1}, term{});
  CHECK(t->get(term{1})->is_none());
  CHECK(t->contains(term{1}));
  CHECK(t->size() == 1);
  CHECK(t->erase(term{1}));
  CHECK_FALSE(t->erase(term{1}));
  CHECK(t->size() == 0);
}

TEST_CASE("an lmdb table keeps all its entries when it is opened again") {
  lmdb_folder folder;
  folder.open()->set(text("k"), term::list({term{1}, text("two")}));
  auto t = folder.open();
  CHECK(*t->get(text("k")) == term::list({term{1}, text("two")}));
  CHECK(t->size() == 1);
}

TEST_CASE("values of every kind and size come back from an lmdb table") {
  lmdb_folder folder;
  auto t = folder.open();
  std::vector<term> values{
    term{},
    term{false},
    term{std::numeric_limits<std::int64_t>::min()},
    term{big_integer{"1267650600228229401496703205376"}},
    term{1.5},
    term::atom("a"),
    text(""),
    text(std::string(3'000'000, 'x')),
    term::bytes(std::string("\0\1", 2)),
    term::tuple({term{1}, term::list({})}),
    term::map({{text("k"), term{1}}}),
    term{array{"<f8", {2}, std::string(16, 'f')}},
    term{array{"<i2", {512, 1024}, std::string(1 << 20, 'i')}},
    term::extension("date", term{1})};
  for (auto& x : values) {
    t->set(x.depth() > 1 ? text("k") : x, x);
    CHECK(*t->get(x.depth() > 1 ? text("k") : x) == x);
  }
}

TEST_CASE("long keys are keys like others") {
  lmdb_folder folder;
  auto t = folder.open();
  std::string a(2000, 'x');
  for (auto* end : {"3", "1", "2"})
    t->set(text(a + end), text(end));
  t->set(text("y"), term{});
  CHECK(t->get(text(a + "2"))->text() == "2");
  CHECK_FALSE(t->get(text(a + "4")));
  auto keys = t->keys(a);
  REQUIRE(keys.size() == 3);
  CHECK(keys[0].text() == a + "1");
  CHECK(keys[2].text() == a + "3");
  CHECK(t->keys(a + "2").size() == 1);
  CHECK(t->keys(a, 2).at(1).text() == a + "2");
  CHECK(t->scan().entries.size() == 4);
  CHECK(t->update_counter(text(a + "n"), term{2}) == term{2});
  CHECK(t->erase(text(a + "1")));
  CHECK(t->size() == 4);
}

TEST_CASE("operations of an lmdb table do what they say") {
  lmdb_folder folder;
  auto t = folder.open();
  auto k = text("k");
  CHECK(t->insert_new(k, term{1}));
  CHECK_FALSE(t->insert_new(k, term{2}));
  CHECK(*t->swap(k, term{3}) == term{1});
  CHECK(t->compare_and_swap(k, term{3}, term{4}).done);
  auto missed = t->compare_and_swap(k, term{3}, term{5});
  CHECK_FALSE(missed.done);
  CHECK(*missed.found == term{4});
  CHECK(t->compare_and_swap(k, term{4}, std::nullopt).done);
  CHECK_FALSE(t->contains(k));
  CHECK(t->compare_and_swap(k, std::nullopt, term{6}).done);
  CHECK(*t->take(k) == term{6});
  CHECK_FALSE(t->take(k));
  t->set_many({{term{1}, term{10}}, {term{2}, term{20}}});
  CHECK_FALSE(t->insert_new({{term{3}, term{30}}, {term{2}, term{21}}}));
  CHECK_FALSE(t->contains(term{3}));
  CHECK(t->insert_new({{term{3}, term{30}}, {term{4}, term{40}}}));
  std::vector<term> keys{term{1}, term{9}, term{4}};
  auto many = t->get_many(keys);
  CHECK(*many[0] == term{10});
  CHECK_FALSE(many[1]);
  CHECK(*many[2] == term{40});
  CHECK(t->erase_object(term{1}, term{11}) == 0);
  CHECK(t->erase_object(term{1}, term{10}) == 1);
  CHECK(t->size() == 3);
  t->clear();
  CHECK(t->size() == 0);
  CHECK(t->scan().entries.empty());
  t->set(k, term{1});
  CHECK(t->size() == 1);
}

TEST_CASE("a counter of an lmdb table has no upper limit") {
  lmdb_folder folder;
  auto t = folder.open();
  auto top = std::numeric_limits<std::int64_t>::max();
  t->set(term{1}, term{top});
  CHECK(t->update_counter(term{1}, term{1})
        == term{big_integer{"9223372036854775808"}});
  CHECK(t->update_counter(term{1}, term{-1}) == term{top});
  t->set(text("x"), term{1.5});
  CHECK_THROWS_AS(t->update_counter(text("x"), term{1}), bad_term);
  CHECK(*t->get(text("x")) == term{1.5});
  counter_op op;
  op.delta = term{5};
  op.threshold = term{10};
  op.reset = term{0};
  std::vector<counter_op> ops{op, op, op};
  CHECK(t->update_counter(text("c"), ops)
        == std::vector<term>{term{5}, term{10}, term{0}});
}

TEST_CASE("an lmdb table walks in key order, whatever is written meanwhile") {
  lmdb_folder folder;
  auto t = folder.open();
  for (int i = 0; i < 1000; ++i)
    t->set(term{i * 2}, term{i});
  std::vector<term> seen;
  for (term at;;) {
    auto batch = t->scan(at, 7);
    for (auto& [key, value] : batch.entries)
      seen.push_back(key);
    t->set(term{static_cast<int>(seen.size())}, term{-1});
    t->erase(seen.back());
    if (batch.next.is_none())
      break;
    at = batch.next;
  }
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  auto even = std::count_if(seen.begin(), seen.end(),
                            [](auto& x) { return x.as_int() % 2 == 0; });
  CHECK(even == 1000);
}

TEST_CASE("an lmdb table does the same as a map, whatever is done") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 gen{seed};
  lmdb_folder folder;
  auto t = folder.open();
  std::map<term, term> model;
  for (int i = 0; i < 20'000; ++i) {
    auto key = text("k" + std::to_string(gen() % 300));
    term value = gen() % 4 == 0 ? text(std::string(gen() % 9000, 'v'))
                                : term{static_cast<std::int64_t>(gen() % 100)};
    switch (gen() % 4) {
      case 0:
        CHECK(t->erase(key) == (model.erase(key) == 1));
        break;
      case 1: {
        auto found = t->get(key);
        auto there = model.find(key);
        REQUIRE(found.has_value() == (there != model.end()));
        if (found)
          REQUIRE(*found == there->second);
        break;
      }
      default:
        t->set(key, value);
        model[key] = value;
    }
  }
  REQUIRE(t->size() == model.size());
  auto all = t->items();
  CHECK(std::equal(all.begin(), all.end(), model.begin(), model.end(),
                   [](auto& a, auto& b) {
                     return a.first == b.first && a.second == b.second;
                   }));
}

TEST_CASE("entries of an lmdb table expire") {
  lmdb_folder folder;
  auto t = folder.open();
  t->set(text("short"), term{1}, 1);
  t->set(text("long"), term{2}, 60'000);
  t->set(text("ever"), term{3});
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (t->contains(text("short")))
    REQUIRE(std::chrono::steady_clock::now() < until);
  CHECK(t->size() == 2);
  CHECK(t->keys("").size() == 2);
  CHECK(t->scan().entries.size() == 2);
  CHECK_FALSE(t->get(text("short")));
  CHECK_FALSE(t->take(text("short")));
  CHECK(*t->left_ms(text("ever")) == 0);
  CHECK(*t->left_ms(text("long")) > 50'000);
  CHECK(t->expire(text("ever"), 30'000));
  CHECK(*t->left_ms(text("ever")) <= 30'000);
  CHECK(t->expire(text("long"), 0));
  CHECK(*t->left_ms(text("long")) == 0);
  t->set(text("a"), term{1}, 1);
  t->set(text("b"), term{1}, 1);
  std::size_t swept = 0;
  while (swept < 2) {
    swept += t->sweep();
    REQUIRE(std::chrono::steady_clock::now() < until);
  }
  CHECK(t->size() == 2);
  CHECK(t->info().find(term::atom("expired"))->as_int() == 3);
}

TEST_CASE("a counter keeps its time to live, a new value has a new one") {
  lmdb_folder folder;
  auto options = folder.options();
  options.ttl_ms = 50'000;
  auto t = folder.open(options);
  auto k = text("k");
  t->update_counter(k, term{1}, 1000);
  t->update_counter(k, term{1});
  CHECK(*t->left_ms(k) <= 1000);
  t->set(k, term{1});
  CHECK(*t->left_ms(k) > 1000);
  t->set(k, term{1}, 0);
  CHECK(*t->left_ms(k) == 0);
}

TEST_CASE("a full lmdb table forgets what was not used, and keeps what was") {
  lmdb_folder folder;
  auto options = folder.options();
  options.max_entries = 100;
  auto t = folder.open(options);
  t->set(text("hot"), term{1});
  for (int i = 0; i < 2000; ++i) {
    t->set(text("k" + std::to_string(i)), term{i});
    REQUIRE(t->contains(text("hot")));
    REQUIRE(t->size() <= 100);
  }
  CHECK(t->size() == 100);
  CHECK(t->info().find(term::atom("evicted"))->as_int() == 1901);
}

TEST_CASE("an lmdb table holds no more bytes than it may") {
  lmdb_folder folder;
  auto options = folder.options();
  options.max_bytes = 100'000;
  auto sum = [](lmdb_table& t) {
    std::size_t n = 0;
    for (auto& [key, value] : t.items())
      n += key.text().size() + value.text().size();
    return n;
  };
  {
    auto t = folder.open(options);
    for (int i = 0; i < 500; ++i)
      t->set(text(std::to_string(i)), text(std::string(1000, 'x')));
    CHECK(sum(*t) < 100'000);
    CHECK(sum(*t) > 90'000);
    t->set(text("499"), text("small"));
    t->erase(text("498"));
  }
  auto t = folder.open(options); // which has to count
  for (int i = 0; i < 500; ++i)
    t->set(text(std::to_string(i)), text(std::string(1000, 'y')));
  CHECK(sum(*t) < 100'000);
  CHECK(sum(*t) > 90'000);
}

TEST_CASE("no increment of many threads of an lmdb table is lost") {
  lmdb_folder folder;
  auto t = folder.open();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&t] {
      for (int k = 0; k < 5000; ++k) {
        t->update_counter(text("n"), term{1});
        if (t->get(text("n"))->as_int() <= k)
          std::abort();
      }
    });
  for (auto& x : threads)
    x.join();
  CHECK(*t->get(text("n")) == term{20'000});
}

TEST_CASE("an lmdb table refuses what a file can't be") {
  lmdb_folder folder;
  auto with = [&](auto change) {
    auto x = folder.options();
    change(x);
    return x;
  };
  for (auto kind :
       {table_kind::bag, table_kind::duplicate_bag, table_kind::ordered_set})
    CHECK_THROWS_AS(folder.open(with([&](auto& x) { x.kind = kind; })), failed);
  CHECK_THROWS_AS(
    folder.open(with([](auto& x) { x.access = table_access::closed; })),
    failed);
  CHECK_THROWS_AS(folder.open(with([](auto& x) { x.path.clear(); })), failed);
  CHECK_THROWS_WITH(folder.open()->watch({}, [](auto&) {}),
                    Catch::Contains("home"));
  CHECK_THROWS_WITH(
    folder.open(with([](auto& x) { x.path = "/nowhere/t.lmdb"; })),
    Catch::Contains("/nowhere"));
}

TEST_CASE("an lmdb table with a home tells who watches there") {
  lmdb_folder folder;
  auto options = folder.options();
  options.home = "a@b";
  options.max_entries = 2;
  auto t = folder.open(options);
  std::vector<std::string> heard;
  t->watch({}, [&](const table_event& e) {
    heard.push_back(std::string{name_of(e.what)} + " " + to_string(e.key));
  });
  t->set(term{1}, term{1});
  t->update_counter(term{1}, term{1});
  t->set_many({{term{2}, term{2}}, {term{3}, term{3}}});
  t->clear();
  REQUIRE(heard.size() == 7);
  CHECK(heard[0] == "set 1");
  CHECK(heard[3] == "set 3");
  CHECK(heard[4].starts_with("evict"));
  CHECK(heard[5].starts_with("delete"));
}
