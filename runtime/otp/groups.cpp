#include "runtime/otp/groups.hpp"

#include <algorithm>

namespace hornbeam::runtime {

namespace {

/// Takes one occurrence of each of `gone` out of `from`; those that were there.
std::vector<term> take_out(std::vector<term>& from,
                           const std::vector<term>& gone) {
  std::vector<term> out;
  for (auto& pid : gone)
    if (auto i = std::find(from.begin(), from.end(), pid); i != from.end()) {
      from.erase(i);
      out.push_back(pid);
    }
  return out;
}

void append(std::vector<term>& to, const std::vector<term>& xs) {
  to.insert(to.end(), xs.begin(), xs.end());
}

} // namespace

void groups::join(const term& scope, const term& group,
                  const std::vector<term>& pids) {
  for (auto& pid : pids)
    if (!pid.is(term::kind::pid) || !processes_.is_local(pid.as_pid()))
      throw erlang_error(term::tuple({term::atom("nolocal"), pid}));
  if (pids.empty())
    return;
  std::vector<term> fresh;
  {
    std::unique_lock lock{mutex_};
    auto& s = scopes_[scope];
    append(s.groups[group].local, pids);
    for (auto& pid : pids)
      if (watched_.insert(pid.as_pid().serial).second)
        fresh.push_back(pid);
    announce("join", scope, group, pids);
    notify(s, "join", group, pids);
  }
  for (auto& pid : fresh)
    processes_.on_exit(pid, [weak = weak_from_this(), pid](const term&) {
      if (auto self = weak.lock())
        self->member_ended(pid);
    });
}

bool groups::leave(const term& scope, const term& group,
                   const std::vector<term>& pids) {
  std::unique_lock lock{mutex_};
  auto s = scopes_.find(scope);
  if (s == scopes_.end())
    return false;
  auto g = s->second.groups.find(group);
  if (g == s->second.groups.end())
    return false;
  auto gone = take_out(g->second.local, pids);
  if (gone.empty())
    return false;
  drop_if_empty(s->second, group);
  announce("leave", scope, group, gone);
  notify(s->second, "leave", group, gone);
  return true;
}

void groups::member_ended(const term& pid) {
  std::unique_lock lock{mutex_};
  watched_.erase(pid.as_pid().serial);
  for (auto& [scope, s] : scopes_) {
    std::erase_if(s.watchers, [&](auto& w) { return w.pid == pid; });
    std::vector<term> names;
    for (auto& [name, g] : s.groups)
      names.push_back(name);
    for (auto& name : names) {
      auto times = std::erase(s.groups.at(name).local, pid);
      drop_if_empty(s, name);
      for (; times > 0; --times) { // each membership ends for itself
        announce("leave", scope, name, {pid});
        notify(s, "leave", name, {pid});
      }
    }
  }
}

std::vector<term> groups::all_of(const group_members& g) {
  auto out = g.local;
  for (auto& [node, pids] : g.remote)
    append(out, pids);
  return out;
}

std::vector<term> groups::members(const term& scope, const term& group) const {
  shared_lock_scope lock{mutex_};
  auto s = scopes_.find(scope);
  if (s == scopes_.end())
    return {};
  auto g = s->second.groups.find(group);
  return g != s->second.groups.end() ? all_of(g->second) : std::vector<term>{};
}

std::vector<term> groups::local_members(const term& scope,
                                        const term& group) const {
  shared_lock_scope lock{mutex_};
  auto s = scopes_.find(scope);
  if (s == scopes_.end())
    return {};
  auto g = s->second.groups.find(group);
  return g != s->second.groups.end() ? g->second.local : std::vector<term>{};
}

std::vector<term> groups::which(const term& scope) const {
  shared_lock_scope lock{mutex_};
  std::vector<term> out;
  if (auto s = scopes_.find(scope); s != scopes_.end())
    for (auto& [name, g] : s->second.groups)
      out.push_back(name);
  return out;
}

std::pair<term, term> groups::monitor(const term& scope, const term* group,
                                      const term& who) {
  auto ref = processes_.make_ref();
  term now;
  bool fresh = false;
  {
    std::unique_lock lock{mutex_};
    auto& s = scopes_[scope];
    s.watchers.push_back(
      {ref, who, group != nullptr ? std::optional{*group} : std::nullopt});
    fresh = watched_.insert(who.as_pid().serial).second;
    if (group != nullptr) {
      auto g = s.groups.find(*group);
      now = term::list(g != s.groups.end() ? all_of(g->second)
                                           : std::vector<term>{});
    } else {
      term::entries all;
      for (auto& [name, g] : s.groups)
        all.emplace_back(name, term::list(all_of(g)));
      now = term::map(std::move(all));
    }
  }
  if (fresh)
    processes_.on_exit(who, [weak = weak_from_this(), who](const term&) {
      if (auto self = weak.lock())
        self->member_ended(who);
    });
  return {std::move(ref), std::move(now)};
}

bool groups::demonitor(const term& scope, const term& ref) {
  std::unique_lock lock{mutex_};
  auto s = scopes_.find(scope);
  return s != scopes_.end() && std::erase_if(s->second.watchers, [&](auto& w) {
                                 return w.ref == ref;
                               }) > 0;
}

// All below with the lock held.

void groups::announce(const char* what, const term& scope, const term& group,
                      const std::vector<term>& pids) {
  for (auto& node : peers_)
    processes_.net().tell(node, service_name,
                          make_op(what, scope, group, term::list(pids)));
}

void groups::notify(const scope_data& s, const char* what, const term& group,
                    const std::vector<term>& pids) {
  for (auto& w : s.watchers)
    if (!w.group || *w.group == group)
      processes_.send(
        w.pid, term::tuple({w.ref, term::atom(what), group, term::list(pids)}));
}

void groups::drop_if_empty(scope_data& s, const term& group) {
  if (auto g = s.groups.find(group); g != s.groups.end() && g->second.empty())
    s.groups.erase(g);
}

// -- other nodes --------------------------------------------------------------

void groups::handle(const std::string& from, const operation& op) {
  std::unique_lock lock{mutex_};
  auto add = [&](const term& scope, const term& group,
                 const std::vector<term>& pids) {
    auto& s = scopes_[scope];
    append(s.groups[group].remote[from], pids);
    notify(s, "join", group, pids);
  };
  if (op.name == "sync") {
    for (auto& [group, pids] : op.arg(1).pairs())
      add(op.arg(0), group, pids.to_sequence());
    return;
  }
  auto pids = op.arg(2).to_sequence();
  if (op.name == "join") {
    add(op.arg(0), op.arg(1), pids);
  } else if (op.name == "leave") {
    auto& s = scopes_[op.arg(0)];
    auto g = s.groups.find(op.arg(1));
    if (g == s.groups.end())
      return;
    auto there = g->second.remote.find(from);
    if (there == g->second.remote.end())
      return;
    auto gone = take_out(there->second, pids);
    if (there->second.empty())
      g->second.remote.erase(there);
    drop_if_empty(s, op.arg(1));
    if (!gone.empty())
      notify(s, "leave", op.arg(1), gone);
  } else {
    throw bad_term("groups know no operation '" + op.name + "'");
  }
}

void groups::peer(const peer_event& e) {
  if (e.hidden)
    return;
  std::unique_lock lock{mutex_};
  if (e.up) {
    if (!peers_.insert(e.name).second)
      return;
    for (auto& [scope, s] : scopes_) {
      term::entries all;
      for (auto& [name, g] : s.groups)
        if (!g.local.empty())
          all.emplace_back(name, term::list(g.local));
      if (!all.empty())
        processes_.net().tell(
          e.name, service_name,
          make_op("sync", scope, term::map(std::move(all))));
    }
    return;
  }
  peers_.erase(e.name);
  for (auto& [scope, s] : scopes_) {
    std::vector<std::pair<term, std::vector<term>>> lost;
    for (auto& [name, g] : s.groups)
      if (auto node = g.remote.extract(e.name))
        lost.emplace_back(name, std::move(node.mapped()));
    for (auto& [name, pids] : lost) {
      drop_if_empty(s, name);
      notify(s, "leave", name, pids);
    }
  }
}

} // namespace hornbeam::runtime
