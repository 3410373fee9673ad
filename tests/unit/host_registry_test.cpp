#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "child_process.hpp"
#include "runtime/base/host_registry.hpp"
#include "runtime/base/runtime_directory.hpp"

using namespace hornbeam::runtime;
using hornbeam::testing::child_process;

namespace fs = std::filesystem;

namespace {

/// RUNTIME_DIRECTORY is a folder of this test.
struct fixture {
  fixture() {
    std::string pattern = "/dev/shm/hornbeam-test-XXXXXX";
    root = ::mkdtemp(pattern.data());
    set_root(root);
  }
  ~fixture() {
    if (had)
      ::setenv("RUNTIME_DIRECTORY", before.c_str(), 1);
    else
      ::unsetenv("RUNTIME_DIRECTORY");
    fs::remove_all(root);
  }
  static void set_root(const std::string& x) {
    ::setenv("RUNTIME_DIRECTORY", x.c_str(), 1);
  }
  std::string folder() const { return root + "/c"; }
  std::string file(const std::string& name) const {
    return folder() + "/" + name;
  }
  /// What is in the folder of the cluster.
  std::set<std::string> files() const {
    std::set<std::string> out;
    for (auto& x : fs::directory_iterator{folder()})
      out.insert(x.path().filename().string());
    return out;
  }
  void put(const std::string& name, const std::string& text) const {
    fs::create_directories(folder());
    std::ofstream{file(name)} << text;
  }
  static std::vector<std::string> names(const host_registry& x) {
    std::vector<std::string> out;
    for (auto& e : x.all())
      out.push_back(e.name);
    return out;
  }

  bool had = std::getenv("RUNTIME_DIRECTORY") != nullptr;
  std::string before = had ? std::getenv("RUNTIME_DIRECTORY") : "";
  std::string root;
};

using strings = std::vector<std::string>;
using set = std::set<std::string>;

/// A process that has published `name`, until it is told to end.
class other_process {
public:
  other_process(const std::string& name, const std::string& address) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    REQUIRE(::pipe(go_on_) == 0);
    child_ = std::make_unique<child_process>([&, this] {
      ::close(go_on_[1]);
      auto x = std::make_unique<host_registry>("c");
      x->claim(name);
      x->publish(address);
      char c = 0;
      if (::write(ready[1], "x", 1) != 1)
        return 1;
      if (::read(go_on_[0], &c, 1) == 1)
        x.reset(); // an end as it should be
      return 0;
    });
    ::close(ready[1]);
    char c = 0;
    REQUIRE(::read(ready[0], &c, 1) == 1);
    ::close(ready[0]);
  }
  ~other_process() {
    ::close(go_on_[0]);
    ::close(go_on_[1]);
  }
  pid_t id() const { return child_->id(); }
  void end() {
    REQUIRE(::write(go_on_[1], "x", 1) == 1);
    CHECK(child_->wait() == 0);
  }
  void kill() {
    child_->send(SIGKILL);
    child_->wait();
  }
  /// It ends in a moment.
  void end_soon() { REQUIRE(::write(go_on_[1], "x", 1) == 1); }

private:
  int go_on_[2];
  std::unique_ptr<child_process> child_;
};

} // namespace

TEST_CASE_METHOD(fixture, "what is published is found until it is withdrawn") {
  host_registry reader{"c"};
  host_registry x{"c"};
  CHECK(reader.all().empty());
  CHECK_FALSE(fs::exists(folder())); // who only looks makes nothing
  x.claim("a@h");
  CHECK_FALSE(reader.find("a@h"));
  CHECK(reader.all().empty());
  x.publish("127.0.0.1:4711");
  CHECK(reader.find("a@h") == "127.0.0.1:4711");
  REQUIRE(reader.all().size() == 1);
  CHECK(reader.all()[0].name == "a@h");
  CHECK(reader.all()[0].address == "127.0.0.1:4711");
  CHECK(reader.all()[0].process == ::getpid());
  CHECK(files() == set{"a@h"});
  x.publish("h:1");
  CHECK(reader.find("a@h") == "h:1");
  x.withdraw();
  CHECK_FALSE(reader.find("a@h"));
  CHECK(files().empty());
}

TEST_CASE_METHOD(fixture, "a container that sees the folder finds another "
                          "address than this host") {
  host_registry x{"c"};
  x.claim("a@h");
  x.publish("127.0.0.1:1", "box:1");
  CHECK(x.find("a@h") == "127.0.0.1:1");
  auto pid = std::to_string(::getpid());
  put("a@h", pid + " 127.0.0.1:1 box:1 another-computer\n");
  CHECK(x.find("a@h") == "box:1");
  CHECK(x.all().at(0).address == "box:1");
  for (auto* odd : {" h:1 h:2\n", " h:1  h:2 c\n", " h:1 h:2 c d\n", " \n"}) {
    put("a@h", pid + odd);
    CHECK_FALSE(x.find("a@h"));
  }
}

