#include "process_model.hpp"

#include <cstdlib>
#include <random>

// Random programs, run by processes and by the model, must do the same.

using namespace hornbeam::test;

namespace {

enum class what {
  spawn,
  spawn_link,
  spawn_monitor,
  link,
  unlink,
  monitor,
  monitor_name,
  demonitor,
  flush,
  exit,
  end,
  trap,
  untrap,
  send,
  send_name,
  register_name,
  unregister_name,
  count
};
const char* const texts[]
  = {"spawn",         "spawn_link",     "spawn_monitor", "link",  "unlink",
     "monitor",       "monitor_name",   "demonitor",     "flush", "exit",
     "end",           "trap",           "untrap",        "send",  "send_name",
     "register_name", "unregister_name"};
const char* const reasons[] = {"normal", "kill", "boom", "shutdown"};
const char* const name_list[] = {"x", "y", "z"};

/// One operation; what `number` means depends on it.
struct action {
  what kind;
  int target = 0; ///< a process, or a reference for demonitor
  int number = 0;

  const char* reason() const { return reasons[number % 4]; }
  std::string name() const { return name_list[number % 3]; }
};

/// The real processes, each of which does what it is told and writes down
/// what it gets.
class runner {
public:
  explicit runner(int node_count) {
    add("a@h", 1);
    if (node_count > 1) {
      add("b@h", 2);
      cluster.connect("a@h", "b@h");
    }
  }
  void add(const std::string& name, std::uint64_t start) {
    nodes.push_back(&cluster.add_node(name, start).processes);
  }
  /// Everything of the last program ends.
  bool clear() {
    for (int round = 0; round < 3; ++round)
      for (auto* n : nodes)
        for (auto& pid : n->all())
          n->exit(pid, atom("kill"));
    cluster.run();
    pids.clear();
    refs.clear();
    logs.clear();
    numbers.clear();
    return std::all_of(nodes.begin(), nodes.end(), [](auto* n) {
      return n->count() == std::pair<std::size_t, std::size_t>{0, 0};
    });
  }
  processes& node_of(int i) {
    auto& name = pid(i).as_pid().node->name();
    return name == "a@h" ? *nodes[0] : *nodes[1];
  }
  const term& pid(int i) const { return pids[static_cast<std::size_t>(i)]; }

  void adopt(const term& x) {
    numbers[x] = process_model::pid(static_cast<int>(pids.size()));
    pids.push_back(far(x)); // without a pointer to the process
    logs.emplace_back();
  }
  void spawn(int node) {
    adopt(nodes[static_cast<std::size_t>(node)]->spawn(
      &runner::obey, this, static_cast<int>(pids.size())));
  }
  void tell(int who, std::vector<action> batch) {
    todo = std::move(batch);
    node_of(who).send(pid(who), atom("do"));
    cluster.run();
  }

  static process_body obey(self me, runner* world, int id) {
    for (;;) {
      auto m = co_await me.receive();
      if (m != atom("do")) {
        world->note(id, world->normal(m));
        continue;
      }
      for (auto& x : std::exchange(world->todo, {})) {
        try {
          world->act(me, id, x);
        } catch (const erlang_error& e) {
          world->note(id, tup("error", e.reason));
        }
      }
    }
  }
  void act(self me, int id, const action& x) {
    auto child = [&](auto spawn) { spawn(static_cast<int>(pids.size())); };
    switch (x.kind) {
      case what::spawn:
        return child([&](int n) { adopt(me.spawn(&runner::obey, this, n)); });
      case what::spawn_link:
        return child(
          [&](int n) { adopt(me.spawn_link(&runner::obey, this, n)); });
      case what::spawn_monitor:
        return child([&](int n) {
          auto [pid, ref] = me.spawn_monitor(&runner::obey, this, n);
          adopt(pid);
          add_ref(ref);
        });
      case what::link:
        return me.link(pid(x.target));
      case what::unlink:
        return me.unlink(pid(x.target));
      case what::monitor:
        return add_ref(me.monitor(pid(x.target)));
      case what::monitor_name:
        return add_ref(me.monitor(atom(x.name())));
      case what::demonitor:
      case what::flush: {
        bool there = me.demonitor(refs[static_cast<std::size_t>(x.target)],
                                  x.kind == what::flush);
        return note(id, tup("demonitor", there));
      }
      case what::exit:
        return me.exit(pid(x.target), atom(x.reason()));
      case what::end:
        me.exit(atom(x.reason()));
      case what::trap:
      case what::untrap:
        me.trap_exit(x.kind == what::trap);
        return;
      case what::send:
        return me.send(pid(x.target), tup("m", x.number));
      case what::send_name:
        return me.send(atom(x.name()), tup("m", x.number));
      case what::register_name:
        return me.register_name(x.name(), pid(x.target));
      case what::unregister_name:
        return me.unregister_name(x.name());
      case what::count:
        break;
    }
  }
  void add_ref(const term& x) {
    numbers[x] = process_model::ref(static_cast<int>(refs.size()));
    refs.push_back(x);
  }
  void note(int id, term x) {
    logs[static_cast<std::size_t>(id)].push_back(std::move(x));
  }
  /// `x` as the model has it.
  term normal(const term& x) const {
    if (auto i = numbers.find(x); i != numbers.end())
      return i->second;
    if (!x.is(term::kind::tuple))
      return x;
    term::sequence out;
    for (auto& y : x.items())
      out.push_back(normal(y));
    return term::tuple(std::move(out));
  }

