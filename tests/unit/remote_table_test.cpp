#include <catch2/catch.hpp>

#include <random>
#include <set>

#include "actors/remote_table.hpp"
#include "actors/tables.hpp"
#include "runtime/table/options_term.hpp"
#include "runtime/table_memory/table.hpp"
#include "runtime/term/wire.hpp"

using namespace hornbeam;
using namespace hornbeam::runtime;
using actors::remote_table;

namespace {

/// The way to a home that answers at once, or is down; what crosses is encoded
/// and decoded.
class way_home : public router {
public:
  explicit way_home(tables& at_home)
    : service_(actors::make_table_service(at_home, "t")) {}

  origin_ptr self() const override { return self_; }
  std::vector<std::string> peers() const override { return {"home@h"}; }
  bool cast(const std::string&, const std::string&, const term&) override {
    ++casts;
    return up;
  }
  void request(const std::string& node, const std::string& service,
               const term& op, deadline until, std::uint32_t depth,
               responder reply) override {
    CHECK(node == "home@h");
    CHECK(service == "table:t");
    CHECK_FALSE(until.infinite());
    asked.emplace(op.at(0).text());
    ++messages;
    if (!up)
      return reply(failure{error_code::no_connection, "down", node});
    if (silent) {
      kept.push_back(std::move(reply));
      return;
    }
    call c;
    c.op = decode(encode(op));
    c.until = until;
    c.depth = depth;
    c.reply = responder{
      [&reply](outcome x) { reply(x ? outcome{decode(encode(*x))} : x); }};
    try {
      service_->handle(c);
    } catch (...) {
      c.reply(current_failure());
    }
  }

  std::set<std::string> asked;
  std::vector<responder> kept;
  int messages = 0;
  int casts = 0;
  bool up = true;
  bool silent = false;

private:
  origin_ptr self_ = origin::of("here@h", 1);
  std::unique_ptr<service> service_;
};

table_options at_home(table_options o = {}) {
  o.home = "home@h";
  return o;
}

struct fixture {
  tables home;
  std::shared_ptr<way_home> way = std::make_shared<way_home>(home);
  remote_table far{"t", at_home(), way};
  memory_table near{"t"};

  /// Does `f` on both tables; both give the same, or raise the same.
  template <class F>
  void both(F f) {
    auto result = [&](table& t) -> term {
      try {
        return f(t);
      } catch (const bad_term& e) {
        return term::atom(e.what());
      } catch (const failed& e) {
        return term::atom(e.what());
      }
    };
    REQUIRE(result(far) == result(near));
  }
};

term listed(const std::optional<term>& x) {
  return x ? term::list({*x}) : term::list({});
}
term listed(const std::vector<term>& x) {
  return term::list(x);
}

} // namespace

TEST_CASE_METHOD(fixture, "a table far away is as one that is near") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random{seed};
  auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
  auto key = [&] {
    return below(3) == 0 ? term{below(10)}
                         : term::string("k" + std::to_string(below(10)));
  };
  auto value = [&] {
    return below(3) == 0 ? term{below(5)}
                         : term::tuple({term{below(5)}, term{1.5}});
  };
  auto maybe = [&] {
    return below(3) == 0 ? std::nullopt : std::optional{value()};
  };
  for (int i = 0; i < 5000; ++i) {
    auto k = key();
    auto v = value();
    auto e = maybe();
    auto d = maybe();
    auto ttl = below(4) == 0 ? std::int64_t{-7}
                             : std::int64_t{below(2)} * 1'000'000;
    term::entries many{{key(), value()}, {key(), value()}};
    counter_op step{
      term{below(9) - 4}, static_cast<std::size_t>(below(3)), {}, {}};
    if (below(2) == 0) {
      step.threshold = term{3};
      step.reset = term{0};
    }
    std::vector<counter_op> steps{step, step};
    switch (below(20)) {
      case 0:
        both([&](table& t) { return listed(t.get(k)); });
        break;
      case 1:
        both([&](table& t) { return term{t.contains(k)}; });
        break;
      case 2:
        both([&](table& t) {
          t.set(k, v, ttl);
          return term{};
        });
        break;
      case 3:
        both([&](table& t) { return term{t.insert_new(k, v, ttl)}; });
        break;
      case 4:
        both([&](table& t) { return listed(t.take(k)); });
        break;
      case 5:
        both([&](table& t) {
          return term{static_cast<int>(t.erase_object(k, v))};
        });
        break;
      case 6:
        both([&](table& t) { return listed(t.swap(k, v, ttl)); });
        break;
      case 7:
        both([&](table& t) {
          auto x = t.compare_and_swap(k, e, d, ttl);
          return term::tuple({term{x.done}, listed(x.found)});
        });
        break;
      case 8:
        both([&](table& t) { return t.update_counter(k, term{3}, ttl); });
        break;
      case 9:
        both([&](table& t) { return t.update_counter(k, v); });
        break;
      case 10:
        both(
          [&](table& t) { return listed(t.update_counter(k, steps, v, ttl)); });
        break;
      case 11:
        both([&](table& t) { return term{t.expire(k, ttl)}; });
        break;
      case 12:
        both([&](table& t) { return term{t.left_ms(k) > 0}; });
        break;
      case 13:
        both([&](table& t) {
          term::sequence out;
          std::vector<term> keys{k, v, key()};
          keys.pop_back();
          for (auto& x : t.get_many(keys))
            out.push_back(listed(x));
          return term::list(out);
        });
        break;
      case 14:
        both([&](table& t) {
          t.set_many(many, ttl);
          return term{};
        });
        break;
      case 15:
        both([&](table& t) { return term{t.insert_new(many, ttl)}; });
        break;
      case 16:
        both([&](table& t) { return listed(t.keys("k", 5)); });
        break;
      case 17:
        both([&](table& t) { return term{static_cast<int>(t.size())}; });
        break;
      case 18:
        both([&](table& t) {
          auto xs = t.items();
          std::sort(xs.begin(), xs.end());
          return term::map(xs);
        });
        break;
      default:
        if (below(10) == 0)
          both([&](table& t) {
            t.clear();
            return term{};
          });
    }
  }
}

