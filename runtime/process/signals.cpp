#include <mutex>
#include <thread>

#include "runtime/process/relations.hpp"
#include "runtime/term/atoms.hpp"

// Links, monitors and ends of processes, after the OTP manual's chapter
// "Processes" of the Erlang reference ("Signals", "Links", "Monitors").
// Everything between processes of one node happens at once, under the locks of
// both; what another node must know is cast to it (remote_signals.cpp).

namespace hornbeam::runtime {

namespace {

bool same(const term& a, const term& b) {
  return key_of(a) == key_of(b);
}

term exit_message(const term& from, const term& reason) {
  return term::tuple_of(atoms::exit, from, reason);
}

term down_message(const term& ref, const term& reported, const term& reason) {
  return term::tuple_of(atoms::down, ref, atoms::process, reported, reason);
}

const std::string& node_of(const term& pid) {
  return pid.as_pid().node->name();
}

} // namespace

// -- messages -----------------------------------------------------------------

void processes::route(const term& to, term message) {
  switch (to.type()) {
    case term::kind::pid: {
      auto& x = to.as_pid();
      if (x.local)
        x.local->push(new signal(std::move(message)));
      else if (!is_local(x))
        cast(x.node->name(), make_op("send", to, std::move(message)));
      else if (auto p = local(x))
        p->push(new signal(std::move(message)));
      return;
    }
    case term::kind::atom: {
      auto p = named(std::string{to.text()});
      if (!p)
        throw erlang_error("badarg", "no process has the name '"
                                       + std::string{to.text()} + "'");
      p->push(new signal(std::move(message)));
      return;
    }
    case term::kind::reference: {
      auto& x = to.as_reference();
      if (x.owner == 0) // no alias: leads nowhere
        return;
      if (x.local)
        x.local->push(new signal(std::move(message), x.serial));
      else if (!is_local(*x.node))
        cast(x.node->name(), make_op("send", to, std::move(message)));
      else if (auto p = local({x.node, x.owner, {}}))
        p->push(new signal(std::move(message), x.serial));
      return;
    }
    case term::kind::tuple: {
      auto items = to.items();
      if (items.size() != 2 || !items[0].is(term::kind::atom)
          || !items[1].is(term::kind::atom))
        break;
      if (items[1].text() != node_->name())
        cast(std::string{items[1].text()},
             make_op("send", items[0], std::move(message)));
      else if (auto p = named(std::string{items[0].text()}))
        p->push(new signal(std::move(message)));
      return;
    }
    default:
      break;
  }
  throw erlang_error("badarg",
                     "messages go to a pid, a name, {name, node} or an alias, "
                     "not to "
                       + to_string(to));
}

// -- links --------------------------------------------------------------------

void processes::add_link(process& from, const term& to) {
  if (!to.is(term::kind::pid))
    throw erlang_error("badarg",
                       "a link leads to a pid, not to " + to_string(to));
  auto me = pid_of(from);
  if (same(me, to))
    return;
  if (!is_local(to.as_pid())) {
    auto& node = node_of(to);
    count_remote(node, from.serial(), 1);
    bool noted = false;
    bool sent = false;
    bool unlinking = false; // which has been counted as well
    {
      lock_scope order{links_mutex_};
      {
        lock_scope guard{from.mutex_};
        noted = from.alive() && from.related().links.emplace(key_of(to), to);
        unlinking = noted && from.related().unlinking.erase(key_of(to)) > 0;
      }
      sent = noted && cast(node, make_op("link", me, to));
    }
    if (!noted || unlinking)
      count_remote(node, from.serial(), -1);
    if (noted && !sent) {
      std::vector<ending> work;
      take_link_exit(from, to, atoms::noconnection, work);
      end_all(std::move(work));
    }
    return;
  }
  if (auto other = local(to.as_pid())) {
    std::scoped_lock guard{from.mutex_, other->mutex_};
    if (!from.alive())
      return;
    if (other->alive()) {
      from.related().links.emplace(key_of(to), to);
      other->related().links.emplace(key_of(me), me);
      return;
    }
  }
  std::unique_lock lock{from.mutex_};
  if (!from.trap_exit_) {
    lock.unlock();
    throw erlang_error("noproc", "can't link to " + to_string(to.as_pid())
                                   + ": the process is dead");
  }
  from.push(new signal(exit_message(to, atoms::noproc)));
}

void processes::remove_link(process& from, const term& to) {
  if (!to.is(term::kind::pid))
    throw erlang_error("badarg",
                       "a link leads to a pid, not to " + to_string(to));
  auto me = pid_of(from);
  if (same(me, to))
    return;
  if (!is_local(to.as_pid())) {
    auto id = next_serial_.fetch_add(1);
    {
      lock_scope order{links_mutex_};
      {
        lock_scope guard{from.mutex_};
        if (!from.relations_ || !from.relations_->links.erase(key_of(to)))
          return;
        from.relations_->unlinking[key_of(to)] = {to, id};
      }
      if (tell(node_of(to),
               make_op("unlink", me, to, static_cast<std::int64_t>(id))))
        return;
    }
    forget_unlink(from, to, id); // nobody will acknowledge it
    return;
  }
  auto other = local(to.as_pid());
  if (!other)
    return;
  std::scoped_lock guard{from.mutex_, other->mutex_};
  if (from.relations_)
    from.relations_->links.erase(key_of(to));
  if (other->relations_)
    other->relations_->links.erase(key_of(me));
}

void processes::forget_unlink(process& from, const term& to, std::uint64_t id) {
  {
    lock_scope guard{from.mutex_};
    if (!from.relations_)
      return;
    auto& all = from.relations_->unlinking;
    auto i = all.find(key_of(to));
    if (i == all.end() || i->second.id != id)
      return;
    all.erase(i);
  }
  count_remote(node_of(to), from.serial(), -1);
}

// -- monitors -----------------------------------------------------------------

void processes::add_monitor(process& from, const term& ref, const term& what,
                            bool is_alias) {
  term target = what;
  term reported;
  std::string node;
  process_ptr hold;
  process* other = nullptr;
  bool by_name = !what.is(term::kind::pid);
  if (by_name) {
    if (what.is(term::kind::atom)) {
      reported = term::tuple({what, term::atom(node_->name())});
    } else if (what.is(term::kind::tuple) && what.items().size() == 2
               && what.items()[0].is(term::kind::atom)
               && what.items()[1].is(term::kind::atom)) {
      target = what.items()[0];
      reported = what;
      if (what.items()[1].text() != node_->name())
        node = what.items()[1].text();
    } else {
      throw erlang_error("badarg",
                         "a monitor watches a pid, a name or {name, node}, "
                         "not "
                           + to_string(what));
    }
    if (node.empty()) {
      hold = named(std::string{target.text()});
      other = hold.get();
      if (other != nullptr)
        target = pid_of(*other);
    }
  } else if (is_local(what.as_pid())) {
    other = reach(what.as_pid(), hold);
  } else {
    node = node_of(what);
  }
  auto serial = ref.as_reference().serial;
  auto note = [&] {
    from.related().monitors.emplace(
      serial, relations::monitor{ref, std::move(target), std::move(reported),
                                 node, is_alias});
  };
  if (!node.empty()) {
    count_remote(node, from.serial(), 1);
    auto whom = target;
    bool noted = false;
    bool sent = false;
    {
      sending now{from.sending_};
      {
        lock_scope guard{from.mutex_};
        noted = from.alive();
        if (noted)
          note();
      }
      sent = noted && cast(node, make_op("monitor", ref, pid_of(from), whom));
    }
    if (!noted)
      count_remote(node, from.serial(), -1);
    else if (!sent)
      deliver_down(from, ref.as_reference().serial, atoms::noconnection);
    return;
  }
  if (other == &from)
    return; // as in Erlang, nobody hears of its own end
  if (other != nullptr) {
    std::scoped_lock guard{from.mutex_, other->mutex_};
    if (!from.alive())
      return;
    if (other->alive()) {
      note();
      other->related().monitored_by.emplace(key_of(ref),
                                            watcher{{}, from.pid_, {}, false});
      return;
    }
  }
  {
    lock_scope guard{from.mutex_};
    if (!from.alive())
      return;
    note();
  }
  deliver_down(from, ref.as_reference().serial, atoms::noproc);
}

bool processes::remove_monitor(process& from, std::uint64_t ref) {
  std::optional<relations::monitor> m;
  {
    lock_scope guard{from.mutex_};
    if (from.relations_)
      m = from.relations_->monitors.extract(ref);
  }
  if (!m)
    return false;
  process_ptr hold;
  if (!m->node.empty()) {
    count_remote(m->node, from.serial(), -1);
    tell(m->node, make_op("demonitor", m->ref, m->target));
  } else if (auto* other = reach(m->target.as_pid(), hold)) {
    lock_scope guard{other->mutex_};
    if (other->relations_)
      other->relations_->monitored_by.erase(key_of(m->ref));
  }
  return true;
}

void processes::deliver_down(process& to, std::uint64_t ref,
                             const term& reason) {
  std::unique_lock lock{to.mutex_};
  if (!to.relations_)
    return;
  auto m = to.relations_->monitors.extract(ref);
  if (!m)
    return;
  auto* x = new signal(down_message(m->ref, m->shown(), reason));
  if (m->is_alias) {
    x->alias = ref;
    x->last = true;
  }
  // Under the lock, so that whoever demonitors finds it in the queue.
  to.push(x);
  lock.unlock();
  if (!m->node.empty())
    count_remote(m->node, to.serial(), -1);
}

void processes::on_exit(const term& pid, std::function<void(const term&)> f) {
  auto p = local(pid.as_pid());
  if (p) {
    auto ref = make_ref();
    lock_scope guard{p->mutex_};
    if (p->alive()) {
      p->related().monitored_by.emplace(key_of(ref),
                                        watcher{ref, {}, std::move(f), false});
      return;
    }
  }
  f(atoms::noproc);
}

bool processes::mark_owner(const term& pid) {
  auto p = local(pid.as_pid());
  if (!p)
    return false;
  lock_scope guard{p->mutex_};
  if (!p->alive())
    return false;
  p->related().owns_tables = true;
  return true;
}

// -- ends ---------------------------------------------------------------------

void processes::exit_signal(const term& from, const term& to,
                            const term& reason) {
  if (!to.is(term::kind::pid))
    throw erlang_error("badarg",
                       "an exit signal goes to a pid, not to " + to_string(to));
  auto& x = to.as_pid();
  if (!is_local(x)) {
    cast(x.node->name(), make_op("exit", from, to, reason));
    return;
  }
  auto p = local(x);
  if (!p)
    return;
  bool kill = reason.is_atom("kill");
  {
    lock_scope guard{p->mutex_};
    if (!p->alive())
      return;
    if (!kill && p->trap_exit_) {
      p->push(new signal(exit_message(from, reason)));
      return;
    }
    if (reason.is_atom("normal") && !same(from, to))
      return;
  }
  end(*p, kill ? atoms::killed : reason);
}

void processes::take_link_exit(process& to, const term& from,
                               const term& reason, std::vector<ending>& work) {
  bool remote = !is_local(from.as_pid());
  std::unique_lock lock{to.mutex_};
  // A signal of a link that is no more has no effect.
  if (!to.relations_ || !to.relations_->links.erase(key_of(from)))
    return;
  if (to.trap_exit_) {
    to.push(new signal(exit_message(from, reason)));
  } else if (!reason.is_atom("normal")) {
    work.push_back({process_ptr{&to}, reason});
  }
  lock.unlock();
  if (remote)
    count_remote(node_of(from), to.serial(), -1);
}

void processes::end(process& p, term reason) {
  end_all({{process_ptr{&p}, std::move(reason)}});
}

/// A chain of links is walked, not recursed into: it may be a million long.
void processes::end_all(std::vector<ending> work) {
  for (std::size_t i = 0; i < work.size(); ++i) {
    auto [p, reason] = std::exchange(work[i], {});
    std::unique_ptr<relations> rel;
    {
      lock_scope guard{p->mutex_};
      if (!p->alive())
        continue;
      rel = std::move(p->relations_);
      p->dead_.store(true);
    }
    bool asleep = p->queue_.close();
    // What its code is sending at this moment comes before the news of its
    // end; what it sends later is refused.
    while (p->sending_.load())
      std::this_thread::yield();
    alive_.fetch_sub(1, std::memory_order_relaxed);
    clock_.disarm(*p);
    if (rel)
      announce(*p, reason, *rel, work);
    p->ended(reason, asleep);
  }
}

void processes::announce(process& p, const term& reason, relations& rel,
                         std::vector<ending>& work) {
  if (!rel.name.empty()) {
    std::unique_lock lock{names_mutex_};
    if (auto i = names_.find(rel.name); i != names_.end() && i->second == &p)
      names_.erase(i);
  }
  if (rel.owns_tables)
    release_tables_(pid_of(p));
  for (auto id : rel.timers)
    clock_.cancel(id);
  if (node_watchers_in_use_) {
    lock_scope guard{remote_mutex_};
    node_watchers_.erase(p.serial());
    for (auto& [node, watchers] : single_node_watchers_)
      watchers.erase(p.serial());
  }
  auto me = pid_of(p);
  for (auto& [key, other] : rel.links) {
    if (is_local(other.as_pid())) {
      if (auto q = local(other.as_pid()))
        take_link_exit(*q, me, reason, work);
    } else {
      count_remote(node_of(other), p.serial(), -1);
      lock_scope order{links_mutex_}; // behind the link itself
      tell(node_of(other), make_op("link_exit", me, other, reason));
    }
  }
  for (auto& [key, other] : rel.unlinking)
    count_remote(node_of(other.pid), p.serial(), -1);
  for (auto& [key, w] : rel.monitored_by) {
    if (w.function) {
      w.function(reason);
    } else if (is_local(w.pid.as_pid())) {
      process_ptr hold;
      if (auto* q = reach(w.pid.as_pid(), hold))
        deliver_down(*q, key.serial, reason);
    } else {
      count_remote(node_of(w.pid), p.serial(), -1);
      if (w.by_name)
        forget_named(key);
      tell(node_of(w.pid), make_op("down", w.ref, w.pid, reason));
    }
  }
  for (auto& [serial, m] : rel.monitors) {
    if (!m.node.empty()) {
      count_remote(m.node, p.serial(), -1);
      tell(m.node, make_op("demonitor", m.ref, m.target));
    } else if (auto q = m.target.is(term::kind::pid) ? local(m.target.as_pid())
                                                     : nullptr) {
      lock_scope guard{q->mutex_};
      if (q->relations_)
        q->relations_->monitored_by.erase(key_of(m.ref));
    }
  }
}

} // namespace hornbeam::runtime