  process_cluster cluster;
  std::vector<processes*> nodes;
  std::vector<term> pids;
  std::vector<term> refs;
  std::vector<std::vector<term>> logs;
  std::map<term, term> numbers;
  std::vector<action> todo;
};

void act(process_model& model, int me, const action& x) {
  switch (x.kind) {
    case what::spawn:
      model.spawn(model.at(me).node);
      return;
    case what::spawn_link:
      return model.link(me, model.spawn(model.at(me).node));
    case what::spawn_monitor:
      model.watch(me, model.spawn(model.at(me).node));
      return;
    case what::link:
      return model.link(me, x.target);
    case what::unlink:
      return model.unlink(me, x.target);
    case what::monitor:
      model.watch(me, x.target);
      return;
    case what::monitor_name:
      model.watch_name(me, x.name());
      return;
    case what::demonitor:
    case what::flush:
      return model.demonitor(me, x.target, x.kind == what::flush);
    case what::exit:
      return model.exit(me, x.target, atom(x.reason()));
    case what::end:
      return model.end(me, atom(x.reason()));
    case what::trap:
    case what::untrap:
      return model.trap(me, x.kind == what::trap);
    case what::send:
      return model.send(x.target, tup("m", x.number));
    case what::send_name:
      return model.send_name(me, x.name(), tup("m", x.number));
    case what::register_name:
      return model.register_name(me, x.name(), x.target);
    case what::unregister_name:
      return model.unregister_name(me, x.name());
    case what::count:
      break;
  }
}

struct program {
  program(unsigned seed, runner& r) : rng(seed), real(r) {}

  int pick(int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); }

  action any_action() {
    action x{static_cast<what>(pick(static_cast<int>(what::count)))};
    // Some things happen too often for anything to grow.
    if ((x.kind == what::end || x.kind == what::exit) && pick(2) == 0)
      x.kind = what::link;
    bool refers = x.kind == what::demonitor || x.kind == what::flush;
    if (x.kind <= what::spawn_monitor && model.all.size() >= 20)
      x.kind = what::send;
    if (refers && model.references.empty())
      return {what::trap};
    x.target = pick(
      static_cast<int>(refers ? model.references.size() : model.all.size()));
    x.number = pick(1000);
    return x;
  }

  /// One operation, or a few that one process does without looking at its
  /// mailbox in between.
  void step() {
    std::vector<int> alive;
    for (int i = 0; i < static_cast<int>(model.all.size()); ++i)
      if (model.at(i).alive)
        alive.push_back(i);
    bool two = real.nodes.size() > 1;
    if (alive.size() < 3) {
      auto node = two ? pick(2) : 0;
      text += " spawn on " + std::to_string(node) + ";";
      model.spawn(node);
      real.spawn(node);
      return real.cluster.run();
    }
    actor
      = alive[static_cast<std::size_t>(pick(static_cast<int>(alive.size())))];
    if (two && pick(20) == 0) {
      text += " part;";
      actor = -1;
      model.part();
      real.cluster.disconnect("a@h", "b@h");
      real.cluster.run();
      real.cluster.connect("a@h", "b@h");
      return real.cluster.run();
    }
    if (pick(20) == 0) { // from outside
      auto reason = reasons[pick(4)];
      text += " exit P" + std::to_string(actor) + " " + reason + ";";
      model.exit(actor, actor, atom(reason));
      real.node_of(actor).exit(real.pid(actor), atom(reason));
      return real.cluster.run();
    }
    // Between nodes nothing happens at once: there, one at a time.
    auto n = two ? 1 : 1 + pick(3);
    std::vector<action> batch;
    text += " P" + std::to_string(actor) + ":";
    for (int i = 0; i < n && model.at(actor).alive; ++i) {
      auto x = any_action();
      text += std::string{" "} + texts[static_cast<int>(x.kind)] + "("
              + std::to_string(x.target) + "," + std::to_string(x.number) + ")";
      batch.push_back(x);
      act(model, actor, x);
    }
    text += ";";
    real.tell(actor, batch);
  }

