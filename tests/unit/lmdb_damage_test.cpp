#include <catch2/catch.hpp>

#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>

#include "child_process.hpp"
#include "lmdb_fixture.hpp"
#include "runtime/table_lmdb/file_reader.hpp"
#include "runtime/table_lmdb/file_tools.hpp"

using namespace hornbeam::runtime;
using hornbeam::testing::child_process;
using hornbeam::testing::lmdb_folder;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t page = 4096;

term text(const std::string& x) {
  return term::string(x);
}

std::string read_file(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream{path, std::ios::binary}.rdbuf();
  return out.str();
}

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream out{path, std::ios::binary};
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  ::chmod(path.c_str(), 0600);
}

template <class T>
T load(const std::string& bytes, std::size_t at) {
  T out{};
  std::memcpy(&out, bytes.data() + at, sizeof out);
  return out;
}

/// Where the last commit of a file is.
std::size_t last_commit(const std::string& bytes) {
  auto number = [&](std::size_t at) {
    return load<std::uint64_t>(bytes, at + 144);
  };
  return number(page) > number(0) ? page : 0;
}
/// The page at the top of all entries.
std::size_t root_of(const std::string& bytes) {
  return load<std::uint64_t>(bytes, last_commit(bytes) + 128);
}
std::size_t pages_of(const std::string& bytes) {
  return load<std::uint64_t>(bytes, last_commit(bytes) + 136) + 1;
}
/// The page of branch `i` below the page `n`.
std::size_t child_of(const std::string& bytes, std::size_t n, std::size_t i) {
  auto place = load<std::uint16_t>(bytes, n * page + 16 + 2 * i);
  return load<std::uint64_t>(bytes, n * page + place) & 0xffffffffffff;
}
/// A page of entries in the middle.
std::size_t leaf_of(const std::string& bytes) {
  auto n = root_of(bytes);
  while (load<std::uint16_t>(bytes, n * page + 10) != 2)
    n = child_of(bytes, n, 1);
  return n;
}
void zero(std::string& bytes, std::size_t n) {
  bytes.replace(n * page, page, page, '\0');
}

/// Leaves a page with a single branch, in the middle: LMDB asserts that there
/// is none.
void one_branch(std::string& bytes) {
  auto n = child_of(bytes, root_of(bytes), 1);
  REQUIRE(load<std::uint16_t>(bytes, n * page + 10) == 1);
  bytes.replace(n * page + 12, 2, std::string{"\x12\0", 2});
}

/// Changes the file of a table that is closed.
template <class F>
void damage(const std::string& path, F f) {
  auto bytes = read_file(path);
  f(bytes);
  write_file(path, bytes);
}

/// As if the machine had started anew since.
void another_start(const std::string& path) {
  std::fstream gate{path + "-gate",
                    std::ios::binary | std::ios::in | std::ios::out};
  gate.seekp(16);
  gate << "another";
}

std::vector<std::string> set_aside(const std::string& path) {
  std::vector<std::string> out;
  for (auto& x : fs::directory_iterator{fs::path{path}.parent_path()})
    if (x.path().string().starts_with(path + ".damaged-"))
      out.push_back(x.path().string());
  return out;
}

using model = std::map<term, term>;

