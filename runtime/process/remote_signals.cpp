#include "runtime/process/relations.hpp"
#include "runtime/term/atoms.hpp"

// Links, monitors and exits that cross nodes; the protocol is at the top of
// processes.hpp.

namespace hornbeam::runtime {

namespace {

/// Whether `x` is a word: to servers in Python a str says the same as an atom.
bool is_word(const term& x, std::string_view word) {
  return (x.is(term::kind::atom) || x.is(term::kind::string))
         && x.text() == word;
}

/// Whether `x` is `{system, {Pid, Tag}, Request}` with a request that looks
/// into a server or changes it. `terminate` is not: to end a process is
/// anybody's.
bool is_debug_request(const term& x) {
  if (!x.is(term::kind::tuple))
    return false;
  auto items = x.items();
  if (items.size() != 3 || !is_word(items[0], "system"))
    return false;
  auto& request = items[2];
  return is_word(request, "get_state") || is_word(request, "suspend")
         || is_word(request, "resume")
         || (request.is(term::kind::tuple) && !request.items().empty()
             && is_word(request.items()[0], "replace_state"));
}

} // namespace

bool processes::cast(const std::string& node, const term& op) {
  // A node that ends says nothing: the others see a lost node.
  return !stopping_ && net_.cast(node, service_name, op);
}

bool processes::tell(const std::string& node, const term& op) {
  // Without a connection it goes behind what waits for one.
  return !stopping_
         && (net_.tell(node, service_name, op)
             || net_.cast(node, service_name, op));
}

void processes::count_remote(const std::string& node, std::uint64_t serial,
                             int delta) {
  lock_scope guard{remote_mutex_};
  auto& counts = remote_[node];
  auto& n = counts[serial];
  n += delta;
  if (n <= 0)
    counts.erase(serial);
  if (counts.empty())
    remote_.erase(node);
}

void processes::take_message(const term& to, term message) {
  if (!remote_debug_ && is_debug_request(message)) {
    refuse_debug(message.items()[1]);
  } else if (to.is(term::kind::atom)) { // silent if nobody has the name
    if (auto p = named(std::string{to.text()}))
      p->push(new signal(std::move(message)));
  } else {
    route(to, std::move(message));
  }
}

void processes::handle(const std::string& from, const operation& op) {
  if (op.name == "send") {
    take_message(op.arg(0), op.arg(1));
    return;
  }
  if (op.name == "exit") {
    exit_signal(op.arg(0), op.arg(1), op.arg(2));
    return;
  }
  if (op.name == "monitor") {
    auto& ref = op.arg(0);
    auto& watching = op.arg(1);
    auto& what = op.arg(2);
    auto p = what.is(term::kind::atom) ? named(std::string{what.text()})
                                       : local(what.as_pid());
    if (p) {
      count_remote(from, p->serial(), 1);
      bool by_name = what.is(term::kind::atom);
      std::unique_lock lock{p->mutex_};
      if (p->alive()) {
        p->related().monitored_by.emplace(key_of(ref),
                                          watcher{ref, watching, {}, by_name});
        lock.unlock();
        if (by_name) {
          auto key = key_of(ref);
          lock_scope guard{remote_mutex_};
          named_monitors_.emplace(std::pair{key.start, key.serial},
                                  p->serial());
        }
        return;
      }
    }
    if (p)
      count_remote(from, p->serial(), -1);
    tell(from, make_op("down", ref, watching, atoms::noproc));
    return;
  }
  if (op.name == "demonitor") {
    auto& what = op.arg(1);
    auto ref = key_of(op.arg(0));
    process_ptr p;
    if (what.is(term::kind::atom)) { // the name may have moved on
      std::unique_lock lock{remote_mutex_};
      auto node = named_monitors_.extract({ref.start, ref.serial});
      lock.unlock();
      p = node ? find(node.mapped()) : nullptr;
    } else {
      p = local(what.as_pid());
    }
    if (!p)
      return;
    std::unique_lock lock{p->mutex_};
    bool there = p->relations_ && p->relations_->monitored_by.erase(ref);
    lock.unlock();
    if (there)
      count_remote(from, p->serial(), -1);
    return;
  }
  if (op.name == "down") {
    if (auto p = local(op.arg(1).as_pid()))
      deliver_down(*p, op.arg(0).as_reference().serial, op.arg(2));
    return;
  }
  if (op.name == "ping")
    return;
  // Of two pids: the sender's, and that of one of ours.
  auto& sender = op.arg(0);
  auto& to = op.arg(1);
  auto p = local(to.as_pid());
  if (op.name == "link") {
    if (p) {
      count_remote(from, p->serial(), 1);
      lock_scope guard{p->mutex_};
      if (p->alive() && !p->related().unlinking.contains(key_of(sender))
          && p->related().links.emplace(key_of(sender), sender))
        return;
    }
    if (p)
      count_remote(from, p->serial(), -1);
    if (!p || !p->alive())
      tell(from, make_op("link_exit", to, sender, atoms::noproc));
  } else if (op.name == "unlink_ack") {
    if (p)
      forget_unlink(*p, sender, static_cast<std::uint64_t>(op.arg(2).as_int()));
  } else if (op.name == "unlink") {
    bool there = false;
    {
      lock_scope order{links_mutex_};
      if (p) {
        lock_scope guard{p->mutex_};
        there = p->relations_ && p->relations_->links.erase(key_of(sender));
      }
      tell(from, make_op("unlink_ack", to, sender, op.arg(2)));
    }
    if (there)
      count_remote(from, p->serial(), -1);
  } else if (op.name == "link_exit") {
    if (!p)
      return;
    std::vector<ending> work;
    take_link_exit(*p, sender, op.arg(2), work);
    end_all(std::move(work));
  } else {
    throw bad_term("processes know no operation '" + op.name + "'");
  }
}

void processes::refuse_debug(const term& caller) {
  if (!match(any_pid, any)(caller))
    return;
  auto items = caller.items();
  auto& tag = items[1];
  bool alias = tag.is(term::kind::reference) && tag.as_reference().owner != 0;
  static const auto why
    = term::tuple({term::atom("not_allowed"), term::atom("remote_debug")});
  route(alias ? tag : items[0],
        term::tuple({tag, term::tuple({atoms::error, why})}));
}

void processes::peer(const peer_event& e) {
  if (!e.up)
    node_lost(e.name);
  std::vector<std::uint64_t> watchers;
  {
    lock_scope guard{remote_mutex_};
    if (!e.hidden && e.listed)
      watchers.assign(node_watchers_.begin(), node_watchers_.end());
    if (!e.up)
      if (auto node = single_node_watchers_.extract(e.name))
        for (auto [serial, times] : node.mapped())
          watchers.insert(watchers.end(), static_cast<std::size_t>(times),
                          serial);
  }
  auto news = term::tuple(
    {term::atom(e.up ? "nodeup" : "nodedown"), term::atom(e.name)});
  for (auto serial : watchers)
    if (auto p = find(serial))
      p->push(new signal(news));
}

void processes::watch_nodes(process& p, bool on) {
  lock_scope guard{remote_mutex_};
  if (on)
    node_watchers_.insert(p.serial());
  else
    node_watchers_.erase(p.serial());
  node_watchers_in_use_ = !node_watchers_.empty()
                          || !single_node_watchers_.empty();
}

void processes::watch_node(process& p, const std::string& node, bool on) {
  if (node == node_->name())
    return;
  {
    lock_scope guard{remote_mutex_};
    auto& times = single_node_watchers_[node][p.serial()];
    times += on ? 1 : -1;
    if (times <= 0)
      single_node_watchers_[node].erase(p.serial());
    node_watchers_in_use_ = true;
  }
  // Connects, if there is no connection.
  if (on && !cast(node, make_op("ping")))
    peer({node, 0, false, true});
}

void processes::forget_named(const mark_key& ref) {
  lock_scope guard{remote_mutex_};
  named_monitors_.erase({ref.start, ref.serial});
}

void processes::node_lost(const std::string& node) {
  std::vector<std::uint64_t> concerned;
  {
    lock_scope guard{remote_mutex_};
    if (auto i = remote_.find(node); i != remote_.end())
      for (auto& [serial, n] : i->second)
        concerned.push_back(serial);
  }
  auto there = [&](const term& pid) {
    return pid.is(term::kind::pid) && !is_local(pid.as_pid())
           && pid.as_pid().node->name() == node;
  };
  std::vector<ending> work;
  for (auto serial : concerned) {
    auto p = find(serial);
    if (!p)
      continue;
    std::vector<term> links;
    std::vector<std::uint64_t> refs;
    int forgotten = 0;
    {
      lock_scope guard{p->mutex_};
      if (!p->relations_)
        continue;
      auto& r = *p->relations_;
      for (auto& [key, other] : r.links)
        if (there(other))
          links.push_back(other);
      for (auto& [ref, m] : r.monitors)
        if (m.node == node)
          refs.push_back(ref);
      forgotten = static_cast<int>(r.monitored_by.erase_if([&](auto& x) {
        return there(x.second.pid);
      }) + std::erase_if(r.unlinking, [&](auto& x) {
                                     return there(x.second.pid);
                                   }));
    }
    if (forgotten > 0)
      count_remote(node, serial, -forgotten);
    for (auto& ref : refs)
      deliver_down(*p, ref, atoms::noconnection);
    for (auto& other : links)
      take_link_exit(*p, other, atoms::noconnection, work);
  }
  end_all(std::move(work));
}

} // namespace hornbeam::runtime
