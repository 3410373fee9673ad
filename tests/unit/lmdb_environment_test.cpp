#include <catch2/catch.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "child_process.hpp"
#include "lmdb_fixture.hpp"

using namespace hornbeam::runtime;
using hornbeam::testing::child_process;
using hornbeam::testing::lmdb_folder;

namespace {

term text(const std::string& x) {
  return term::string(x);
}

/// Numbers that a child and its parent both see.
struct shared_numbers {
  std::atomic<std::uint64_t>* at = static_cast<std::atomic<std::uint64_t>*>(
    ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
           -1, 0));
  ~shared_numbers() { ::munmap(at, 4096); }
};

/// Another file system for as long as it lives.
struct bounded_files {
  explicit bounded_files(lmdb_reserve_function f) { set_lmdb_reserve(f); }
  ~bounded_files() { set_lmdb_reserve(nullptr); }
};

template <class F>
void eventually(F f) {
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!f()) {
    REQUIRE(std::chrono::steady_clock::now() < until);
    std::this_thread::yield();
  }
}

} // namespace

TEST_CASE("two processes see what the other writes to an lmdb table") {
  lmdb_folder folder;
  auto t = folder.open();
  t->set(text("from parent"), term{1});
  child_process child{[&] {
    auto mine = folder.open();
    mine->set(text("from child"), *mine->get(text("from parent")));
    return 7;
  }};
  CHECK(child.wait() == 7);
  CHECK(*t->get(text("from child")) == term{1});
}

TEST_CASE("a forked child goes on with the lmdb table of its parent") {
  lmdb_folder folder;
  auto t = folder.open();
  t->update_counter(text("n"), term{1});
  child_process child{[&] {
    for (int i = 0; i < 1000; ++i)
      t->update_counter(text("n"), term{1});
    child_process grandchild{[&] {
      t->update_counter(text("n"), term{1});
      return 0;
    }};
    return grandchild.wait();
  }};
  for (int i = 0; i < 1000; ++i)
    t->update_counter(text("n"), term{1});
  CHECK(child.wait() == 0);
  CHECK(*t->get(text("n")) == term{2002});
}

TEST_CASE("two tables of one process with one file are one") {
  lmdb_folder folder;
  auto a = folder.open();
  auto b = folder.open();
  a->set(text("k"), term{1});
  CHECK(*b->get(text("k")) == term{1});
  a.reset();
  b->set(text("k"), term{2});
  CHECK(*folder.open()->get(text("k")) == term{2});
}

TEST_CASE("who opens an lmdb table with other settings is told which") {
  lmdb_folder folder;
  auto t = folder.open();
  auto other = folder.options();
  other.max_entries = 5;
  other.ttl_ms = 100;
  CHECK_THROWS_WITH(folder.open(other), Catch::Contains("settings"));
  child_process child{[&] {
    try {
      folder.open(other);
    } catch (const failed& e) {
      std::string what = e.what();
      return what.find("max_entries (0 there, 5 here)") != std::string::npos
                 && what.find("ttl_ms (0 there, 100 here)") != std::string::npos
                 && what.find("map_bytes") == std::string::npos
               ? 0
               : 1;
    }
    return 2;
  }};
  CHECK(child.wait() == 0);
  // Who is alone may change them.
  t.reset();
  CHECK(folder.open(other)->size() == 0);
}

TEST_CASE("a full lmdb file is a clear error, and the table goes on") {
  lmdb_folder folder;
  auto options = folder.options();
  options.map_bytes = 4 << 20;
  auto t = folder.open(options);
  std::string error;
  int n = 0;
  try {
    for (;; ++n)
      t->set(term{n}, text(std::string(1000, 'x')));
  } catch (const failed& e) {
    error = e.what();
  }
  CHECK_THAT(error, Catch::Contains("map_bytes"));
  CHECK(n > 100);
  CHECK(static_cast<int>(t->size()) == n);
  CHECK(t->get(term{n - 1}));
  for (int i = 0; i < n / 2; ++i)
    t->erase(term{i});
  for (int i = 0; i < n / 4; ++i)
    t->set(term{i}, text(std::string(1000, 'y')));
  CHECK(t->get(term{n / 4 - 1})->text()[0] == 'y');
  t->clear();
  CHECK(t->size() == 0);
}