/// Does all that there is to tables, and leaves one of some hundred pages.
model fill(lmdb_table& t, unsigned seed, int steps = 6000) {
  std::mt19937 chance{seed};
  auto below = [&](unsigned n) { return static_cast<int>(chance() % n); };
  constexpr std::size_t sizes[]{0, 10, 100, 1000, 1500, 3000, 9000, 60'000};
  model out;
  for (int i = 0; i < steps; ++i) {
    auto n = below(2000);
    auto key = n < 100    ? text(std::string(600, 'k') + std::to_string(n))
               : n < 1000 ? text("key " + std::to_string(n))
                          : term{n};
    if (below(4) == 0) {
      t.erase(key);
      out.erase(key);
      continue;
    }
    auto size = sizes[below(i % 50 == 0 ? 8 : 5)];
    auto value = text(std::string(size, static_cast<char>('a' + below(26))));
    t.set(key, value, below(3) == 0 ? 1'000'000 : 0);
    out[key] = value;
  }
  return out;
}

table_options small(const lmdb_folder& folder,
                    table_durability durable = table_durability::process) {
  auto out = folder.options();
  out.map_bytes = 32 << 20;
  out.durable = durable;
  return out;
}

/// Long ones, so that few of them make some levels of pages.
term key(int i) {
  return text(std::string(200, 'k') + std::to_string(10'000 + i));
}

/// A table of a few levels of pages, closed.
model make_table(const lmdb_folder& folder, const table_options& options) {
  auto t = folder.open(options);
  model out;
  for (int i = 0; i < 5000; i += 100) {
    term::entries some;
    for (int k = i; k < i + 100; ++k)
      some.emplace_back(key(k), text(std::string(100, 'v')));
    t->set_many(some);
    out.insert(some.begin(), some.end());
  }
  return out;
}

} // namespace

TEST_CASE("a table is found to be whole, whatever was done to it") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  lmdb_folder folder;
  auto options = small(
    folder, GENERATE(table_durability::process, table_durability::always));
  options.map_bytes = 64 << 20;
  options.max_entries = GENERATE(0, 300);
  bool durable = options.durable == table_durability::always;
  for (unsigned i = 0; i < (durable ? 2 : 8); ++i) {
    options.check = table_check::always;
    {
      auto t = folder.open(options);
      fill(*t, seed + i, durable ? 1000 : 6000);
      if (i % 4 == 3)
        t->clear();
    }
    lmdb_file_reader file{folder.file()};
    REQUIRE(file.last());
    auto found = file.check(*file.last());
    CHECK(found.summary().empty());
    CHECK(found.is_table);
    CHECK(found.entries == folder.open(options)->size());
  }
  CHECK(set_aside(folder.file()).empty());
}

TEST_CASE("no damaged page ends the process that opens the table") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 chance{seed};
  auto below = [&](std::size_t n) { return chance() % n; };
  lmdb_folder folder;
  auto options = small(folder);
  options.map_bytes = 8 << 20;
  options.check = table_check::always;
  auto expected = fill(*folder.open(options), seed);
  auto whole = read_file(folder.file());
  auto pages = pages_of(whole);
  REQUIRE(pages > 100);
  int found = 0;
  constexpr int files = 300;
  for (int i = 0; i < files; ++i) {
    auto bytes = whole;
    auto n = below(pages);
    auto at = n * page;
    bool structure = true; // and not bytes inside of a value
    switch (i % 6) {
      case 0:
        zero(bytes, n);
        break;
      case 1:
        for (std::size_t k = 0; k < page; ++k)
          bytes[at + k] = static_cast<char>(chance());
        break;
      case 2:
        bytes.resize(at + (i % 12 == 2 ? 0 : below(page)));
        break;
      case 3: // of another place
        bytes.replace(at, page, whole, below(pages) * page, page);
        break;
      case 4:
        structure = false;
        for (auto k = below(8) + 1; k > 0; --k)
          bytes[at + below(page)] = static_cast<char>(chance());
        break;
      default: // where the numbers are that lead on
        bytes[at + below(200)] = static_cast<char>(chance());
        structure = false;
    }
    write_file(folder.file(), bytes);
    child_process reader{[&] {
      ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO); // the log
      try {
        auto t = folder.open(options);
        if (!set_aside(folder.file()).empty())
          return t->size() == 0 ? 1 : 20;
        for (auto& [key, value] : expected)
          try {
            auto now = t->get(key);
            // Nothing tells what a page inside of a large value had.
            if (structure && (!now || *now != value)
                && value.text().size() < page / 2)
              return 21;
          } catch (const std::exception&) {
          }
        try {
          t->items();
        } catch (const std::exception&) {
        }
        for (int k = 0; k < 500; ++k)
          try {
            t->set(term{k}, text(std::string(500, 'n')));
            t->erase(text("key " + std::to_string(k * 2)));
          } catch (const std::exception&) {
          }
        return 0;
      } catch (const failed&) {
        return 2; // refused
      }
    }};
    INFO("file " << i << ", page " << n << " of " << pages);
    auto code = reader.wait();
    CHECK((code == 0 || code == 1 || code == 2));
    found += code == 0 ? 0 : 1;
    for (auto& x : set_aside(folder.file()))
      fs::remove(x);
    fs::remove(folder.file());
    fs::remove(folder.file() + "-lock");
  }
  CHECK(found > files / 4); // most of the others hit free pages
}

