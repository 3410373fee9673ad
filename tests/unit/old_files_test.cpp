#include <catch2/catch.hpp>

#include <cstdlib>
#include <map>

#include "lmdb_fixture.hpp"
#include "runtime/table_memory/table.hpp"

// Files that programs of version 1 of each format wrote: tests/fixtures/tables.
// What is in them entry by entry is for tests/python/test_old_files.py.

using namespace hornbeam::runtime;
using hornbeam::testing::lmdb_folder;

namespace {

using kind = term::kind;

const std::map<std::string, kind> kinds{
  {"none", kind::none},
  {"true", kind::boolean},
  {"false", kind::boolean},
  {"integer", kind::integer},
  {"integer of 64 bits", kind::integer},
  {"big integer", kind::big_integer},
  {"negative big integer", kind::big_integer},
  {"float", kind::floating},
  {"infinity", kind::floating},
  {"negative zero", kind::floating},
  {"atom", kind::atom},
  {"pid", kind::pid},
  {"reference", kind::reference},
  {"alias", kind::reference},
  {"tuple", kind::tuple},
  {"map", kind::map},
  {"set", kind::set},
  {"list", kind::list},
  {"short string", kind::string},
  {"long string", kind::string},
  {"surrogate", kind::string},
  {"short bytes", kind::bytes},
  {"long bytes", kind::bytes},
  {"array", kind::array},
  {"empty array", kind::array},
  {"datetime", kind::extension},
  {"decimal", kind::extension},
  {"uuid", kind::extension},
  {"opaque", kind::extension},
};

/// A copy of a file of the fixtures.
void copy_old_file(const std::string& name, const std::string& to) {
  auto command = "gzip -dc '" HORNBEAM_FIXTURES_DIR "/tables/" + name
                 + ".gz' > '" + to + "'";
  REQUIRE(std::system(command.c_str()) == 0);
}

term text(std::string_view x) {
  return term::string(x);
}

void check_kinds(const table& t) {
  for (auto& [name, k] : kinds) {
    INFO(name);
    auto x = t.get(text(name));
    REQUIRE(x);
    CHECK(x->is(k));
  }
  CHECK(*t.get(text("integer")) == term{-42});
  CHECK(*t.get(text("float")) == term{0.1});
  CHECK(*t.get(text("atom")) == term::atom("ok"));
  auto pid = *t.get(text("pid"));
  CHECK(pid.as_pid().node->name() == "web@host");
  CHECK(pid.as_pid().node->incarnation == (std::uint64_t{1} << 63) + 1);
  CHECK(pid.as_pid().serial == 7);
  CHECK(t.get(text("alias"))->as_reference().owner == 7);
  CHECK(to_string(*t.get(text("tuple"))) == "{1, {2.5, \"x\"}, {}}");
  CHECK(t.get(text("array"))->as_array().dtype == "<f4");
  CHECK(t.get(text("array"))->as_array().data.size() == 24);
  CHECK(t.get(text("opaque"))->tag() == "shop.money");
  CHECK(*t.left_ms(text("far")) > 0);
  CHECK_FALSE(t.contains(text("short")));
}

} // namespace

TEST_CASE("each kind of value is found in an old table file") {
  lmdb_folder folder;
  auto options = folder.options();
  options.map_bytes = 4 << 20;
  SECTION("of a table that is not durable") {
    copy_old_file("kinds.lmdb", folder.file());
  }
  SECTION("of a durable one, beside its lock file of another start") {
    copy_old_file("durable.lmdb", folder.file());
    copy_old_file("durable.lmdb-gate", folder.file() + "-gate");
    options.durable = table_durability::always;
  }
  check_kinds(*folder.open(options));
}

TEST_CASE("each kind of value is found in an old snapshot") {
  lmdb_folder folder;
  auto name = GENERATE(as<std::string>{}, "set", "ordered_set", "lmdb");
  auto file = folder.file("snapshot");
  copy_old_file(name + ".snapshot", file);
  table_options options;
  if (name == "ordered_set")
    options.kind = table_kind::ordered_set;
  memory_table t{"t", options};
  t.load(file);
  check_kinds(t);
}

TEST_CASE("an old table file opens with the options that it was made with") {
  lmdb_folder folder;
  auto options = folder.options();
  options.map_bytes = 4 << 20;
  std::string name;
  std::size_t entries = 0;
  SECTION("none") {
    name = "keys";
    entries = 17;
  }
  SECTION("a time to live, for all but one entry that has ended since") {
    name = "ttl";
    options.ttl_ms = 100ll * 365 * 24 * 3600 * 1000;
    entries = 4;
  }
  SECTION("a bound of entries") {
    name = "max_entries";
    options.max_entries = 8;
    entries = 8;
  }
  SECTION("a bound of bytes") {
    name = "max_bytes";
    options.max_bytes = 1000;
    entries = 9;
  }
  copy_old_file(name + ".lmdb", folder.file());
  CHECK(folder.open(options)->items().size() == entries);
}

TEST_CASE("an old snapshot of a bag brings all values of a key back") {
  lmdb_folder folder;
  auto kind = GENERATE(table_kind::bag, table_kind::duplicate_bag);
  auto file = folder.file("snapshot");
  copy_old_file(std::string{name_of(kind)} + ".snapshot", file);
  table_options options;
  options.kind = kind;
  memory_table t{"t", options};
  t.load(file);
  CHECK(t.get(text("a"))->items().size() == (kind == table_kind::bag ? 2 : 3));
  CHECK(t.get(text("b"))->items().size() == 1);
}
