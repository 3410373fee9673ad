#include "table_fixture.hpp"

#include <thread>

using namespace hornbeam::test;

TEST_CASE_METHOD(table_node, "a process that watches a key gets its changes") {
  auto& t = make();
  auto number = t.watch(table_interest::in_key(term{1}), p->pid());
  auto n = static_cast<std::int64_t>(number);
  t.set(term{1}, text("a"));
  t.set(term{2}, text("b"));
  t.set(term{1}, text("c"));
  t.erase(term{1});
  auto event = [&](const char* kind, term::entries values) {
    return tup("table_event", term{n}, "t", kind, term{1},
               term::map(std::move(values)));
  };
  CHECK(p->all()
        == std::vector<term>{
          event("set", {{atom("new"), text("a")}}),
          event("set", {{atom("old"), text("a")}, {atom("new"), text("c")}}),
          event("delete", {{atom("old"), text("c")}})});
  CHECK(t.unwatch(number));
  CHECK_FALSE(t.unwatch(number));
  t.set(term{1}, text("d"));
  CHECK(p->all().empty());
}

TEST_CASE_METHOD(table_node, "a prefix is watched in string keys") {
  auto& t = make();
  std::vector<term> keys;
  t.watch(table_interest::in_prefix("user:"),
          [&](const table_event& e) { keys.push_back(e.key); });
  for (auto& k : {text("user:1"), text("use"), atom("user:2"), term{3}})
    t.set(k, term{});
  t.set_many({{text("user:4"), term{}}, {text("x"), term{}}});
  CHECK(keys == std::vector<term>{text("user:1"), text("user:4")});
}

TEST_CASE_METHOD(table_node, "every operation that changes is told") {
  auto& t = make();
  std::vector<std::string> seen;
  t.watch(table_interest::in_prefix(""), [&](const table_event& e) {
    auto show = [](auto& x) { return x ? to_string(*x) : std::string{"-"}; };
    seen.push_back(std::string{name_of(e.what)} + " " + to_string(e.key) + " "
                   + show(e.before) + " " + show(e.after));
  });
  t.insert_new(term{1}, term{10});
  t.insert_new(term{1}, term{11});
  t.swap(term{1}, term{12});
  t.compare_and_swap(term{1}, term{12}, term{13});
  t.compare_and_swap(term{1}, term{12}, term{14});
  t.compare_and_swap(term{1}, term{13}, std::nullopt);
  t.update_counter(term{2}, term{5});
  t.take(term{2});
  t.set(term{3}, term{3});
  t.clear();
  CHECK(seen
        == std::vector<std::string>{
          "set 1 - 10", "set 1 10 12", "set 1 12 13", "delete 1 13 -",
          "set 2 - 5", "delete 2 5 -", "set 3 - 3", "delete 3 3 -"});
}

TEST_CASE_METHOD(table_node, "who watches may use the table") {
  auto& t = make();
  t.watch(table_interest::in_key(term{1}),
          [&](const table_event&) { t.update_counter(term{2}, term{1}); });
  int second = 0;
  t.watch(table_interest::in_key(term{2}),
          [&](const table_event&) { ++second; });
  t.set(term{1}, term{});
  t.set(term{1}, term{});
  CHECK(t.get(term{2}) == term{2});
  CHECK(second == 2);
}

TEST_CASE_METHOD(table_node, "a process that has ended is forgotten") {
  auto& t = make();
  for (int i = 0; i < 1000; ++i) {
    auto other = mortal();
    t.watch(table_interest::in_key(term{1}), other);
    end(other, "normal");
  }
  CHECK(t.info().find(atom("watches"))->as_int() < 100);
}

TEST_CASE("changes of one key are told in their order") {
  memory_table t{"t"};
  std::vector<std::int64_t> seen;
  t.watch(table_interest::in_key(term{1}),
          [&](const table_event& e) { seen.push_back(e.after->as_int()); });
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n)
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i)
        t.update_counter(term{1}, term{1});
    });
  for (auto& x : threads)
    x.join();
  REQUIRE(seen.size() == 20'000);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}