TEST_CASE("a full file system is a clear error, and the table goes on") {
  lmdb_folder folder;
  auto t = folder.open();
  t->set(text("k"), term{1});
  static std::atomic<bool> full{true};
  set_lmdb_reserve(
    [](int, std::uint64_t, std::uint64_t) { return full ? ENOSPC : 0; });
  std::string error;
  try {
    for (int i = 0;; ++i)
      t->set(term{i}, text(std::string(100'000, 'x')));
  } catch (const failed& e) {
    CHECK(e.why.code == error_code::overloaded);
    error = e.what();
  }
  CHECK_THAT(error, Catch::Contains("file system is full"));
  CHECK(*t->get(text("k")) == term{1});
  full = false;
  set_lmdb_reserve(nullptr);
  t->set(text("more"), text(std::string(1'000'000, 'x')));
  CHECK(t->get(text("more"))->text().size() == 1'000'000);
}

TEST_CASE("on a full file system nothing is written that was not reserved") {
  // One that has so much for a file, and a reader who is always in the way.
  static constexpr std::uint64_t most = 4 << 20;
  bounded_files here{[](int, std::uint64_t from, std::uint64_t bytes) {
    return from + bytes > most ? ENOSPC : 0;
  }};
  lmdb_folder folder;
  auto t = folder.open();
  std::atomic<bool> reading{true};
  std::thread reader{[&] {
    while (reading)
      t->size();
  }};
  std::mt19937 chance{GENERATE(1u, 2u, 3u)};
  auto below = [&](unsigned n) { return static_cast<int>(chance() % n); };
  int full = 0;
  int not_erased = 0;
  std::int64_t bytes = 0;
  auto erase = [&](const term& key) {
    try {
      t->erase(key);
    } catch (const failed&) {
      ++not_erased;
    }
  };
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 300; ++i) {
      constexpr std::size_t sizes[]{1, 100, 1000, 3000, 10'000, 70'000};
      term key{below(500)};
      try {
        t->set(key, text(std::string(sizes[below(6)], 'x')));
      } catch (const failed& e) {
        CHECK_THAT(e.what(), Catch::Contains("file system is full")
                               && Catch::Contains(folder.file()));
        ++full;
        erase(key);
      }
      bytes = std::max(bytes,
                       t->info().find(term::atom("file_bytes"))->as_int());
    }
    if (round % 4 == 3)
      for (int i = 0; i < 500; ++i)
        erase(term{i});
    if (round % 8 == 7) {
      t->erase(term{0});
      t->update_counter(text("small"), term{1});
    }
  }
  reading = false;
  reader.join();
  CHECK(full > 0);
  CHECK(not_erased == 0);
  CHECK(bytes <= static_cast<std::int64_t>(most));
  CHECK(*t->get(text("small")) == term{2});
  // Who opens it anew finds room for a little as well.
  t.reset();
  t = folder.open();
  for (int i = 0; i < 500; ++i)
    erase(term{i});
  t->set(text("large"), text(std::string(10'000, 'x')));
  CHECK(not_erased == 0);
}

TEST_CASE("a table file that was replaced is an error, not a second truth") {
  lmdb_folder folder;
  auto t = folder.open();
  t->set(text("k"), term{1});
  SECTION("by another file") {
    std::filesystem::rename(folder.file(), folder.file() + ".away");
    std::ofstream{folder.file()} << "x";
  }
  SECTION("by nothing") {
    std::filesystem::remove(folder.file());
  }
  eventually([&] {
    try {
      t->update_counter(text("k"), term{1});
      return false;
    } catch (const failed& e) {
      CHECK_THAT(e.what(), Catch::Contains(folder.file()));
      return true;
    }
  });
  CHECK_THROWS_AS(t->get(text("k")), failed);
}

TEST_CASE("a table file of a newer version is refused") {
  lmdb_folder folder;
  folder.open();
  // As a newer program would have written it.
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  REQUIRE(mdb_env_create(&env) == 0);
  REQUIRE(mdb_env_set_maxdbs(env, 1) == 0);
  REQUIRE(mdb_env_open(env, folder.file().c_str(), MDB_NOSUBDIR, 0600) == 0);
  REQUIRE(mdb_txn_begin(env, nullptr, 0, &txn) == 0);
  REQUIRE(mdb_dbi_open(txn, nullptr, 0, &dbi) == 0);
  std::string name = "\1header";
  MDB_val key{name.size(), name.data()};
  MDB_val value{};
  REQUIRE(mdb_get(txn, dbi, &key, &value) == 0);
  std::string header{static_cast<char*>(value.mv_data), value.mv_size};
  header[8] = 9;
  value.mv_data = header.data();
  REQUIRE(mdb_put(txn, dbi, &key, &value, 0) == 0);
  REQUIRE(mdb_txn_commit(txn) == 0);
  mdb_env_close(env);
  CHECK_THROWS_WITH(folder.open(), Catch::Contains("version 9")
                                     && Catch::Contains(folder.file()));
}

TEST_CASE("only a durable table is there after the machine has started anew") {
  lmdb_folder folder;
  auto options = folder.options();
  auto durable = GENERATE(table_durability::process, table_durability::always);
  options.durable = durable;
  folder.open(options)->set(text("k"), term{1});
  {
    std::fstream gate{folder.file() + "-gate",
                      std::ios::binary | std::ios::in | std::ios::out};
    gate.seekp(16); // which start of the machine it was written in
    gate << "another";
  }
  // What counts is what the file was written with.
  options.durable = table_durability::always;
  CHECK(folder.open(options)->size()
        == (durable == table_durability::always ? 1 : 0));
}

TEST_CASE("a path that is no file is refused, and nothing is left beside it") {
  lmdb_folder folder;
  auto options = folder.options();
  auto path = folder.file();
  SECTION("but a folder") {
    std::filesystem::create_directory(path);
    CHECK_THROWS_WITH(folder.open(),
                      Catch::Contains(path + " can't be a folder"));
  }
  SECTION("but a pipe") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK_THROWS_WITH(folder.open(),
                      Catch::Contains(path + " can't be anything but a file"));
  }
  SECTION("since it has a zero byte") {
    options.path = path + std::string{"\0x", 2};
    CHECK_THROWS_WITH(folder.open(options),
                      Catch::Contains("zero byte behind '" + path + "'"));
  }
  CHECK_FALSE(std::filesystem::exists(path + "-gate"));
}

TEST_CASE("a map_bytes that no file can have is refused by name") {
  lmdb_folder folder;
  auto options = folder.options();
  options.map_bytes = GENERATE(1ull, (1ull << 20) - 1, (1ull << 46) + 1, ~0ull);
  CHECK_THROWS_WITH(
    folder.open(options),
    Catch::Contains("'t'")
      && Catch::Contains("map_bytes is between 1048576 and 70368744177664, not "
                         + std::to_string(options.map_bytes)));
}

TEST_CASE("a file that is no table is refused and left as it is") {
  lmdb_folder folder;
  std::ofstream{folder.file()} << std::string(10'000, 'x');
  CHECK_THROWS_WITH(folder.open(), Catch::Contains(folder.file()));
  CHECK(std::ifstream{folder.file()}.get() == 'x');
}

TEST_CASE("a reader that stands still does not make the file grow for ever") {
  lmdb_folder folder;
  auto options = folder.options();
  auto t = folder.open(options);
  t->set(text("n"), term{0});
  shared_numbers shared;
  child_process reader{[&] {
    auto mine = folder.open(options);
    mine->get(text("n"));
    auto env = lmdb_environment::open(options.path, lmdb_settings_of(options));
    lmdb_snapshot s{*env};
    shared.at[0] = 1;
    for (;;)
      ::pause();
    return 0;
  }};
  eventually([&] { return shared.at[0] == 1; });
  auto size = [&] {
    return t->info().find(term::atom("file_bytes"))->as_int();
  };
  for (int i = 0; i < 2000; ++i)
    t->update_counter(text("n"), term{1});
  CHECK(size() < 30 << 20);
  auto before = size();
  reader.send(SIGKILL);
  reader.wait();
  for (int i = 0; i < 50'000; ++i)
    t->update_counter(text("n"), term{1});
  CHECK(size() < before + (2 << 20));
  CHECK(*t->get(text("n")) == term{52'000});
}

TEST_CASE("a writer that is stopped is named to those who wait") {
  lmdb_folder folder;
  auto t = folder.open();
  shared_numbers shared;
  child_process writer{[&] {
    auto mine = folder.open();
    auto env = lmdb_environment::open(folder.file(),
                                      lmdb_settings_of(folder.options()));
    lmdb_transaction x{*env};
    shared.at[0] = 1;
    ::raise(SIGSTOP);
    return 0;
  }};
  eventually([&] { return shared.at[0] == 1; });
  CHECK(t->info().find(term::atom("writer"))->as_int() == writer.id());
  CHECK_FALSE(t->get(text("k"))); // readers don't wait
  child_process waiting{[&] {
    ::close(2);
    auto file = folder.file("err");
    if (::open(file.c_str(), O_CREAT | O_WRONLY, 0600) != 2)
      return 1;
    t->set(text("k"), term{1});
    return 0;
  }};
  auto said = [&] {
    std::string line;
    std::getline(std::ifstream{folder.file("err")}, line);
    return line;
  };
  eventually([&] { return !said().empty(); });
  CHECK_THAT(said(), Catch::Contains(std::to_string(writer.id())));
  writer.send(SIGCONT);
  CHECK(waiting.wait() == 0);
  CHECK(*t->get(text("k")) == term{1});
}

TEST_CASE("threads that open one file at once get one environment") {
  lmdb_folder folder;
  constexpr int rounds = 20;
  for (int i = 0; i < rounds; ++i) {
    std::vector<lmdb_environment_ptr> found(4);
    std::vector<std::thread> threads;
    for (auto& x : found)
      threads.emplace_back([&] {
        x = lmdb_environment::open(folder.file(),
                                   lmdb_settings_of(folder.options()));
      });
    for (auto& t : threads)
      t.join();
    CHECK(std::all_of(found.begin(), found.end(),
                      [&](auto& x) { return x == found[0]; }));
    // The last one closes it, and the next round opens it again.
    threads.clear();
    for (auto& x : found)
      threads.emplace_back([&] { x = nullptr; });
    for (auto& t : threads)
      t.join();
  }
}

TEST_CASE("a file that could not be opened can be, once the reason is gone") {
  lmdb_folder folder;
  std::ofstream{folder.file()} << std::string(10'000, 'x');
  CHECK_THROWS(folder.open());
  std::filesystem::remove(folder.file());
  folder.open()->set(text("k"), term{1});
  CHECK(folder.open()->size() == 1);
}

TEST_CASE("a forked child holds no lock of a file that its parent opened") {
  lmdb_folder folder;
  auto t = folder.open();
  shared_numbers shared;
  child_process child{[&] {
    shared.at[0] = 1;
    for (;;)
      ::pause();
    return 0;
  }};
  eventually([&] { return shared.at[0] == 1; });
  t = nullptr;
  CHECK(lmdb_lock_file{folder.file()}.alone());
}
