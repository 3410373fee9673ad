// What processes cost, one line of JSON for each benchmark that is named:
//
//     hornbeam_bench_processes ping_pong ring
//
// processes.erl has the same protocols in Erlang: whoever changes one changes
// the other. processes.py runs both.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <future>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

#include "benchmarks/program.hpp"
#include "runtime/caf/caf.hpp"
#include "runtime/caf/parking.hpp"
#include "runtime/otp/gen_server.hpp"
#include "runtime/process/attached_process.hpp"

using namespace hornbeam::bench;
using namespace hornbeam::runtime;

namespace {

/// Bytes of this program that are in memory now.
double resident() {
  std::ifstream file{"/proc/self/statm"};
  long total = 0;
  long pages = 0;
  file >> total >> pages;
  return static_cast<double>(pages)
         * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// -- messages -----------------------------------------------------------------

process_body echo(self me) {
  auto to = co_await me.receive(any_pid);
  for (;;) {
    auto x = co_await me.receive(any_int);
    me.send(to, std::move(x));
  }
}

task<double> ping_pong(self me) {
  constexpr int count = 1'000'000;
  auto other = me.spawn(echo);
  me.send(other, me.pid());
  stopwatch watch;
  for (int i = 0; i < count; ++i) {
    me.send(other, term{i});
    co_await me.receive(any_int);
  }
  co_return watch.us() / count / 2;
}

process_body pong(self me) {
  auto word = term::constant("pong");
  for (;;) {
    auto ping = co_await me.receive(match("ping", any_pid));
    me.send(ping.items()[1], term::tuple_of(word, me.pid()));
  }
}

task<double> ping_pong_tuple(self me) {
  constexpr int count = 500'000;
  auto ping = term::constant("ping");
  auto other = me.spawn(pong);
  stopwatch watch;
  for (int i = 0; i < count; ++i) {
    me.send(other, term::tuple_of(ping, me.pid()));
    co_await me.receive(match("pong", any_pid));
  }
  co_return watch.us() / count / 2;
}

/// Hands the token on until it has made all its hops.
process_body member(self me, term home) {
  auto next = co_await me.receive(any_pid);
  for (;;) {
    auto token = co_await me.receive(any_int);
    auto left = token.as_int();
    me.send(left > 0 ? next : home, term{left - 1});
  }
}

task<double> ring(self me) {
  constexpr int members = 1000;
  constexpr int hops = 1'000'000;
  std::vector<term> all;
  all.reserve(members);
  for (int i = 0; i < members; ++i)
    all.push_back(me.spawn(member, me.pid()));
  for (int i = 0; i < members; ++i)
    me.send(all[i], all[(i + 1) % members]);
  stopwatch watch;
  me.send(all[0], term{hops});
  co_await me.receive(any_int);
  co_return watch.us() / hops;
}

/// Takes `count` numbers and says so after each `window` of them.
process_body sink(self me, term home, int count, int window) {
  for (int i = 1; i <= count; ++i) {
    co_await me.receive(any_int);
    if (i % window == 0)
      me.send(home, term{i});
  }
}

/// At most two windows are on their way.
task<double> to_sink(self me, int count, int window) {
  auto to = me.spawn(sink, me.pid(), count, window);
  stopwatch watch;
  for (int i = 1; i <= count; ++i) {
    me.send(to, term{i});
    if (i % window == 0 && i > window)
      co_await me.receive(any_int);
  }
  co_await me.receive(any_int);
  co_return watch.us() / count;
}

task<double> one_way(self me) {
  return to_sink(me, 1'000'000, 1'000'000);
}

task<double> one_way_bounded(self me) {
  return to_sink(me, 1'000'000, 1'000);
}

process_body flood(self me, term to, int count) {
  for (int i = 1; i <= count; ++i)
    me.send(to, term{i});
  co_return;
}

task<double> many_to_one(self me) {
  constexpr int senders = 100;
  constexpr int each = 10'000;
  auto to = me.spawn(sink, me.pid(), senders * each, senders * each);
  stopwatch watch;
  for (int i = 0; i < senders; ++i)
    me.spawn(flood, to, each);
  co_await me.receive(any_int);
  co_return watch.us() / (senders * each);
}

class echo_server : public gen_server {
public:
  task<server_result> handle_call(self, term request, term) override {
    co_return server_result::reply(std::move(request));
  }
};

task<double> gen_server_call(self me) {
  constexpr int count = 300'000;
  auto started = co_await gen_server::start(me,
                                            std::make_unique<echo_server>());
  auto server = started.items()[1];
  stopwatch watch;
  for (int i = 0; i < count; ++i)
    co_await gen_server::call(me, server, term{i});
  co_return watch.us() / count;
}

/// Nanoseconds for each message that a receive looks at and leaves.
task<double> selective_receive(self me) {
  constexpr int waiting = 10'000;
  constexpr int count = 10'000;
  auto hit = term::constant("hit");
  for (int i = 0; i < waiting; ++i)
    me.send(me.pid(), term{i});
  stopwatch watch;
  for (int i = 0; i < count; ++i) {
    me.send(me.pid(), hit);
    co_await me.receive(match("hit"));
  }
  co_return watch.us() * 1e3 / count / waiting;
}

// -- lives --------------------------------------------------------------------

process_body brief(self me, term home) {
  me.send(home, term{0});
  co_return;
}

task<double> spawn_exit(self me) {
  constexpr int batches = 3'000;
  constexpr int batch = 100;
  stopwatch watch;
  for (int i = 0; i < batches; ++i) {
    for (int k = 0; k < batch; ++k)
      me.spawn(brief, me.pid());
    for (int k = 0; k < batch; ++k)
      co_await me.receive(any_int);
  }
  co_return watch.us() / (batches * batch);
}

process_body nothing(self) {
  co_return;
}

task<double> spawn_exit_monitor(self me) {
  constexpr int batches = 3'000;
  constexpr int batch = 100;
  stopwatch watch;
  for (int i = 0; i < batches; ++i) {
    for (int k = 0; k < batch; ++k)
      me.spawn_monitor(nothing);
    for (int k = 0; k < batch; ++k)
      co_await me.receive(match("DOWN", any, any, any, any));
  }
  co_return watch.us() / (batches * batch);
}

/// Says that it is there, and before it goes.
process_body idler(self me, term home) {
  me.send(home, term{0});
  co_await me.receive(match("stop"));
  me.send(home, term{0});
}

/// So many processes that wait in a receive.
task<std::vector<term>> idlers(self me, int count) {
  constexpr int batch = 1000;
  std::vector<term> all;
  all.reserve(count);
  for (int i = 0; i < count / batch; ++i) {
    for (int k = 0; k < batch; ++k)
      all.push_back(me.spawn(idler, me.pid()));
    for (int k = 0; k < batch; ++k)
      co_await me.receive(any_int);
  }
  co_return all;
}

task<double> idle_memory(self me) {
  constexpr int count = 1'000'000;
  auto before = resident();
  auto all = co_await idlers(me, count);
  co_return (resident() - before) / count;
}

/// Milliseconds of processor time in two seconds in which nothing happens.
task<double> idle_cpu(self me) {
  auto all = co_await idlers(me, 10'000);
  co_await me.sleep(500);
  auto before = cpu_ms();
  co_await me.sleep(2000);
  co_return cpu_ms() - before;
}

constexpr int storm_size = 1'000'000;

task<> storm(self me) {
  auto all = co_await idlers(me, storm_size);
  auto stop = term::constant("stop");
  for (auto& x : all)
    me.send(x, stop);
  for (int i = 0; i < storm_size; ++i)
    co_await me.receive(any_int);
}

task<double> spawn_storm(self me) {
  stopwatch watch;
  co_await storm(me);
  co_return watch.us() / storm_size;
}

/// Bytes for each process of the storm that the system has not got back.
task<double> spawn_storm_kept(self me) {
  auto before = resident();
  co_await storm(me);
  co_await me.sleep(1000);
  co_return std::max(resident() - before, 0.0) / storm_size;
}

// -- links, monitors, timers --------------------------------------------------

task<double> link_unlink(self me) {
  constexpr int count = 300'000;
  auto other = me.spawn(echo);
  stopwatch watch;
  for (int i = 0; i < count; ++i) {
    me.link(other);
    me.unlink(other);
  }
  co_return watch.us() / count;
}

task<double> monitor_demonitor(self me) {
  constexpr int count = 300'000;
  auto other = me.spawn(echo);
  stopwatch watch;
  for (int i = 0; i < count; ++i) {
    auto ref = me.monitor(other);
    me.demonitor(ref);
  }
  co_return watch.us() / count;
}

/// Sets a thousand, cancels a thousand.
task<double> timers_set_cancel(self me) {
  constexpr int rounds = 300;
  constexpr int batch = 1000;
  std::vector<term> set(batch);
  stopwatch watch;
  for (int i = 0; i < rounds; ++i) {
    for (auto& x : set)
      x = me.send_after(10'000 + i, me.pid(), term{i});
    for (auto& x : set)
      me.cancel_timer(x);
  }
  co_return watch.us() / (rounds * batch);
}

// -- threads ------------------------------------------------------------------

/// A thread asks a process and waits.
double outside_request(processes& on) {
  constexpr int count = 20'000;
  attached_process thread{on};
  auto other = on.spawn(echo);
  auto me = thread.me();
  me.send(other, me.pid());
  stopwatch watch;
  for (int i = 0; i < count; ++i) {
    me.send(other, term{i});
    thread.receive(any_int);
  }
  return watch.us() / count;
}

/// A thread wakes another, which wakes it: the floor of `outside_request`.
double two_wakeups(processes&) {
  constexpr int count = 20'000;
  std::mutex mutex;
  std::condition_variable changed[2];
  int turn = 0;
  auto play = [&](int me) {
    for (int i = 0; i < count; ++i) {
      std::unique_lock lock{mutex};
      changed[me].wait(lock, [&] { return turn == me; });
      turn = 1 - me;
      lock.unlock();
      changed[1 - me].notify_one();
    }
  };
  stopwatch watch;
  std::thread other{play, 1};
  play(0);
  other.join();
  return watch.us() / count;
}

// -- the program --------------------------------------------------------------

/// A node without peers.
struct alone final : router {
  origin_ptr me = origin::of("bench@localhost", 1);
  origin_ptr self() const override { return me; }
  std::vector<std::string> peers() const override { return {}; }
  bool cast(const std::string&, const std::string&, const term&) override {
    return false;
  }
  void request(const std::string&, const std::string&, const term&, deadline,
               std::uint32_t, responder reply) override {
    reply(failure{});
  }
};

struct config : caf::actor_system_config {
  config() {
    configure(*this);
    load<scheduler>();
  }
};

process_body measure(self me, task<double> (*f)(self),
                     std::promise<double> result) {
  result.set_value(co_await f(me));
}

template <task<double> (*F)(self)>
double inside(processes& on) {
  std::promise<double> result;
  auto value = result.get_future();
  on.spawn(measure, F, std::move(result));
  return value.get();
}

struct benchmark {
  std::string_view name;
  const char* unit;
  double (*run)(processes&);
};

constexpr benchmark benchmarks[] = {
  {"ping_pong", "us", inside<ping_pong>},
  {"ping_pong_tuple", "us", inside<ping_pong_tuple>},
  {"ring", "us", inside<ring>},
  {"one_way", "us", inside<one_way>},
  {"one_way_bounded", "us", inside<one_way_bounded>},
  {"many_to_one", "us", inside<many_to_one>},
  {"gen_server_call", "us", inside<gen_server_call>},
  {"selective_receive", "ns", inside<selective_receive>},
  {"spawn_exit", "us", inside<spawn_exit>},
  {"spawn_exit_monitor", "us", inside<spawn_exit_monitor>},
  {"spawn_storm", "us", inside<spawn_storm>},
  {"spawn_storm_kept", "bytes", inside<spawn_storm_kept>},
  {"idle_memory", "bytes", inside<idle_memory>},
  {"idle_cpu", "ms", inside<idle_cpu>},
  {"link_unlink", "us", inside<link_unlink>},
  {"monitor_demonitor", "us", inside<monitor_demonitor>},
  {"timers", "us", inside<timers_set_cancel>},
  {"two_wakeups", "us", two_wakeups},
  {"outside_request", "us", outside_request},
};

/// Each in a world of its own, so that none finds what another has left.
double run(const benchmark& x) {
  config settings;
  caf::actor_system system{settings};
  alone net;
  processes on{system, net};
  auto value = x.run(on);
  on.stop(std::chrono::seconds{20});
  return value;
}

} // namespace

int main(int argc, char** argv) {
  return run_named(argc, argv, benchmarks, run);
}
