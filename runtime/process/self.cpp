#include "runtime/process/self.hpp"

#include <algorithm>
#include <mutex>

#include "runtime/process/relations.hpp"
#include "runtime/term/atoms.hpp"

namespace hornbeam::runtime {

namespace {

std::int64_t to_ms(ticks ns) {
  return (ns + 999'999) / 1'000'000;
}

} // namespace

const term& self::pid() const {
  p_->enter();
  return p_->pid_;
}

term self::node() const {
  return term::atom(owner().node()->name());
}

ticks self::until(after time) const {
  if (time.ms < 0)
    throw erlang_error("timeout_value",
                       "a timeout is not negative: " + std::to_string(time.ms));
  return owner().clock().in(time.ms);
}

void self::send(const term& to, term message) const {
  {
    sending now{p_->sending_};
    if (p_->alive()) [[likely]] {
      owner().route(to, std::move(message));
      return;
    }
  }
  p_->enter();
}

std::vector<term> self::messages() const {
  p_->enter();
  p_->collect();
  std::vector<term> out;
  for (auto* x = *p_->first_message(); x != nullptr; x = x->next)
    out.push_back(x->body);
  return out;
}

// -- other processes ----------------------------------------------------------

void self::link(const term& other) const {
  if (p_->enter())
    owner().add_link(*p_, other);
}

void self::unlink(const term& other) const {
  if (p_->enter())
    owner().remove_link(*p_, other);
}

term self::monitor(const term& what) const {
  return new_monitor(what, false, {});
}

term self::monitor(const term& what, alias_mode mode) const {
  return new_monitor(what, true, mode);
}

term self::new_monitor(const term& what, bool is_alias, alias_mode mode) const {
  if (!p_->enter())
    return {};
  auto ref = is_alias ? owner().make_alias(*p_) : owner().make_ref();
  if (is_alias) {
    if (!p_->aliases_)
      p_->aliases_
        = std::make_unique<std::vector<std::pair<std::uint64_t, alias_mode>>>();
    p_->aliases_->emplace_back(ref.as_reference().serial, mode);
  }
  owner().add_monitor(*p_, ref, what, is_alias);
  return ref;
}

bool self::demonitor(const term& ref, bool flush) const {
  if (!p_->enter())
    return false;
  if (!ref.is(term::kind::reference))
    throw erlang_error("badarg",
                       "demonitor takes a reference, not " + to_string(ref));
  auto& r = ref.as_reference();
  if (!owner().is_local(*r.node))
    throw erlang_error("badarg",
                       "not a reference of this node: " + to_string(ref));
  bool removed = owner().remove_monitor(*p_, r.serial);
  if (r.owner == p_->serial() && p_->aliases_)
    std::erase_if(*p_->aliases_, [&](auto& a) {
      return a.first == r.serial
             && (a.second == alias_mode::demonitor
                 || a.second == alias_mode::reply_demonitor);
    });
  if (flush && !removed) {
    p_->collect();
    for (auto** at = p_->first_message(); *at != nullptr; at = &(*at)->next)
      if (match(atoms::down, ref, any, any, any)((*at)->body)) {
        p_->take(at);
        break;
      }
  }
  return removed;
}

void self::exit(const term& to, term reason) const {
  if (!p_->enter())
    return;
  owner().exit_signal(p_->pid_, to, reason);
  p_->enter(); // it may have been this one
}

void self::exit(term reason) const {
  throw exit_error{std::move(reason)};
}

term self::alias(bool once) const {
  p_->enter();
  auto ref = owner().make_alias(*p_);
  if (!p_->aliases_)
    p_->aliases_
      = std::make_unique<std::vector<std::pair<std::uint64_t, alias_mode>>>();
  p_->aliases_->emplace_back(ref.as_reference().serial,
                             once ? alias_mode::reply
                                  : alias_mode::explicit_unalias);
  return ref;
}

bool self::unalias(const term& ref) const {
  p_->enter();
  if (!ref.is(term::kind::reference))
    throw erlang_error("badarg",
                       "unalias takes a reference, not " + to_string(ref));
  auto serial = ref.as_reference().serial;
  return p_->aliases_ && std::erase_if(*p_->aliases_, [&](auto& a) {
                           return a.first == serial;
                         }) > 0;
}

bool self::trap_exit(bool on) const {
  p_->enter();
  lock_scope guard{p_->mutex_};
  return std::exchange(p_->trap_exit_, on);
}

void self::monitor_node(const std::string& node, bool on) const {
  if (p_->enter())
    owner().watch_node(*p_, node, on);
}

void self::monitor_nodes(bool on) const {
  p_->enter();
  owner().watch_nodes(*p_, on);
}

// -- names --------------------------------------------------------------------

void self::register_name(const std::string& name, const term& pid) const {
  if (p_->enter())
    owner().register_name(name, pid);
}

void self::register_name(const std::string& name) const {
  register_name(name, pid());
}

void self::unregister_name(const std::string& name) const {
  if (p_->enter())
    owner().unregister_name(name);
}

std::optional<term> self::whereis(const std::string& name) const {
  p_->enter();
  return owner().whereis(name);
}

// -- the process dictionary ---------------------------------------------------

std::optional<term> self::put(const term& key, term value) const {
  p_->enter();
  lock_scope guard{p_->mutex_};
  if (!p_->alive())
    return std::nullopt;
  auto& d = p_->related().dictionary;
  auto [i, fresh] = d.try_emplace(key, value);
  if (fresh)
    return std::nullopt;
  return std::exchange(i->second, std::move(value));
}

std::optional<term> self::get(const term& key) const {
  p_->enter();
  lock_scope guard{p_->mutex_};
  if (!p_->relations_)
    return std::nullopt;
  auto& d = p_->relations_->dictionary;
  auto i = d.find(key);
  return i != d.end() ? std::optional{i->second} : std::nullopt;
}

std::optional<term> self::erase(const term& key) const {
  p_->enter();
  lock_scope guard{p_->mutex_};
  if (!p_->relations_)
    return std::nullopt;
  auto node = p_->relations_->dictionary.extract(key);
  return node ? std::optional{std::move(node.mapped())} : std::nullopt;
}

// -- timers -------------------------------------------------------------------

term self::send_after(std::int64_t ms, const term& to, term message) const {
  if (!p_->enter())
    return {};
  return owner().set_timer(ms, to,
                           [m = std::move(message)](const term&) { return m; });
}

term self::start_timer(std::int64_t ms, const term& to, term message) const {
  if (!p_->enter())
    return {};
  return owner().set_timer(ms, to, [m = std::move(message)](const term& ref) {
    return term::tuple({atoms::timeout, ref, m});
  });
}

std::optional<std::int64_t> self::cancel_timer(const term& ref) const {
  p_->enter();
  return owner().cancel_timer(ref);
}

std::optional<std::int64_t> self::read_timer(const term& ref) const {
  p_->enter();
  if (!ref.is(term::kind::reference))
    throw erlang_error("badarg",
                       "a timer is a reference, not " + to_string(ref));
  auto left = owner().clock().left(ref.as_reference().serial);
  return left ? std::optional{to_ms(*left)} : std::nullopt;
}

term processes::set_timer(std::int64_t ms, const term& to,
                          std::function<term(const term&)> message) {
  if (ms < 0)
    throw erlang_error("badarg",
                       "a timer's time is not negative: " + std::to_string(ms));
  bool by_name = to.is(term::kind::atom);
  if (!by_name && !(to.is(term::kind::pid) && is_local(to.as_pid())))
    throw erlang_error("badarg", "a timer's message goes to a pid or a name of "
                                 "this node, not to "
                                   + to_string(to));
  auto ref = make_ref();
  auto id = ref.as_reference().serial;
  auto at = clock_.in(ms);
  if (by_name) { // looked up when it fires
    clock_.add(id, at, [this, to, ref, message = std::move(message)] {
      if (auto p = named(std::string{to.text()}))
        p->push(new signal(message(ref)));
    });
    return ref;
  }
  auto p = local(to.as_pid());
  if (!p)
    return ref;
  lock_scope guard{p->mutex_};
  if (!p->alive())
    return ref;
  p->related().timers.insert(id);
  auto fire = [p, id, ref, message = std::move(message)] {
    {
      lock_scope inside{p->mutex_};
      if (!p->relations_)
        return;
      p->relations_->timers.erase(id);
    }
    p->push(new signal(message(ref)));
  };
  clock_.add(id, at, std::move(fire), p);
  return ref;
}

std::optional<std::int64_t> processes::cancel_timer(const term& ref) {
  if (!ref.is(term::kind::reference))
    throw erlang_error("badarg",
                       "a timer is a reference, not " + to_string(ref));
  auto id = ref.as_reference().serial;
  auto was = clock_.cancel(id);
  if (!was)
    return std::nullopt;
  if (auto& p = was->target) {
    lock_scope guard{p->mutex_};
    if (p->relations_)
      p->relations_->timers.erase(id);
  }
  return to_ms(was->left);
}

} // namespace hornbeam::runtime