TEST_CASE("a damaged table that is not durable is set aside and begins empty") {
  lmdb_folder folder;
  auto options = small(folder);
  options.check = table_check::always;
  make_table(folder, options);
  damage(folder.file(), [](auto& x) { zero(x, leaf_of(x)); });
  auto bytes = read_file(folder.file());
  CHECK(folder.open(options)->size() == 0);
  auto aside = set_aside(folder.file());
  REQUIRE(aside.size() == 1);
  CHECK(read_file(aside[0]) == bytes);
  folder.open(options)->set(term{1}, term{1});
  CHECK(folder.open(options)->size() == 1);
}

TEST_CASE("a damaged durable table is refused with what saves it") {
  lmdb_folder folder;
  auto options = small(folder, table_durability::always);
  make_table(folder, options);
  damage(folder.file(), [](auto& x) { zero(x, leaf_of(x)); });
  auto bytes = read_file(folder.file());
  another_start(folder.file());
  for (int i = 0; i < 3; ++i)
    CHECK_THROWS_WITH(
      folder.open(options),
      Catch::Contains("hornbeam state salvage '" + folder.file() + "'"));
  // It stays a durable one for who declares it otherwise.
  options.durable = table_durability::process;
  CHECK_THROWS_WITH(folder.open(options), Catch::Contains("damaged"));
  CHECK(read_file(folder.file()) == bytes);
  CHECK(set_aside(folder.file()).empty());
}

TEST_CASE("a table of another version of LMDB is refused and left as it is") {
  lmdb_folder folder;
  auto options = small(folder);
  make_table(folder, options);
  damage(folder.file(), [](auto& x) { x[20] = x[page + 20] = 2; });
  CHECK_THROWS_WITH(folder.open(options),
                    Catch::Contains("another version of LMDB"));
  CHECK(set_aside(folder.file()).empty());
}

TEST_CASE("a table that somebody emptied is damaged, not new") {
  lmdb_folder folder;
  auto options = small(folder, table_durability::always);
  make_table(folder, options);
  damage(folder.file(), [](auto& x) { x.clear(); });
  CHECK_THROWS_WITH(folder.open(options), Catch::Contains("is damaged"));
}

TEST_CASE("all of a table is looked at when the machine has started anew") {
  lmdb_folder folder;
  auto options = small(folder, table_durability::always);
  make_table(folder, options);
  damage(folder.file(), [](auto& x) { zero(x, leaf_of(x)); });
  auto size = [&] { return folder.open(options)->size(); };
  CHECK(size() == 5000); // nobody has looked
  SECTION("unless it is never to be") {
    options.check = table_check::never;
    another_start(folder.file());
    CHECK(size() == 5000);
  }
  SECTION("as always, if it is to be") {
    options.check = table_check::always;
    CHECK_THROWS_WITH(size(), Catch::Contains("is damaged"));
  }
  SECTION("after a crash") {
    another_start(folder.file());
    CHECK_THROWS_WITH(size(), Catch::Contains("is damaged"));
  }
  SECTION("or the file comes from elsewhere") {
    fs::remove(folder.file() + "-gate");
    CHECK_THROWS_WITH(size(), Catch::Contains("is damaged"));
  }
  SECTION("or it is shorter than it was") {
    damage(folder.file(), [](auto& x) { x.resize(pages_of(x) * page - page); });
    CHECK_THROWS_WITH(size(), Catch::Contains("is damaged"));
  }
}

