#include "process_fixture.hpp"

#include <algorithm>
#include <limits>

#include <caf/scheduler/test_coordinator.hpp>

#include "runtime/caf/caf.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::test {

term far(const term& x) {
  return decode(encode(x));
}

// -- a node -------------------------------------------------------------------

process_cluster::node::node(process_cluster& c, const std::string& name,
                            std::uint64_t start)
  : cluster_(c),
    self_(origin::of(name, start)),
    processes(c.system(), *this, true),
    groups(std::make_shared<runtime::groups>(processes)) {}

bool process_cluster::node::cast(const std::string& to,
                                 const std::string& service, const term& op) {
  if (to == self_->name()) { // as `runtime::node` does it: at once
    if (nesting_ > 50) {
      FAIL_CHECK("a cast to this node itself goes round in circles: "
                 + to_string(op));
      return false;
    }
    ++nesting_;
    receive("", service, op);
    --nesting_;
    return true;
  }
  if ((!peers_.contains(to) && !dialing_.contains(to)) || full_.contains(to))
    return false;
  cluster_.queues_[{self_->name(), to}].push_back({service, encode(op)});
  return true;
}

bool process_cluster::node::tell(const std::string& to,
                                 const std::string& service, const term& op) {
  if (!peers_.contains(to))
    return false;
  cluster_.queues_[{self_->name(), to}].push_back({service, encode(op)});
  return true;
}

void process_cluster::node::request(const std::string& to, const std::string&,
                                    const term&, deadline, std::uint32_t,
                                    responder reply) {
  reply(failure{error_code::no_connection, "no requests here", to});
}

void process_cluster::node::receive(const std::string& from,
                                    const std::string& service,
                                    const term& op) {
  if (service == processes::service_name)
    processes.handle(from, operation{op});
  else if (service == groups::service_name)
    groups->handle(from, operation{op});
  else
    throw std::logic_error("no service " + service);
}

void process_cluster::node::hear(const peer_event& e) {
  if (e.up)
    peers_.insert(e.name);
  else
    peers_.erase(e.name);
  dialing_.erase(e.name);
  processes.peer(e);
  groups->peer(e);
}

// -- the cluster --------------------------------------------------------------

struct process_cluster::world {
  world() {
    configure(config);
    config.set("scheduler.policy", caf::atom("testing"));
    system = std::make_unique<caf::actor_system>(config);
    system->await_actors_before_shutdown(false);
  }
  caf::scheduler::test_coordinator& scheduler() {
    return static_cast<caf::scheduler::test_coordinator&>(system->scheduler());
  }
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
};

process_cluster::process_cluster() : world_(std::make_unique<world>()) {}

process_cluster::~process_cluster() {
  stop();
  nodes_.clear();
}

caf::actor_system& process_cluster::system() {
  return *world_->system;
}

process_cluster::node& process_cluster::add_node(const std::string& name,
                                                 std::uint64_t start) {
  nodes_[name] = std::make_unique<node>(*this, name, start);
  return *nodes_[name];
}

void process_cluster::connect(const std::string& a, const std::string& b) {
  at(a).hear({b, at(b).self()->incarnation, true, false});
  at(b).hear({a, at(a).self()->incarnation, true, false});
}

void process_cluster::disconnect(const std::string& a, const std::string& b) {
  queues_[{a, b}].clear();
  queues_[{b, a}].clear();
  at(a).hear({b, at(b).self()->incarnation, false, false});
  at(b).hear({a, at(a).self()->incarnation, false, false});
}

process_cluster::node& process_cluster::restart(const std::string& name,
                                                std::uint64_t start) {
  for (auto& peer : at(name).peers())
    disconnect(name, peer);
  kill_all(at(name));
  run();
  return add_node(name, start);
}

void process_cluster::dial(const std::string& a, const std::string& b) {
  at(a).dialing_.insert(b);
}

void process_cluster::dialing_failed(const std::string& a,
                                     const std::string& b) {
  queues_[{a, b}].clear();
  at(a).hear({b, 0, false, true});
}

void process_cluster::fill(const std::string& a, const std::string& b,
                           bool on) {
  if (on)
    at(a).full_.insert(b);
  else
    at(a).full_.erase(b);
}

bool process_cluster::step(const std::string& from, const std::string& to) {
  auto& q = queues_[{from, to}];
  if (q.empty() || at(from).dialing_.contains(to))
    return false;
  auto x = std::move(q.front());
  q.pop_front();
  at(to).receive(from, x.service, decode(x.bytes));
  return true;
}

void process_cluster::run() {
  for (bool moved = true; moved;) {
    run_some(std::numeric_limits<std::size_t>::max());
    moved = false;
    if (held_)
      return;
    std::vector<std::pair<std::string, std::string>> ways;
    for (auto& [way, q] : queues_)
      if (!q.empty())
        ways.push_back(way);
    for (auto& [from, to] : ways)
      moved |= step(from, to);
  }
}

std::size_t process_cluster::run_some(std::size_t jobs) {
  auto& all = world_->scheduler().jobs;
  std::size_t n = 0;
  for (; n < jobs && !all.empty(); ++n) {
    auto* job = all.front();
    world_->scheduler().try_run_once();
    // CAF puts what wants more steps in front of all others.
    if (!all.empty() && all.front() == job)
      std::rotate(all.begin(), all.begin() + 1, all.end());
  }
  return n;
}

void process_cluster::advance(std::int64_t ms) {
  run();
  for (std::int64_t i = 0; i < ms; ++i) {
    for (auto& [name, n] : nodes_)
      n->processes.clock().advance(1);
    run();
  }
}

void process_cluster::kill_all(node& n) {
  // What traps exits and starts others as it ends may take a few rounds.
  for (int round = 0; round < 10; ++round)
    for (auto& pid : n.processes.all())
      n.processes.exit(pid, term::atom("kill"));
}

void process_cluster::stop() {
  held_ = false;
  for (auto& [name, n] : nodes_)
    kill_all(*n);
  run();
}

} // namespace hornbeam::test
