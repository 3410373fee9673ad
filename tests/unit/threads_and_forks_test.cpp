#include <catch2/catch.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "actors/services.hpp"
#include "lmdb_fixture.hpp"

using namespace hornbeam;
using namespace hornbeam::runtime;
using hornbeam::testing::lmdb_folder;

namespace {

using dice = std::mt19937;

std::string pick(dice& d, const char* what, unsigned n) {
  return what + std::to_string(d() % n);
}

/// Threads that do what `work` says, each its own, on one node.
void storm(std::chrono::milliseconds length) {
  lmdb_folder folder;
  auto here = std::filesystem::path{folder.file()}.parent_path();
  ::setenv("RUNTIME_DIRECTORY", here.c_str(), 1);
  node_settings settings;
  settings.name = "storm@127.0.0.1";
  auto app = actors::services::start(settings);
  auto open_shared = [&](dice& d) {
    auto name = pick(d, "shared", 20);
    auto options = folder.options(name);
    options.map_bytes = 4 << 20;
    auto t = app->table(name, options);
    t->set(term::string("k"), term{1});
    return t->contains(term::string("k"));
  };
  auto open_memory = [&](dice& d) {
    auto t = app->table(pick(d, "memory", 20));
    return t->update_counter(term{1}, term{1}).as_int() > 0;
  };
  auto expire = [&](dice& d) {
    auto t = app->table(pick(d, "memory", 20));
    t->set(term{2}, term{2}, 1 + static_cast<std::int64_t>(d() % 5));
    return true;
  };
  auto register_one = [&](dice& d) {
    auto name = pick(d, "f", 10);
    app->functions.add(name, actors::make_function(
                               [](const auto&) -> outcome { return term{7}; }));
    actors::invocation x;
    x.target = name;
    x.until = deadline::in(30'000);
    auto slot = std::make_shared<reply_slot>();
    app->functions.invoke(x, responder{slot});
    return slot->wait_until(x.until.at) && *slot->take() == term{7};
  };
  auto ask = [&](dice&) { return app->status().pairs().size() > 5; };
  auto fork_one = [&](dice&) {
    auto child = ::fork();
    if (child == 0)
      ::_exit(0);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status == 0;
  };
  std::vector<std::function<bool(dice&)>> work{
    open_shared, open_shared,  open_shared,  open_memory,
    open_memory, open_memory,  open_memory,  expire,
    expire,      register_one, register_one, register_one,
    ask,         ask,          fork_one,     fork_one};
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::vector<int> wrong(work.size());
  auto ends = std::chrono::steady_clock::now() + length;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < work.size(); ++i)
    threads.emplace_back([&, i] {
      dice d{seed + i};
      while (std::chrono::steady_clock::now() < ends)
        if (!work[i](d))
          ++wrong[i];
    });
  for (auto& t : threads)
    t.join();
  CHECK(wrong == std::vector<int>(work.size()));
  app->stop();
}

} // namespace

TEST_CASE("sixteen threads that use a node while it forks find nothing wrong",
          "[forks]") {
  storm(std::chrono::seconds(2));
}

TEST_CASE("sixteen threads that use a node for a minute find nothing wrong",
          "[.][long][forks]") {
  storm(std::chrono::minutes(1));
}
