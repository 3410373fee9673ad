#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <map>

#include <sys/stat.h>

#include "child_process.hpp"
#include "lmdb_fixture.hpp"
#include "runtime/node/tables.hpp"
#include "runtime/table_lmdb/files.hpp"

using namespace hornbeam::runtime;
using hornbeam::testing::child_process;
using hornbeam::testing::lmdb_folder;

namespace {

/// RUNTIME_DIRECTORY is a folder of this test.
struct runtime_folder {
  explicit runtime_folder(const lmdb_folder& x)
    : before(std::getenv("RUNTIME_DIRECTORY") ? std::getenv("RUNTIME_DIRECTORY")
                                              : "") {
    auto path = std::filesystem::path{x.file()}.parent_path();
    ::setenv("RUNTIME_DIRECTORY", path.c_str(), 1);
  }
  ~runtime_folder() {
    if (before.empty())
      ::unsetenv("RUNTIME_DIRECTORY");
    else
      ::setenv("RUNTIME_DIRECTORY", before.c_str(), 1);
  }
  std::string before;
};

} // namespace

TEST_CASE("a table without a path lies in the user's folder of its cluster") {
  lmdb_folder folder;
  runtime_folder here{folder};
  auto path = default_table_file("a/b", "..x y");
  CHECK(path.starts_with(std::getenv("RUNTIME_DIRECTORY")));
  CHECK(path.ends_with("/@tables/a%2Fb/%2E.x%20y.lmdb"));
  struct stat info {};
  REQUIRE(::stat(std::filesystem::path{path}.parent_path().c_str(), &info)
          == 0);
  CHECK((info.st_mode & 0777) == 0700);

  table_options options;
  options.engine = table_engine::lmdb;
  tables all;
  all.set_cluster("a/b");
  auto t = all.open("..x y", options);
  CHECK(t->options().path == path);
  CHECK(all.open("..x y", options) == t);
  t->set(term{1}, term{2});
  t->set(term{2}, term{2});

  auto found = table_files();
  REQUIRE(found.size() == 1);
  CHECK(found[0].cluster == "a/b");
  CHECK(found[0].table == "..x y");
  CHECK(found[0].entries == 2);
  CHECK(found[0].bytes > 0);
  CHECK(found[0].in_use);
  CHECK(found[0].users == std::vector<pid_t>{::getpid()});
  CHECK(found[0].writer == 0);
}

TEST_CASE("files of any name are listed, and disturb no others") {
  lmdb_folder folder;
  runtime_folder here{folder};
  auto path = default_table_file("c", "n\nl\x1b[1m %41");
  table_options options;
  options.engine = table_engine::lmdb;
  options.path = path;
  lmdb_table{"t", options}.set(term{1}, term{2});
  auto at = std::filesystem::path{path}.parent_path();
  for (auto* name : {"%", "%4", "%zz", "%4g", "new\nline"})
    std::ofstream{at / (std::string{name} + ".lmdb")};
  std::filesystem::create_directory(at / "folder.lmdb");
  REQUIRE(::mkfifo((at / "pipe.lmdb").c_str(), 0600) == 0);
  std::filesystem::create_symlink("self.lmdb", at / "self.lmdb");
  std::map<std::string, std::string> errors;
  for (auto& x : table_files())
    errors[x.table] = x.error;
  CHECK(errors
        == std::map<std::string, std::string>{{"n\nl\x1b[1m %41", ""},
                                              {"%", "is empty"},
                                              {"%4", "is empty"},
                                              {"%zz", "is empty"},
                                              {"%4g", "is empty"},
                                              {"new\nline", "is empty"},
                                              {"folder", "is no file"},
                                              {"pipe", "is no file"}});
}

TEST_CASE("what does not look like a table's file is removed only by force") {
  lmdb_folder folder;
  std::ofstream{folder.file()} << "a letter";
  CHECK_THROWS_WITH(remove_table_file(folder.file(), false),
                    Catch::Contains(folder.file())
                      && Catch::Contains("--force"));
  CHECK(std::filesystem::exists(folder.file()));
  CHECK_FALSE(std::filesystem::exists(folder.file() + "-gate"));
  remove_table_file(folder.file(), true);
  CHECK_FALSE(std::filesystem::exists(folder.file()));
  auto sub = folder.file("sub");
  std::filesystem::create_directory(sub);
  CHECK_THROWS_WITH(remove_table_file(sub, true),
                    Catch::Contains("is a folder"));
}

TEST_CASE("a table file in use is removed only by force") {
  lmdb_folder folder;
  auto t = folder.open();
  t->set(term{1}, term{1});
  child_process other{[&] {
    try {
      remove_table_file(folder.file(), false);
      return 1;
    } catch (const failed& e) {
      auto me = std::to_string(::getppid());
      if (std::string{e.what()}.find(me) == std::string::npos)
        return 2;
    }
    remove_table_file(folder.file(), true);
    return 0;
  }};
  REQUIRE(other.wait() == 0);
  CHECK_THROWS_WITH(t->get(term{1}), Catch::Contains("removed"));
  CHECK_THROWS_WITH(t->set(term{1}, term{1}), Catch::Contains("removed"));
  t.reset();
  auto fresh = folder.open();
  CHECK(fresh->size() == 0);
  fresh.reset();
  remove_table_file(folder.file(), false);
  CHECK_FALSE(std::filesystem::exists(folder.file()));
  CHECK_THROWS_AS(remove_table_file(folder.file(), false), failed);
  CHECK_THROWS_AS(look_at_table_file(folder.file()), failed);
}