TEST_CASE_METHOD(fixture, "an entry goes with its object") {
  {
    host_registry x{"c"};
    x.claim("a@h");
  }
  CHECK(files().empty());
}

TEST_CASE_METHOD(fixture,
                 "a process that was killed is not found, and its entry "
                 "is removed by whoever looks") {
  other_process one{"a@h", "h:1"};
  other_process two{"b@h", "h:2"};
  host_registry x{"c"};
  CHECK(names(x) == strings{"a@h", "b@h"});
  one.kill();
  CHECK(files() == set{"a@h", "b@h"});
  CHECK(names(x) == strings{"b@h"});
  CHECK(files() == set{"b@h"});
  two.kill();
  CHECK_FALSE(x.find("b@h"));
  CHECK(files().empty());
}

TEST_CASE_METHOD(fixture, "the number of a process that lives makes no entry "
                          "alive") {
  put("a@h", std::to_string(::getpid()) + " h:1\n");
  host_registry x{"c"};
  CHECK(x.all().empty());
  CHECK(files().empty());
}

TEST_CASE_METHOD(fixture, "a second node of a name is refused with the process "
                          "of the first") {
  other_process first{"a@h", "h:1"};
  host_registry x{"c"};
  CHECK_THROWS_WITH(x.claim("a@h"),
                    "a node named a@h runs on this host already: pid "
                      + std::to_string(first.id()));
  CHECK(files() == set{"a@h"});
  CHECK(x.find("a@h") == "h:1");
  x.claim("b@h"); // another one is free
}

TEST_CASE_METHOD(fixture, "a name may be tried without waiting") {
  host_registry x{"c"};
  CHECK_FALSE(x.holds("web-1@h"));
  CHECK(x.try_claim("web-1@h"));
  CHECK(x.holds("web-1@h"));
  CHECK_FALSE(x.holds("b-1@h"));
  other_process other{"web-2@h", "127.0.0.1:1"};
  auto began = std::chrono::steady_clock::now();
  CHECK_FALSE(x.try_claim("web-2@h"));
  CHECK(std::chrono::steady_clock::now() - began
        < std::chrono::milliseconds(400));
  CHECK_FALSE(x.holds("web-1@h")); // one name at a time
  other.kill();
  CHECK(x.try_claim("web-2@h"));
}

TEST_CASE_METHOD(fixture, "a name of a process that ends is waited for") {
  other_process first{"a@h", "h:1"};
  host_registry x{"c"};
  first.end_soon();
  x.claim("a@h");
  x.publish("h:2");
  CHECK(x.find("a@h") == "h:2");
  CHECK(files() == set{"a@h"});
}

TEST_CASE_METHOD(fixture, "the name of a process that was killed is free at "
                          "once") {
  other_process first{"a@h", "h:1"};
  first.kill();
  host_registry x{"c"};
  auto before = std::chrono::steady_clock::now();
  x.claim("a@h");
  CHECK(std::chrono::steady_clock::now() - before
        < std::chrono::milliseconds(300));
  x.withdraw();
}

TEST_CASE_METHOD(fixture, "of many that want a name one has it") {
  std::atomic<int> have{0};
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<host_registry>> all;
  for (int i = 0; i < 8; ++i)
    all.push_back(std::make_unique<host_registry>("c"));
  put("a@h", "1 h:1\n"); // and all find a dead one there
  for (auto& x : all)
    threads.emplace_back([&have, &x] {
      try {
        x->claim("a@h");
        ++have;
      } catch (const std::runtime_error&) {
      }
    });
  for (auto& t : threads)
    t.join();
  CHECK(have == 1);
  CHECK(files() == set{"a@h"});
}

TEST_CASE_METHOD(fixture, "names come and go among processes that look") {
  std::atomic<bool> end{false};
  std::thread looks{[&] {
    host_registry x{"c"};
    while (!end)
      for (auto& e : x.all())
        if (e.address != "h:1")
          end = true;
  }};
  host_registry x{"c"};
  for (int i = 0; i < 2000; ++i) {
    x.claim("a@h");
    x.publish("h:1");
    if (x.find("a@h") != "h:1")
      FAIL("not found in round " << i);
    x.withdraw();
  }
  CHECK_FALSE(end);
  end = true;
  looks.join();
  CHECK(files().empty());
}

TEST_CASE_METHOD(fixture, "a forked child neither holds a name nor removes it",
                 "[forks]") {
  auto x = std::make_unique<host_registry>("c");
  x->claim("a@h");
  x->publish("h:1");
  int go_on[2];
  REQUIRE(::pipe(go_on) == 0);
  child_process ends{[&] {
    x.reset(); // as at the end of a program
    return 0;
  }};
  CHECK(ends.wait() == 0);
  CHECK(host_registry{"c"}.find("a@h") == "h:1");
  child_process stays{[&] {
    x->disown();
    ::close(go_on[1]);
    char c = 0;
    return static_cast<int>(::read(go_on[0], &c, 1));
  }};
  ::close(go_on[0]);
  x.reset();
  CHECK(files().empty());
  host_registry next{"c"};
  next.claim("a@h");
  ::close(go_on[1]);
  CHECK(stays.wait() == 0);
}