TEST_CASE("what LMDB asserts is an error for who reads") {
  lmdb_folder folder;
  auto options = small(folder);
  auto all = make_table(folder, options);
  damage(folder.file(), one_branch);
  {
    auto t = folder.open(options);
    std::size_t right = 0;
    std::size_t errors = 0;
    for (auto& [key, value] : all)
      try {
        right += t->get(key) == value ? 1 : 0;
      } catch (const failed& e) {
        ++errors;
        REQUIRE_THAT(e.what(), Catch::Contains("is damaged")
                                 && Catch::Contains("hornbeam state check"));
      }
    CHECK(errors > 0);
    CHECK(right > errors);
    CHECK(right + errors == all.size());
  }
  // Now it is known, and looked at.
  CHECK(folder.open(options)->size() == 0);
  CHECK(set_aside(folder.file()).size() == 1);
}

TEST_CASE("what LMDB asserts is an error for all once somebody writes") {
  lmdb_folder folder;
  auto options = small(
    folder, GENERATE(table_durability::process, table_durability::always));
  make_table(folder, options);
  damage(folder.file(), one_branch);
  auto t = folder.open(options);
  child_process writer{[&] {
    auto mine = folder.open(options);
    int written = 0;
    int errors = 0;
    for (int i = 0; i < 5000; ++i)
      try {
        mine->set(key(i), term{1});
        written += errors == 0 ? 1 : 5000;
      } catch (const failed& e) {
        errors += std::strstr(e.what(), "damaged") != nullptr ? 1 : 0;
      }
    mine.reset();
    return written > 0 && errors > 0 && written + errors == 5000 ? 0 : 1;
  }};
  CHECK(writer.wait() == 0);
  CHECK_THROWS_WITH(t->set(term{1}, term{1}),
                    Catch::Contains("end all processes that use it"));
  CHECK_THROWS_WITH(t->get(term{1}), Catch::Contains("end all"));
  child_process late{[&] {
    try {
      folder.open(options);
      return 1;
    } catch (const failed& e) {
      return std::strstr(e.what(), "end all") != nullptr ? 0 : 2;
    }
  }};
  CHECK(late.wait() == 0);
  t.reset();
  if (options.durable == table_durability::always) {
    CHECK_THROWS_WITH(folder.open(options), Catch::Contains("salvage"));
  } else {
    CHECK(folder.open(options)->size() == 0);
    CHECK(set_aside(folder.file()).size() == 1);
  }
}

TEST_CASE("what can be read of a damaged table is saved and restored") {
  lmdb_folder folder;
  auto options = small(folder, table_durability::always);
  auto all = make_table(folder, options);
  auto saved = folder.file("saved");
  std::size_t least = all.size();
  std::uint64_t doubtful = 0;
  SECTION("one page of entries") {
    damage(folder.file(), [](auto& x) { zero(x, leaf_of(x)); });
    least -= page / 300;
  }
  SECTION("the page on top") {
    damage(folder.file(), [](auto& x) { zero(x, root_of(x)); });
    doubtful = all.size();
  }
  SECTION("one of the first two") {
    damage(folder.file(), [](auto& x) { zero(x, last_commit(x) == 0); });
  }
  SECTION("both of the first two") {
    damage(folder.file(), [](auto& x) {
      zero(x, 0);
      zero(x, 1);
    });
    doubtful = all.size();
  }
  another_start(folder.file());
  CHECK(check_table_file(folder.file()).damages > 0);
  CHECK_THROWS_WITH(dump_table_file(folder.file(), saved),
                    Catch::Contains("salvage"));
  CHECK_THROWS(folder.open(options));
  auto found = salvage_table_file(folder.file(), saved);
  CHECK(found.entries >= least);
  CHECK(found.doubtful == doubtful);
  auto done = restore_table_file(folder.file(), saved, false);
  CHECK(done.entries == found.entries);
  CHECK(set_aside(folder.file()) == std::vector<std::string>{done.set_aside});
  CHECK(check_table_file(folder.file()).summary().empty());
  auto t = folder.open(options);
  CHECK(t->size() == found.entries);
  for (auto& [key, value] : t->items())
    CHECK(all.at(key) == value);
}

