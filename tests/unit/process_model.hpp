#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "process_fixture.hpp"

namespace hornbeam::test {

/// What processes of one or several nodes do to each other, as the OTP manual
/// has it, in plain sequential code: everything happens at once. A process is
/// its number, which terms show as the atom `P7`, a reference as `R3`.
class process_model {
public:
  struct process {
    int node = 0;
    bool alive = true;
    bool trapping = false;
    std::set<int> links;
    std::string name;
    std::vector<term> mailbox; ///< what has come since it last looked
    std::vector<term> log;     ///< what it has seen
  };
  struct monitor {
    int watcher;
    int target;
    term reported;
  };

  std::vector<process> all;
  std::map<int, monitor> monitors; ///< by reference
  std::map<std::pair<int, std::string>, int> names;
  std::vector<int> references; ///< the node that made each

  static term pid(int i) { return atom("P" + std::to_string(i)); }
  static term ref(int i) { return atom("R" + std::to_string(i)); }
  static term node_name(int i) { return atom(i == 0 ? "a@h" : "b@h"); }

  int spawn(int node) {
    all.push_back({});
    all.back().node = node;
    return static_cast<int>(all.size()) - 1;
  }
  process& at(int i) { return all[static_cast<std::size_t>(i)]; }
  const process& at(int i) const { return all[static_cast<std::size_t>(i)]; }

  /// Everybody alive looks at all that has come.
  void look() {
    for (auto& p : all) {
      p.log.insert(p.log.end(), p.mailbox.begin(), p.mailbox.end());
      p.mailbox.clear();
    }
  }

  // -- what a process may do: an error is in its log --------------------------

  void send(int to, const term& x) { deliver(to, x); }
  void send_name(int me, const std::string& name, const term& x) {
    if (auto i = holder(me, name))
      deliver(*i, x);
    else
      fail(me, "badarg");
  }
  void link(int me, int to) {
    if (to == me)
      return;
    if (at(to).alive) {
      at(me).links.insert(to);
      at(to).links.insert(me);
    } else if (at(me).trapping) {
      deliver(me, exited(pid(to), "noproc"));
    } else if (at(me).node == at(to).node) {
      fail(me, "noproc");
    } else {
      end(me, atom("noproc")); // it could not know
    }
  }
  void unlink(int me, int to) {
    at(me).links.erase(to);
    at(to).links.erase(me);
  }
  int watch(int me, int target) { return add_monitor(me, target, pid(target)); }
  int watch_name(int me, const std::string& name) {
    auto reported = term::tuple({atom(name), node_name(at(me).node)});
    return add_monitor(me, holder(me, name).value_or(-1), reported);
  }
  void demonitor(int me, int r, bool flush) {
    if (references[static_cast<std::size_t>(r)] != at(me).node)
      return fail(me, "badarg");
    auto i = monitors.find(r);
    bool there = i != monitors.end() && i->second.watcher == me;
    if (there)
      monitors.erase(i);
    else if (flush)
      std::erase_if(at(me).mailbox, [&](auto& x) {
        return match("DOWN", ref(r), any, any, any)(x);
      });
    at(me).log.push_back(tup("demonitor", there));
  }
  void exit(int from, int to, const term& reason) {
    auto& p = at(to);
    if (!p.alive)
      return;
    if (reason == atom("kill"))
      end(to, atom("killed"));
    else if (p.trapping)
      deliver(to, exited(pid(from), reason));
    else if (reason != atom("normal") || from == to)
      end(to, reason);
  }
  void trap(int me, bool on) { at(me).trapping = on; }
  void register_name(int me, const std::string& name, int who) {
    if (!at(who).alive || at(who).node != at(me).node || !at(who).name.empty()
        || holder(me, name))
      return fail(me, "badarg");
    at(who).name = name;
    names[{at(who).node, name}] = who;
  }
  void unregister_name(int me, const std::string& name) {
    auto i = holder(me, name);
    if (!i)
      return fail(me, "badarg");
    at(*i).name.clear();
    names.erase({at(me).node, name});
  }

  // -- what happens to processes ----------------------------------------------

  /// The process ends, and whoever it takes with it.
  void end(int who, const term& reason) {
    std::vector<std::pair<int, term>> work{{who, reason}};
    while (!work.empty()) {
      auto [i, why] = work.back();
      work.pop_back();
      if (at(i).alive)
        end_one(i, why, work);
    }
  }
  /// The nodes lose each other.
  void part() {
    std::vector<std::pair<int, int>> lost;
    for (int i = 0; i < static_cast<int>(all.size()); ++i)
      std::erase_if(at(i).links, [&](int j) {
        bool across = at(i).node != at(j).node;
        if (across)
          lost.emplace_back(i, j);
        return across;
      });
    std::vector<std::pair<int, term>> work;
    std::erase_if(monitors, [&](auto& x) {
      auto& [r, m] = x;
      bool across = at(m.watcher).node != at(m.target).node;
      if (across)
        deliver(m.watcher, down(ref(r), m.reported, "noconnection"));
      return across;
    });
    for (auto [to, from] : lost)
      take_link_exit(to, from, atom("noconnection"), work);
    for (auto& [who, why] : work)
      end(who, why);
  }

private:
  std::optional<int> holder(int me, const std::string& name) const {
    auto i = names.find({at(me).node, name});
    return i != names.end() ? std::optional{i->second} : std::nullopt;
  }
  void deliver(int to, const term& x) {
    if (at(to).alive)
      at(to).mailbox.push_back(x);
  }
  void fail(int me, const char* reason) {
    at(me).log.push_back(tup("error", reason));
  }
  int add_monitor(int me, int target, const term& reported) {
    auto r = static_cast<int>(references.size());
    references.push_back(at(me).node);
    if (target == me)
      return r; // nobody hears of its own end
    if (target >= 0 && at(target).alive)
      monitors.emplace(r, monitor{me, target, reported});
    else
      deliver(me, down(ref(r), reported, "noproc"));
    return r;
  }
  void take_link_exit(int to, int from, const term& reason,
                      std::vector<std::pair<int, term>>& work) {
    if (at(to).trapping)
      deliver(to, exited(pid(from), reason));
    else if (reason != atom("normal"))
      work.emplace_back(to, reason);
  }
  void end_one(int i, const term& reason,
               std::vector<std::pair<int, term>>& work) {
    auto& p = at(i);
    p.alive = false;
    p.mailbox.clear();
    if (!p.name.empty())
      names.erase({p.node, std::exchange(p.name, {})});
    for (auto j : std::exchange(p.links, {})) {
      at(j).links.erase(i);
      take_link_exit(j, i, reason, work);
    }
    std::erase_if(monitors, [&](auto& x) {
      auto& [r, m] = x;
      if (m.target == i)
        deliver(m.watcher, down(ref(r), m.reported, reason));
      return m.target == i || m.watcher == i;
    });
  }
};

} // namespace hornbeam::test
