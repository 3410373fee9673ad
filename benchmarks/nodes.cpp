// What nodes cost one another, one line of JSON for each benchmark that is
// named:
//
//     RUNTIME_DIRECTORY=FOLDER hornbeam_bench_nodes one_way new_link
//
// The other node, or nodes, are those of a child process. remote.erl has what
// Erlang is measured with; nodes.py runs both.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "actors/services.hpp"
#include "benchmarks/program.hpp"
#include "runtime/process/attached_process.hpp"

using namespace hornbeam;
using namespace hornbeam::bench;
using namespace hornbeam::runtime;

namespace {

using std::chrono::milliseconds;
using node_ptr = std::shared_ptr<actors::services>;

node_settings settings_of(const std::string& name) {
  node_settings s;
  s.name = name + "@127.0.0.1";
  s.cluster = "bench-nodes";
  s.listen = true;
  s.secret = std::string{std::getenv("RUNTIME_DIRECTORY")} + "/nodes.pem";
  s.connect_ms = 20'000;
  return s;
}

node_ptr start(const std::string& name) {
  return actors::services::start(settings_of(name));
}

/// Runs `f` in a process of its own, until this object goes. To be made before
/// this process has a node.
class child {
public:
  explicit child(const std::function<std::shared_ptr<void>()>& f) {
    int ready[2];
    if (::pipe(ready) != 0 || ::pipe(until_) != 0)
      throw std::runtime_error("no pipe");
    process_ = ::fork();
    char c = 0;
    if (process_ == 0) {
      ::close(until_[1]);
      auto what = f();
      bool told = ::write(ready[1], &c, 1) == 1;
      told = told && ::read(until_[0], &c, 1) >= 0;
      ::_exit(told ? 0 : 1);
    }
    ::close(until_[0]);
    ::close(ready[1]);
    if (::read(ready[0], &c, 1) != 1)
      throw std::runtime_error("the other process has not started");
    ::close(ready[0]);
  }
  ~child() {
    ::close(until_[1]);
    ::waitpid(process_, nullptr, 0);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;

private:
  int until_[2] = {-1, -1};
  pid_t process_ = 0;
};

bool connect(const node_ptr& from, const std::string& to) {
  auto slot = std::make_shared<reply_slot>();
  from->node->connect(to, deadline::in(20'000), responder{slot});
  return slot->wait_until(clock::now() + milliseconds(30'000))
         && slot->take().ok();
}

void require(bool x, const char* what) {
  if (!x)
    throw std::runtime_error(what);
}

// -- messages -----------------------------------------------------------------

/// Says who it is to whoever asks, and then when it has got so many messages.
process_body sink(self me) {
  me.register_name("sink");
  for (;;) {
    auto asked = co_await me.receive(match(any_pid, any_int));
    auto left = asked.items()[1].as_int();
    me.send(asked.items()[0], me.pid());
    for (; left > 0; --left)
      co_await me.receive(any);
    me.send(asked.items()[0], term{0});
  }
}

/// A message of 100 bytes to a process of another node.
double one_way() {
  child other{[] {
    auto b = start("b");
    b->node->processes().spawn(sink);
    return b;
  }};
  auto a = start("a");
  require(connect(a, "b@127.0.0.1"), "no connection");
  attached_process thread{a->node->processes()};
  auto me = thread.me();
  auto name = term::tuple_of(term::atom("sink"), term::atom("b@127.0.0.1"));
  auto message = term::bytes(std::string(100, 'x'));
  constexpr int count = 100'000;
  std::vector<double> rounds;
  for (int i = 0; i < 7; ++i) {
    me.send(name, term::tuple_of(me.pid(), term{count}));
    auto to = *thread.receive(any_pid);
    stopwatch watch;
    for (int k = 0; k < count; ++k)
      me.send(to, message);
    thread.receive(any_int);
    rounds.push_back(watch.us() / count);
  }
  std::sort(rounds.begin(), rounds.end());
  return rounds[rounds.size() / 2];
}

// -- links --------------------------------------------------------------------

/// From nothing until it is known what the other node has: TCP, TLS, hellos and
/// announcements.
double new_link() {
  child other{[] { return start("b"); }};
  auto a = start("a");
  std::vector<double> times;
  for (int i = 0; i < 101; ++i) {
    stopwatch watch;
    require(connect(a, "b@127.0.0.1"), "no connection");
    times.push_back(watch.us() / 1000);
    a->node->disconnect("b@127.0.0.1");
    while (a->node->connected("b@127.0.0.1"))
      std::this_thread::sleep_for(milliseconds(1));
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// Which share of a core a node with 100 idle peers takes, in percent.
double idle_peers() {
  constexpr std::size_t peers = 100;
  child other{[] {
    auto all = std::make_shared<std::vector<node_ptr>>();
    for (std::size_t i = 0; i < peers; ++i) {
      auto s = settings_of("p" + std::to_string(i));
      s.hidden = true; // or they would connect to each other
      s.workers = 1;
      all->push_back(actors::services::start(s));
    }
    std::thread{[all] { // when the other node is there
      for (auto& x : *all)
        while (!connect(x, "a@127.0.0.1"))
          std::this_thread::sleep_for(milliseconds(10));
    }}
      .detach();
    return all;
  }};
  auto a = start("a");
  auto until = clock::now() + milliseconds(60'000);
  while (a->node->members().size() <= peers && clock::now() < until)
    std::this_thread::sleep_for(milliseconds(10));
  require(a->node->members().size() == peers + 1, "not all have connected");
  std::this_thread::sleep_for(milliseconds(2000)); // what connecting has left
  auto before = cpu_ms();
  stopwatch watch;
  std::this_thread::sleep_for(milliseconds(8000));
  return (cpu_ms() - before) * 1000 / watch.us() * 100;
}

struct benchmark {
  std::string_view name;
  const char* unit;
  double (*run)();
};

constexpr benchmark benchmarks[] = {
  {"one_way", "us", one_way},
  {"new_link", "ms", new_link},
  {"idle_peers", "%", idle_peers},
};

} // namespace

int main(int argc, char** argv) {
  if (std::getenv("RUNTIME_DIRECTORY") == nullptr) {
    std::fprintf(stderr, "RUNTIME_DIRECTORY must name a folder of its own\n");
    return 1;
  }
  return run_named(argc, argv, benchmarks, [](auto& x) { return x.run(); });
}
