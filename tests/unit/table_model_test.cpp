#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "runtime/table_memory/entry_store.hpp"
#include "runtime/table_memory/table.hpp"

// Random operations on a table and on the plainest thing that could be one: a
// list of entries that is searched from its front.

using namespace hornbeam::runtime;

namespace {

class model {
public:
  explicit model(table_kind k) : kind_(k) {}

  bool same_key(const term& a, const term& b) const {
    return a == b
           || (kind_ == table_kind::ordered_set
               && without_integral_floats(a) == without_integral_floats(b));
  }
  bool bag() const { return kind_ >= table_kind::bag; }

  std::optional<term> get(const term& key) const {
    term::sequence all;
    for (auto& [k, v] : entries)
      if (same_key(k, key))
        all.push_back(v);
    if (all.empty())
      return std::nullopt;
    return bag() ? term::list(all) : all[0];
  }
  void set(const term& key, const term& value) {
    for (auto& [k, v] : entries)
      if (same_key(k, key)
          && (!bag() || (kind_ == table_kind::bag && v == value))) {
        k = key;
        v = value;
        return;
      }
    entries.emplace_back(key, value);
  }
  std::optional<term> take(const term& key) {
    auto out = get(key);
    std::erase_if(entries, [&](auto& x) { return same_key(x.first, key); });
    return out;
  }

  term::entries entries;

private:
  const table_kind kind_;
};

term::entries sorted(term::entries xs) {
  std::sort(xs.begin(), xs.end());
  return xs;
}

struct run {
  run(table_options o, unsigned seed)
    : options(std::move(o)), random(seed), plain(options.kind) {}

  unsigned below(unsigned n) { return static_cast<unsigned>(random() % n); }
  term key() {
    switch (below(6)) {
      case 0:
        return term{static_cast<int>(below(20))};
      case 1:
        return term{static_cast<double>(below(40)) / 2};
      case 2:
        return term::tuple({term{static_cast<int>(below(3))}, term{1.0}});
      case 3:
        return term::tuple({term{static_cast<double>(below(3))}, term{1}});
      default:
        return term::string("k" + std::to_string(below(30)));
    }
  }
  term value() {
    switch (below(3)) {
      case 0:
        return term::string("some text " + std::to_string(below(5)));
      case 1:
        return term::list({term{static_cast<int>(below(5))}});
      default:
        return term{static_cast<int>(below(5))};
    }
  }

  void step() {
    auto k = key();
    auto v = value();
    switch (below(plain.bag() ? 9 : 13)) {
      case 0:
        CHECK(real.get(k) == plain.get(k));
        break;
      case 1:
        CHECK(real.contains(k) == plain.get(k).has_value());
        break;
      case 2:
      case 3:
        real.set(k, v);
        plain.set(k, v);
        break;
      case 4:
        CHECK(real.insert_new(k, v) == !plain.get(k));
        if (!plain.get(k))
          plain.set(k, v);
        break;
      case 5:
        CHECK(real.take(k) == plain.take(k));
        break;
      case 6: {
        auto n = std::erase_if(plain.entries, [&](auto& x) {
          return plain.same_key(x.first, k) && x.second == v;
        });
        CHECK(real.erase_object(k, v) == n);
        break;
      }
      case 7: {
        term::entries many;
        for (auto n = below(5); n > 0; --n)
          many.emplace_back(key(), value());
        bool free = std::none_of(many.begin(), many.end(), [&](auto& x) {
          return plain.get(x.first).has_value();
        });
        bool always = below(2) == 0;
        if (always)
          real.set_many(many);
        else
          CHECK(real.insert_new(many) == free);
        if (always || free)
          for (auto& [a, b] : many)
            plain.set(a, b);
        break;
      }
      case 8: {
        std::vector<term> keys{k, key(), key()};
        std::vector<std::optional<term>> expected;
        for (auto& x : keys)
          expected.push_back(plain.get(x));
        CHECK(real.get_many(keys) == expected);
        break;
      }
      case 9: {
        CHECK(real.swap(k, v) == plain.get(k));
        plain.set(k, v);
        break;
      }
      case 10: {
        auto found = plain.get(k);
        auto expected = below(3) == 0 ? std::optional{value()} : found;
        auto desired = below(4) == 0 ? std::nullopt : std::optional{v};
        auto result = real.compare_and_swap(k, expected, desired);
        CHECK(result.found == found);
        CHECK(result.done == (found == expected));
        if (!result.done)
          break;
        if (desired)
          plain.set(k, v);
        else
          plain.take(k);
        break;
      }
      default: {
        auto found = plain.get(k).value_or(term{0});
        if (found.is(term::kind::integer)) {
          auto sum = term{found.as_int() + 3};
          CHECK(real.update_counter(k, term{3}) == sum);
          // A counter keeps the key that is there.
          auto was = plain.entries;
          plain.set(k, sum);
          for (std::size_t i = 0; i < was.size(); ++i)
            plain.entries[i].first = was[i].first;
        } else {
          CHECK_THROWS_AS(real.update_counter(k, term{3}), bad_term);
        }
      }
    }
  }

  void compare() {
    CHECK(real.size() == plain.entries.size());
    CHECK(sorted(real.items()) == sorted(plain.entries));
    std::vector<term> expected;
    for (auto& [k, v] : plain.entries)
      if (k.is(term::kind::string) && k.text().starts_with("k1"))
        expected.push_back(k);
    std::sort(expected.begin(), expected.end());
    expected.erase(std::unique(expected.begin(), expected.end()),
                   expected.end());
    CHECK(real.keys("k1") == expected);
  }

  table_options options;
  std::mt19937 random;
  model plain;
  memory_table real{"t", options};
};

} // namespace

TEST_CASE("a table does what the plainest model of it does") {
  auto kind = GENERATE(table_kind::set, table_kind::ordered_set,
                       table_kind::bag, table_kind::duplicate_bag);
  bool bounded = GENERATE(false, true);
  auto seed = std::random_device{}();
  INFO("kind " << name_of(kind) << ", seed " << seed);
  table_options o;
  o.kind = kind;
  o.max_entries = bounded ? 1'000'000 : 0;
  run r{o, seed};
  for (int i = 0; i < 4000; ++i) {
    r.step();
    if (i % 200 == 0)
      r.compare();
  }
  r.compare();
}