TEST_CASE_METHOD(fixture, "every operation of the actor is used from afar") {
  pid who{origin::of("x@h", 1), 7, {}};
  far.set(term{1}, term{1});
  far.get(term{1});
  far.contains(term{1});
  far.insert_new(term{2}, term{2});
  far.take(term{2});
  far.erase_object(term{1}, term{2});
  far.swap(term{1}, term{3});
  far.compare_and_swap(term{1}, term{3}, term{4});
  far.update_counter(term{1}, term{1});
  std::vector<counter_op> ops(1);
  far.update_counter(term{1}, ops);
  far.expire(term{1}, 1000);
  far.left_ms(term{1});
  far.get_many(ops.size() == 1 ? std::vector<term>{term{1}}
                               : std::vector<term>{});
  far.set_many({{term{1}, term{1}}});
  far.insert_new({{term{3}, term{3}}});
  far.keys("x");
  far.items();
  far.size();
  far.clear();
  far.unwatch(far.watch(table_interest::in_key(term{1}), term{who}));
  far.watch(table_interest::in_prefix("x"), term{who});
  CHECK(*far.info().find(term::atom("watches")) == term{1});
  for (auto& op : actors::table_operations())
    // `delete` answers less than `take`, which the interface uses.
    if (op != "delete") {
      INFO(op);
      CHECK(way->asked.contains(op));
    }
}

TEST_CASE_METHOD(fixture, "several keys are one message") {
  far.size();
  way->messages = 0;
  term::entries many;
  std::vector<term> keys;
  for (int i = 0; i < 100; ++i) {
    many.emplace_back(term{i}, term{i});
    keys.emplace_back(term{i});
  }
  far.set_many(many);
  CHECK(far.get_many(keys)[99] == term{99});
  CHECK(way->messages == 2);
}

TEST_CASE_METHOD(fixture, "a home that is down is an error at once") {
  far.set(term{1}, term{1});
  far.peer({"home@h", 1, false, false});
  way->silent = true; // nobody would answer
  try {
    far.get(term{1});
    FAIL("no error");
  } catch (const failed& e) {
    CHECK(e.why.code == error_code::no_connection);
    CHECK(e.why.node == "home@h");
    CHECK_THAT(e.why.message, Catch::Contains("home@h"));
  }
  CHECK(way->casts == 1); // so that it is called again
  way->silent = false;
  far.peer({"home@h", 2, true, false});
  CHECK(far.get(term{1}) == term{1});
}

TEST_CASE_METHOD(fixture, "an answer that does not come is a timeout") {
  far.size();
  way->silent = true;
  caller_scope as{{0, deadline::in(20), 0}};
  try {
    far.get(term{1});
    FAIL("no error");
  } catch (const failed& e) {
    CHECK(e.why.code == error_code::timeout);
  }
}

TEST_CASE("a home where the table was declared otherwise says what differs") {
  tables home;
  table_options there;
  there.max_entries = 7;
  home.declare("t", there);
  auto way = std::make_shared<way_home>(home);
  remote_table far{"t", at_home(), way};
  CHECK_THROWS_WITH(far.get(term{1}), Catch::Contains("max_entries (7 and 0)"));
  remote_table same{"t", at_home(there), way};
  CHECK_FALSE(same.get(term{1}));
}

TEST_CASE("a home that has come back is told again how the table is") {
  tables home;
  auto way = std::make_shared<way_home>(home);
  table_options o;
  o.ttl_ms = 60'000;
  remote_table far{"t", at_home(o), way};
  far.set(term{1}, term{1});
  CHECK(home.find("t")->options().ttl_ms == 60'000);
  home.drop("t"); // as when it starts anew
  far.peer({"home@h", 1, false, false});
  far.peer({"home@h", 2, true, false});
  far.set(term{1}, term{1});
  CHECK(home.find("t")->options().ttl_ms == 60'000);
}

TEST_CASE("the list of a table's options has all of them") {
  // Who adds one here adds it to the list.
  auto [engine, kind, access, max_entries, max_bytes, ttl_ms, home, path,
        durable, map_bytes, check]
    = table_options{};
  int n = 0;
  each_table_option([&](auto) { ++n; });
  CHECK(n == 11);
}

TEST_CASE("options cross as a map of what is no default") {
  CHECK(to_term({}).pairs().empty());
  table_options o{table_engine::lmdb,
                  table_kind::ordered_set,
                  table_access::closed,
                  1,
                  2,
                  3,
                  "home@h",
                  "/path",
                  table_durability::always,
                  4,
                  table_check::never};
  CHECK(to_term(o).pairs().size() == 11);
  CHECK(to_table_options(to_term(o)) == o);
  auto one = [](const char* key, term x) {
    return term::map({{term::atom(key), std::move(x)}});
  };
  CHECK_THROWS_WITH(to_table_options(one("ttl_ms", term::string("x"))),
                    Catch::Contains("ttl_ms"));
  CHECK_THROWS_WITH(to_table_options(one("kind", term::atom("heap"))),
                    Catch::Contains("heap"));
  CHECK_THROWS_WITH(to_table_options(one("color", term{1})),
                    Catch::Contains("color"));
}
