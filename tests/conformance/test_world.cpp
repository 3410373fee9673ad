#include "test_world.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <unistd.h>

namespace hornbeam::conformance {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const fs::path& folder() {
  static const fs::path path
    = fs::temp_directory_path()
      / ("hornbeam-conformance-" + std::to_string(::getpid()));
  return path;
}

/// Waits for what another thread brings about.
template <class Test>
void wait_until(Test test, const char* what) {
  for (auto end = std::chrono::steady_clock::now() + 10s; !test();
       std::this_thread::sleep_for(1ms))
    if (std::chrono::steady_clock::now() > end)
      throw script_error(std::string{"waited in vain: "} + what);
}

} // namespace

void use_own_folder() {
  fs::create_directories(folder());
  fs::permissions(folder(), fs::perms::owner_all);
  ::setenv("RUNTIME_DIRECTORY", folder().c_str(), 1);
  std::atexit([] {
    std::error_code ignored;
    fs::remove_all(folder(), ignored);
  });
}

test_world::test_world() {
  main_ = start("main");
}

test_world::node_ptr test_world::start(const std::string& label) {
  static std::atomic<int> number{0};
  runtime::node_settings s;
  s.name = label + std::to_string(++number) + "@127.0.0.1";
  s.listen = true;
  s.secret = folder() / "secret.pem";
  s.workers = 4; // a scenario's busy process must not starve the others
  auto x = runtime::node::start(s);
  x->start_networking();
  std::lock_guard guard{mutex_};
  labels_[s.name] = label;
  own_processes_[s.name] = x->processes().all();
  return x;
}

test_world::node_ptr test_world::find(const std::string& name) const {
  std::lock_guard guard{mutex_};
  if (main_ && name == main_->name())
    return main_;
  auto i = others_.find(name);
  return i == others_.end() ? nullptr : i->second;
}

std::string test_world::start_node(const std::string& label) {
  auto x = start(label);
  auto name = x->name();
  {
    std::lock_guard guard{mutex_};
    others_[name] = x;
  }
  main_->connect(name, runtime::deadline::in(10000),
                 runtime::responder{[](runtime::outcome) {}});
  wait_until(
    [&] { return main_->connected(name) && x->connected(main_->name()); },
    "two nodes to connect");
  return name;
}

void test_world::disconnect_node(const std::string& name) {
  main_->disconnect(name);
  wait_until([&] { return !main_->connected(name); }, "two nodes to part");
}

void test_world::stop_node(const std::string& name) {
  auto x = find(name);
  disconnect_node(name);
  {
    std::lock_guard guard{mutex_};
    others_.erase(name);
  }
  if (auto left = end(*x); !left.empty())
    fail(left);
}

/// Ends the scenario's processes, then the node.
std::string test_world::end(runtime::node& x) {
  auto& own = own_processes_[x.name()];
  auto& all = x.processes();
  auto left = [&] {
    std::vector<term> out;
    for (auto& pid : all.all())
      if (std::find(own.begin(), own.end(), pid) == own.end())
        out.push_back(pid);
    return out;
  };
  std::string problem;
  try {
    wait_until(
      [&] {
        for (auto& pid : left())
          all.exit(pid, atom("kill"));
        return left().empty() && all.abandoned().empty();
      },
      "processes of the scenario to end");
  } catch (const script_error&) {
    for (auto& pid : left())
      problem += runtime::to_string(pid) + " is alive; ";
    for (auto& pid : all.abandoned())
      problem += "the code of " + runtime::to_string(pid) + " runs; ";
  }
  x.stop();
  return problem;
}

void test_world::finish() {
  std::lock_guard guard{mutex_};
  finished_ = true;
}

std::string test_world::close() {
  std::string out;
  for (auto& [name, x] : std::exchange(others_, {}))
    out += end(*x);
  if (main_)
    out += end(*std::exchange(main_, nullptr));
  return out;
}

std::vector<std::string> test_world::lines() const {
  std::lock_guard guard{mutex_};
  return render(lines_, [&](const std::string& name) {
    auto i = labels_.find(name);
    return i == labels_.end() ? std::nullopt : std::optional{i->second};
  });
}

std::string test_world::problem() const {
  std::lock_guard guard{mutex_};
  return problem_;
}

void test_world::trace(const std::string& group, const term& x) {
  std::lock_guard guard{mutex_};
  if (!finished_)
    lines_.push_back({group, x});
}

void test_world::fail(const std::string& text) {
  std::lock_guard guard{mutex_};
  if (problem_.empty())
    problem_ = text;
}

std::vector<std::string> test_world::nodes(const std::string& of) {
  auto x = find(of);
  return x ? x->peers() : std::vector<std::string>{};
}

runtime::processes* test_world::processes_of(const std::string& node) {
  auto x = find(node);
  return x ? &x->processes() : nullptr;
}

runtime::groups* test_world::groups_of(const std::string& node) {
  auto x = find(node);
  return x ? &x->groups() : nullptr;
}

} // namespace hornbeam::conformance