TEST_CASE_METHOD(fixture, "what is no entry is in nobody's way and stays") {
  put("empty@h", "");
  put("text@h", "these are notes, not an entry\n");
  put("long@h", "1 " + std::string(5000, 'x') + "\n");
  put("bytes@h", std::string("\0\xff\x01\n", 4));
  put("~notes", "1 h:1");
  fs::create_directories(file("folder@h"));
  fs::create_symlink("/etc/passwd", file("link@h"));
  REQUIRE(::mkfifo(file("pipe@h").c_str(), 0600) == 0);
  auto all = files();
  host_registry x{"c"};
  x.claim("a@h");
  x.publish("h:1");
  CHECK(names(x) == strings{"a@h"});
  for (auto& name : all)
    CHECK_FALSE(x.find(name));
  x.withdraw();
  CHECK(files() == all);
}

TEST_CASE_METHOD(fixture,
                 "what is no entry gives way to the node of its name") {
  put("empty@h", "");
  put("text@h", "notes\n");
  fs::create_directories(file("folder@h"));
  fs::create_symlink("/etc/passwd", file("link@h"));
  REQUIRE(::mkfifo(file("pipe@h").c_str(), 0600) == 0);
  for (auto& name : files()) {
    host_registry x{"c"};
    x.claim(name);
    x.publish("h:1");
    CHECK(x.find(name) == "h:1");
  }
  CHECK(files().empty());
  fs::create_directories(file("full@h/x"));
  CHECK_THROWS_WITH(host_registry{"c"}.claim("full@h"),
                    Catch::Contains(file("full@h"))
                      && Catch::Contains("Directory not empty"));
}

TEST_CASE_METHOD(fixture, "what a process left that was killed as it made its "
                          "entry is removed") {
  put("~0123456789abcdef", "4711\n");
  put("~0123456789abcde0", "");
  host_registry x{"c"};
  CHECK(x.all().empty());
  CHECK(files().empty());
}

TEST_CASE_METHOD(fixture,
                 "5,000 dead entries hold up nobody, and are gone after "
                 "a few looks") {
  for (int i = 0; i < 5000; ++i)
    put("hornbeam-" + std::to_string(i) + "@127.0.0.1", "4711 127.0.0.1:1\n");
  host_registry x{"c"};
  auto before = std::chrono::steady_clock::now();
  CHECK(x.all().empty());
  // A bound for a busy machine; a quiet one takes 20 ms.
  CHECK(std::chrono::steady_clock::now() - before
        < std::chrono::milliseconds(200));
  for (int i = 1; i < 10; ++i)
    x.all();
  CHECK(files().empty());
}

TEST_CASE_METHOD(fixture, "without a folder only who joins others fails, with "
                          "the system's reason") {
  set_root(root + "/none");
  host_registry x{"c"};
  CHECK_FALSE(x.find("a@h"));
  CHECK(x.all().empty());
  CHECK_THROWS_WITH(x.claim("a@h"), "can't make the folder " + root
                                      + "/none/c: No such file or directory");
  put("file", "");
  set_root(file("file"));
  CHECK_FALSE(x.find("a@h"));
  CHECK_THROWS_WITH(x.all(), Catch::Contains(file("file") + "/c")
                               && Catch::Contains("Not a directory"));
  CHECK_THROWS_WITH(x.claim("a@h"), Catch::Contains("Not a directory"));
}

TEST_CASE_METHOD(fixture, "of several runtime directories the first is used") {
  set_root(root + ":/none:/nowhere");
  CHECK(runtime_directory() == root);
  host_registry x{"c"};
  x.claim("a@h");
  CHECK(files() == set{"a@h"});
  set_root(":" + root);
  CHECK(runtime_directory() == root);
}

TEST_CASE_METHOD(fixture, "a folder that is another user's is refused") {
  fs::create_directories(folder());
  if (::chown(folder().c_str(), 1, 1) != 0)
    return; // only root can give one away
  host_registry x{"c"};
  CHECK_THROWS_WITH(x.all(), Catch::Contains("belongs to another user"));
  CHECK_THROWS_WITH(x.claim("a@h"), Catch::Contains("belongs to another user"));
  CHECK_FALSE(x.find("a@h"));
}

TEST_CASE_METHOD(fixture, "a file that is another user's is in nobody's way") {
  put("a@h", "1 h:1\n");
  if (::chown(file("a@h").c_str(), 1, 1) != 0)
    return; // only root can give one away
  host_registry x{"c"};
  CHECK(x.all().empty());
  CHECK(files() == set{"a@h"});
  x.claim("a@h");
  x.publish("h:2");
  CHECK(x.find("a@h") == "h:2");
}