  /// What Erlang gives an order: what one process sends. Of the ends of
  /// several, or of links and monitors of one, it promises none.
  static std::vector<term> ordered(const std::vector<term>& log, int actor) {
    std::vector<term> out;
    for (auto& x : log)
      if (match("m", any)(x) || match("error", any)(x)
          || match("demonitor", any)(x)
          || match("EXIT", process_model::pid(actor), any)(x))
        out.push_back(x);
    return out;
  }
  static std::vector<term> sorted(std::vector<term> xs) {
    std::sort(xs.begin(), xs.end());
    return xs;
  }

  /// Why the model and the processes differ, or empty.
  std::string difference() {
    model.look();
    auto show = [](const std::vector<term>& xs) {
      return to_string(term::list(xs));
    };
    if (real.pids.size() != model.all.size())
      return "the number of processes";
    for (int i = 0; i < static_cast<int>(model.all.size()); ++i) {
      auto who = "P" + std::to_string(i);
      auto& m = model.at(i);
      auto& node = real.node_of(i);
      auto& pid = real.pid(i);
      if (node.alive(pid) != m.alive)
        return who + (m.alive ? " should live" : " should be dead");
      auto got = std::exchange(real.logs[static_cast<std::size_t>(i)], {});
      auto want = std::exchange(model.at(i).log, {});
      // Between nodes, what comes last before an end may be seen or not.
      if (!m.alive && real.nodes.size() > 1)
        continue;
      if (sorted(got) != sorted(want)
          || ordered(got, actor) != ordered(want, actor))
        return who + " got " + show(got) + ", not " + show(want);
      if (!m.alive)
        continue;
      auto list = [&](const char* item) {
        std::vector<term> out;
        auto items = *node.info(pid, item);
        for (auto& x : items.items())
          out.push_back(real.normal(x));
        return sorted(out);
      };
      std::vector<term> links;
      for (auto j : m.links)
        links.push_back(process_model::pid(j));
      if (list("links") != sorted(links))
        return who + " has the links " + show(list("links")) + ", not "
               + show(sorted(links));
      std::vector<term> watches;
      std::vector<term> watched;
      for (auto& [r, x] : model.monitors) {
        if (x.watcher == i)
          watches.push_back(tup("process", x.reported));
        if (x.target == i)
          watched.push_back(process_model::pid(x.watcher));
      }
      if (list("monitors") != sorted(watches))
        return who + " has the monitors " + show(list("monitors")) + ", not "
               + show(sorted(watches));
      if (list("monitored_by") != sorted(watched))
        return who + " is monitored by " + show(list("monitored_by"))
               + ", not by " + show(sorted(watched));
      if (*node.info(pid, "trap_exit") != term{m.trapping})
        return who + " traps exits or not";
    }
    std::map<std::pair<int, std::string>, term> names;
    for (std::size_t n = 0; n < real.nodes.size(); ++n)
      for (auto& name : real.nodes[n]->registered())
        names[{static_cast<int>(n), name}]
          = real.normal(*real.nodes[n]->whereis(name));
    std::map<std::pair<int, std::string>, term> wanted;
    for (auto& [name, i] : model.names)
      wanted[name] = process_model::pid(i);
    return names == wanted ? "" : "the names";
  }

  std::mt19937 rng;
  runner& real;
  process_model model;
  std::string text;
  int actor = 0;
};

void run_programs(int nodes, unsigned count, int operations) {
  auto* fixed = std::getenv("HORNBEAM_SEED");
  auto seed = fixed != nullptr
                ? static_cast<unsigned>(std::strtoul(fixed, nullptr, 10))
                : std::random_device{}();
  runner real{nodes};
  for (unsigned i = 0; i < count; ++i) {
    program x{seed + i, real};
    for (int n = 0; n < operations; ++n) {
      x.step();
      auto why = x.difference();
      if (!why.empty()) {
        INFO("HORNBEAM_SEED=" << seed + i << ":" << x.text);
        FAIL(why);
      }
    }
    INFO("HORNBEAM_SEED=" << seed + i);
    REQUIRE(real.clear());
  }
}

} // namespace

TEST_CASE("random programs do what the model does") {
  run_programs(1, 2000, 60);
}

TEST_CASE("random programs on two nodes do what the model does") {
  run_programs(2, 1000, 60);
}