TEST_CASE("a dump has all entries, and is restored only over none") {
  lmdb_folder folder;
  auto options = small(folder);
  model all;
  {
    auto t = folder.open(options);
    all = fill(*t, 1);
    t->set(text("short"), term{1}, 1);
    while (t->contains(text("short"))) {
    }
  }
  auto dump = folder.file("dump");
  CHECK(dump_table_file(folder.file(), dump).entries == all.size());
  CHECK_THROWS_WITH(restore_table_file(folder.file(), dump, false),
                    Catch::Contains("--force"));
  folder.open(options)->set(text("more"), term{1});
  CHECK(restore_table_file(folder.file(), dump, true).entries == all.size());
  auto other = folder.file("other");
  CHECK(restore_table_file(other, dump, false).entries == all.size());
  for (auto& path : {folder.file(), other}) {
    options.path = path;
    auto t = folder.open(options);
    CHECK(t->size() == all.size());
    for (auto& [key, value] : all)
      REQUIRE(*t->get(key) == value);
    CHECK(t->left_ms(all.begin()->first) <= 1'000'000);
  }
}

TEST_CASE("a table is looked at beside those who write to it") {
  lmdb_folder folder;
  auto options = small(folder);
  options.map_bytes = 64 << 20;
  auto t = folder.open(options);
  fill(*t, 1, 1000);
  child_process looker{[&] {
    // Another program: nothing of the parent's is open.
    for (int i = 0; i < 50; ++i) {
      auto found = check_table_file(folder.file());
      if (found.damages != 0 || !found.is_table || found.entries == 0) {
        std::fprintf(stderr, "%s\n", found.summary().c_str());
        return 1;
      }
    }
    auto n = dump_table_file(folder.file(), folder.file("dump")).entries;
    return n == 0 ? 2 : 0;
  }};
  for (unsigned seed = 2; ::kill(looker.id(), 0) == 0; ++seed) {
    fill(*t, seed, 500);
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(looker.id()), &info,
                 WEXITED | WNOHANG | WNOWAIT)
          == 0
        && info.si_pid != 0)
      break;
  }
  CHECK(looker.wait() == 0);
}

TEST_CASE("a file beside the table that was removed is noticed") {
  lmdb_folder folder;
  bool replaced = GENERATE(false, true);
  auto* end = replaced ? "-lock" : "-gate";
  auto t = folder.open();
  t->set(term{1}, term{1});
  auto bytes = read_file(folder.file() + end);
  fs::remove(folder.file() + end);
  if (replaced)
    write_file(folder.file() + end, bytes);
  // Who comes has another one, and would not see the others.
  child_process other{[&] {
    try {
      folder.open();
      return 1;
    } catch (const failed& e) {
      return std::strstr(e.what(), std::to_string(::getppid()).c_str()) ? 0 : 2;
    }
  }};
  CHECK(other.wait() == 0);
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::string said;
  while (said.empty() && std::chrono::steady_clock::now() < until)
    try {
      t->get(term{1});
    } catch (const failed& e) {
      said = e.what();
    }
  CHECK_THAT(said, Catch::Contains(folder.file() + end + " was removed"));
}

TEST_CASE("a table that others can write to is refused") {
  lmdb_folder folder;
  folder.open();
  auto file = folder.file() + GENERATE("", "-lock", "-gate");
  ::chmod(file.c_str(), GENERATE(0620, 0602));
  CHECK_THROWS_WITH(folder.open(), Catch::Contains("chmod go-w '" + file));
  ::chmod(file.c_str(), 0600);
  folder.open()->set(term{1}, term{1});
}

TEST_CASE("a bound that no file reaches is refused") {
  lmdb_folder folder;
  auto options = folder.options();
  options.max_bytes = options.map_bytes;
  CHECK_THROWS_WITH(folder.open(options),
                    Catch::Contains("max_bytes must be less than"));
  CHECK(mistake_in(options)->option == std::string{"max_bytes"});
}

TEST_CASE("files that systemd removes are named with what helps") {
  CHECK_THAT(removed_by_systemd("/dev/shm/hornbeam-1000/x", 1000),
             Catch::Contains("RemoveIPC")
               && Catch::Contains("loginctl enable-linger")
               && Catch::Contains("RUNTIME_DIRECTORY"));
  CHECK(removed_by_systemd("/dev/shm/hornbeam-0/x", 0).empty());
  CHECK(removed_by_systemd("/var/lib/x", 1000).empty());
}
