#include "table_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <unistd.h>

using namespace hornbeam::test;

namespace {

/// A file in a folder that goes with it.
struct file {
  file() { std::filesystem::create_directory(folder); }
  ~file() { std::filesystem::remove_all(folder); }
  std::string read() const {
    std::ostringstream out;
    out << std::ifstream{path, std::ios::binary}.rdbuf();
    return out.str();
  }
  void write(const std::string& x) const {
    std::ofstream{path, std::ios::binary | std::ios::trunc} << x;
  }
  std::size_t files() const {
    auto all = std::filesystem::directory_iterator{folder};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }
  std::string folder = (std::filesystem::temp_directory_path()
                        / ("hornbeam-snapshot-" + std::to_string(::getpid())))
                         .string();
  std::string path = folder + "/t.snapshot";
};

} // namespace

TEST_CASE_METHOD(table_node, "a snapshot brings everything back") {
  file f;
  auto& t = make();
  for (int i = 0; i < 3000; ++i)
    t.set(i % 2 == 0 ? term{i} : text("key " + std::to_string(i)),
          term::list({term{i}, term{1.5}, p->pid()}));
  t.set(text("short"), term{1}, 60'000);
  CHECK(t.save(f.path) == 3001);
  CHECK(f.files() == 1);
  memory_table u{"u"};
  u.set(text("old"), term{});
  CHECK(u.load(f.path) == 3001);
  CHECK_FALSE(u.contains(text("old")));
  auto left = u.left_ms(text("short"));
  CHECK(*left > 0);
  CHECK(*left <= 60'000);
  auto sorted = [](term::entries xs) {
    std::sort(xs.begin(), xs.end());
    return xs;
  };
  CHECK(sorted(u.items()) == sorted(t.items()));
  CHECK(u.keys("key 11").size() == t.keys("key 11").size());
}

TEST_CASE("a bag comes back in its order") {
  file f;
  table_options o;
  o.kind = table_kind::duplicate_bag;
  memory_table t{"t", o};
  for (int i : {3, 1, 2, 3})
    t.set(term{1}, term{i});
  t.save(f.path);
  memory_table u{"u", o};
  u.load(f.path);
  CHECK(u.get(term{1}) == t.get(term{1}));
  memory_table one{"one"};
  CHECK_THROWS_WITH(one.load(f.path), Catch::Contains("duplicate_bag"));
}

TEST_CASE("a damaged snapshot is refused by name and changes nothing") {
  file f;
  memory_table t{"t"};
  for (int i = 0; i < 20; ++i)
    t.set(text("key " + std::to_string(i)), term{i});
  t.save(f.path);
  auto good = f.read();
  memory_table u{"u"};
  u.set(text("old"), term{1});
  auto refused = [&](const std::string& bytes) {
    f.write(bytes);
    try {
      u.load(f.path);
    } catch (const failed& e) {
      return e.why.message.find(f.path) == 0 && u.size() == 1
             && u.contains(text("old"));
    }
    return false;
  };
  for (std::size_t n = 0; n < good.size(); ++n)
    REQUIRE(refused(good.substr(0, n)));
  for (std::size_t n = 0; n < good.size(); ++n) {
    auto bad = good;
    bad[n] = static_cast<char>(bad[n] ^ 0x10);
    REQUIRE(refused(bad));
  }
  CHECK(refused(good + "x"));
  f.write(good);
  CHECK(u.load(f.path) == 20);
}

TEST_CASE("a snapshot of a newer version is refused, not guessed") {
  file f;
  memory_table t{"t"};
  t.save(f.path);
  auto bytes = f.read();
  bytes[8] = 2;
  f.write(bytes);
  CHECK_THROWS_WITH(t.load(f.path),
                    Catch::Contains("version 2") && Catch::Contains(f.path));
}

TEST_CASE("a snapshot that can't be written or read names the file") {
  memory_table t{"t"};
  CHECK_THROWS_WITH(t.save("/nonexistent/x"),
                    Catch::Contains("/nonexistent/x"));
  CHECK_THROWS_WITH(t.load("/nonexistent/x"),
                    Catch::Contains("/nonexistent/x"));
}
