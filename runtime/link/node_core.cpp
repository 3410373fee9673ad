#include "runtime/link/node_core.hpp"

#include <algorithm>
#include <cctype>
#include <random>
#include <stdexcept>

#include <unistd.h>

#include "runtime/base/host_name.hpp"
#include "runtime/base/log.hpp"
#include "runtime/link/secret.hpp"
#include "runtime/link/session.hpp"

namespace hornbeam::runtime {

namespace {

std::uint64_t random_number() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

peer_event news_of(const hello& x, const node_core& here, bool up) {
  peer_event e{x.name, x.incarnation, up};
  e.hidden = x.hidden || here.settings.hidden;
  e.listed = !x.worker;
  e.is_child = x.parent != 0 && x.parent == here.self()->incarnation;
  return e;
}

} // namespace

node_core::node_core(node_settings s)
  : settings(std::move(s)),
    registry(settings.cluster),
    self_(origin::of(settings.name.empty() ? unnamed
                                           : first_numbered(settings.name),
                     random_number())) {}

hello node_core::greeting() const {
  auto me = self();
  shared_lock_scope lock{mutex};
  hello out;
  out.name = me->name();
  out.incarnation = me->incarnation;
  out.cluster = settings.cluster;
  out.address = address;
  out.hidden = settings.hidden;
  out.worker = settings.worker;
  out.process = ::getpid();
  out.host = host_name();
  out.parent = settings.parent;
  return out;
}

std::optional<refusal> node_core::add_peer(const hello& from,
                                           std::shared_ptr<runtime::link> x) {
  auto me = self();
  auto refuse = [&](std::string why, bool again = false) {
    // What is no name may be anything, also lines of a log.
    auto who = is_node_name(from.name) ? from.name : "what connected";
    log::say_once_a_minute(again ? log::level::info : log::level::warning,
                           "link", me->name(), "refused " + who,
                           [&] { return "refused " + who + ": " + why; });
    return refusal{{error_code::refused, std::move(why), who}, again};
  };
  auto versions = [](std::uint32_t lowest, std::uint32_t highest) {
    auto text = std::to_string(lowest);
    return lowest == highest ? text : text + " to " + std::to_string(highest);
  };
  if (stopping)
    return refuse("the node " + me->name() + " is ending", true);
  if (!from.spoken_here())
    return refuse("the nodes speak different versions of the protocol: "
                  + versions(from.lowest, from.highest) + " and "
                  + versions(hello::lowest_version, hello::highest_version));
  if (!is_node_name(from.name))
    return refuse("its name is not that of a node");
  if (from.cluster != settings.cluster)
    return refuse("the node " + from.name + " belongs to cluster '"
                  + from.cluster + "', not to '" + settings.cluster + "'");
  if (from.name == me->name())
    return refuse("a node named " + from.name
                  + " exists already: each needs a name of its own");
  std::uint64_t lost = 0;
  lock_scope news{news_mutex_};
  {
    std::unique_lock lock{mutex};
    auto i = peers.find(from.name);
    if (i != peers.end())
      return refuse("a node named " + from.name + " is connected already",
                    // as when both connect at once, or it is about to go
                    i->second.link->incarnation() == from.incarnation
                      || !i->second.link->open());
    peers.emplace(from.name, peer{x, from, std::chrono::system_clock::now()});
    if (auto node = waiting_casts.extract(from.name))
      for (auto& c : node.mapped()) {
        lost += !x->cast(c.service, c.body);
        --casts_connecting;
      }
  }
  if (lost > 0)
    lose_casts(*x, lost);
  log::say(log::level::info, "link", me->name(),
           [&] { return "connected to " + from.name; });
  tell_services(from, true);
  return std::nullopt;
}

void node_core::add_session(const std::shared_ptr<session>& x,
                            const caf::actor& actor) {
  std::unique_lock lock{mutex};
  std::erase_if(sessions, [](auto& s) { return s.on.expired(); });
  sessions.push_back({x, actor.address()});
}

std::vector<caf::actor> node_core::link_actors() const {
  std::vector<caf::actor> out;
  shared_lock_scope lock{mutex};
  for (auto& x : sessions)
    if (auto a = caf::actor_cast<caf::actor>(x.actor))
      out.push_back(std::move(a));
  return out;
}

std::shared_ptr<session> node_core::find_session(
  const std::string& name) const {
  shared_lock_scope lock{mutex};
  for (auto& x : sessions)
    if (auto s = x.on.lock(); s && s->peer_hello().name == name && s->linked())
      return s;
  return nullptr;
}

bool node_core::has_member_at(const std::string& host) const {
  shared_lock_scope lock{mutex};
  return std::ranges::any_of(sessions, [&](auto& x) {
    auto s = x.on.lock();
    return s && s->linked() && s->peer_host() == host;
  });
}

template <class T>
void node_core::send_to_peering(T x) const {
  caf::actor to;
  {
    shared_lock_scope lock{mutex};
    to = peering;
  }
  if (to)
    caf::anon_send(to, std::move(x));
}

void node_core::tell_peering(
  std::function<void(runtime::peering&, clock::time_point)> f) const {
  send_to_peering(peering_event{std::move(f)});
}

void node_core::want_peer(const std::string& target, deadline until,
                          responder reply, bool to_know) const {
  send_to_peering(std::make_shared<connect_request>(
    connect_request{target, until, std::move(reply), to_know}));
}

void node_core::after_services(std::function<void()> f) {
  std::shared_ptr<void> token{nullptr, [f = std::move(f)](void*) { f(); }};
  shared_lock_scope lock{mutex};
  for (auto& [name, s] : services)
    s->post(token);
}

bool node_core::begin_join() {
  return !joining_.exchange(true);
}

namespace {

/// Those that have waited look again, and must not wait again.
thread_local bool looks_again = false;

} // namespace

void node_core::joined() {
  std::map<std::string, long> missing;
  {
    lock_scope guard{joining_mutex_};
    if (!joining_ || std::exchange(ends_joining_, true))
      return; // it has ended, or another thread is at it
    missing.swap(missing_);
  }
  if (!stopping && !missing.empty()) {
    std::string who;
    for (auto& [name, process] : missing) {
      registry.set_silent(name, true);
      if (find_link(name)) // it has answered at this moment
        registry.set_silent(name, false);
      who += (who.empty() ? "" : ", ") + name + " (pid "
             + std::to_string(process) + ")";
    }
    log::say(log::level::warning, "link", self()->name(), [&] {
      return "joined without " + who + ", which did not answer within "
             + std::to_string(settings.join_ms) + " ms";
    });
  }
  // Whoever comes meanwhile waits behind the others: casts keep their order.
  constexpr int rounds = 100; // should they come faster than they go
  for (int round = 1; joining_; ++round) {
    std::vector<std::function<void()>> waiters;
    {
      lock_scope guard{joining_mutex_};
      waiters.swap(when_joined_);
      if (waiters.empty() || round == rounds)
        joining_ = ends_joining_ = false;
    }
    looks_again = true;
    for (auto& f : waiters)
      try {
        f();
      } catch (...) { // the others wait as well
        log::say(log::level::error, "link", self()->name(),
                 "after joining: " + current_failure().message);
      }
    looks_again = false;
  }
}

void node_core::join_with(std::map<std::string, long> members) {
  {
    lock_scope guard{joining_mutex_};
    missing_ = std::move(members);
    if (!missing_.empty())
      return;
  }
  joined();
}

void node_core::member_answered(const std::string& name, bool well) {
  bool awaited = false;
  bool last = false;
  {
    lock_scope guard{joining_mutex_};
    awaited = missing_.erase(name) > 0;
    last = awaited && missing_.empty();
  }
  // Nobody has waited for it, or no longer: it is taken for silent.
  if (well && !awaited)
    registry.set_silent(name, false);
  if (last)
    joined();
}

bool node_core::when_joined(std::function<void()> f) {
  if (!joining_ || looks_again)
    return false;
  lock_scope guard{joining_mutex_};
  if (!joining_)
    return false;
  when_joined_.push_back(std::move(f));
  return true;
}

void node_core::load_secret() {
  if (settings.insecure_loopback_without_tls)
    return;
  lock_scope guard{secret_mutex_};
  if (tls_)
    return;
  tls_ = tls_context::make(read_secret(settings.secret));
}

void node_core::reload_secret() {
  if (settings.insecure_loopback_without_tls)
    return;
  if (::access(settings.secret.c_str(), F_OK) != 0) // none is made now
    throw std::runtime_error("the file of the cluster's secret "
                             + settings.secret
                             + " can't be read again: " + std::strerror(errno));
  std::shared_ptr<const tls_context> fresh;
  {
    lock_scope one_at_a_time{reloading_mutex_}; // who reads later sets later
    fresh = tls_context::make(read_secret(settings.secret));
    lock_scope guard{secret_mutex_};
    tls_ = fresh;
  }
  log::say(log::level::info, "link", self()->name(), [&] {
    return "the cluster's secret was read again from " + settings.secret;
  });
  loop->post([self = shared_from_this(), fresh] {
    std::vector<std::shared_ptr<session>> all;
    {
      shared_lock_scope lock{self->mutex};
      for (auto& x : self->sessions)
        if (auto s = x.on.lock())
          all.push_back(std::move(s));
    }
    for (auto& s : all)
      s->require_trust(*fresh);
  });
}

std::shared_ptr<const tls_context> node_core::tls() const {
  lock_scope guard{secret_mutex_};
  if (!tls_ && !settings.insecure_loopback_without_tls)
    throw std::logic_error("the cluster's secret was not read");
  return tls_;
}

void node_core::tell_services(const hello& from, bool up) {
  auto e = news_of(from, *this, up);
  for (auto& [name, s] : inline_services)
    s->peer(e);
  if (e.hidden)
    return;
  shared_lock_scope lock{mutex};
  for (auto& [name, s] : services)
    s->post(e);
}

void node_core::drop_peer(const std::shared_ptr<runtime::link>& x,
                          const failure& why) {
  {
    std::unique_lock news{news_mutex_};
    std::optional<hello> known;
    {
      std::unique_lock lock{mutex};
      auto i = peers.find(x->peer());
      if (i != peers.end() && i->second.link == x) {
        known = std::move(i->second.said);
        peers.erase(i);
      }
    }
    if (known)
      tell_services(*known, false);
  }
  // Without a lock: whoever hears that its request has failed asks others.
  if (auto lost = x->close(why); lost > 0)
    lose_casts(*x, lost);
}

bool node_core::cast_or_wait(const std::string& to, const std::string& service,
                             std::string body, bool& taken) {
  std::unique_lock lock{mutex};
  // Also to one that is over: what waits is for a node that has never been
  // here.
  if (auto i = peers.find(to); i != peers.end()) {
    auto link = i->second.link;
    lock.unlock();
    taken = link->cast(service, body);
    if (!taken)
      lose_casts(*link);
    return false;
  }
  ++casts_connecting;
  taken = true;
  auto& queue = waiting_casts[to];
  queue.push_back({service, std::move(body)});
  return queue.size() == 1;
}

failure node_core::as_told(failure why) const {
  if (why.code != error_code::ended || !(stopping || why.unsent))
    return why;
  auto me = self()->name();
  failure out{error_code::no_connection, "the node " + me + " has ended", me};
  out.unsent = why.unsent;
  return out;
}

void node_core::lose_casts(const runtime::link& to, std::uint64_t n) {
  lose_casts(
    to.peer(),
    to.open() ? "too much is waiting to be sent there" : "the node is down", n);
}

void node_core::lose_casts(const std::string& to, const char* why,
                           std::uint64_t n) {
  lost_casts += n;
  auto how = stopping ? log::level::info : log::level::warning;
  log::say_once_a_minute(how, "link", self()->name(), "lost " + to, [&] {
    return std::to_string(n) + (n == 1 ? " message" : " messages") + " to " + to
           + (n == 1 ? " is lost: " : " are lost: ") + why;
  });
}

void node_core::connection_failed(const std::string& to) {
  std::uint64_t lost = 0;
  lock_scope news{news_mutex_};
  {
    std::unique_lock lock{mutex};
    auto node = waiting_casts.extract(to);
    if (!node)
      return;
    lost = node.mapped().size();
    casts_connecting -= lost;
  }
  lose_casts(to, "there is no connection", lost);
  for (auto& [name, s] : inline_services)
    s->peer({to, 0, false, true});
}

std::shared_ptr<link> node_core::find_link(const std::string& name) const {
  shared_lock_scope lock{mutex};
  auto i = peers.find(name);
  return i != peers.end() && i->second.link->open() ? i->second.link : nullptr;
}

bool node_core::closes(const std::string& name) const {
  shared_lock_scope lock{mutex};
  auto i = peers.find(name);
  return i != peers.end() && !i->second.link->open();
}

std::vector<node_core::peer> node_core::all_peers() const {
  shared_lock_scope lock{mutex};
  std::vector<peer> out;
  for (auto& [name, p] : peers)
    out.push_back(p);
  return out;
}

void node_core::add_service(service_box_ptr x) {
  lock_scope news{news_mutex_};
  std::unique_lock lock{mutex};
  for (auto& [peer_name, p] : peers)
    if (!p.said.hidden)
      x->post(news_of(p.said, *this, true));
  auto name = x->name();
  services[name] = std::move(x);
}

void node_core::dispatch(const std::string& service, call c) {
  if (auto i = inline_services.find(service); i != inline_services.end()) {
    try {
      i->second->handle(c);
    } catch (...) {
      lost_casts += !c.reply; // it must not cost the link
      refuse(c, service, current_failure());
    }
    return;
  }
  // What is behind it goes when the node ends; the services end in order.
  if (answer_inline && !stopping && answer_inline(service, c))
    return;
  c.wait_here();
  auto kept = std::make_shared<call>(std::move(c));
  auto deliver = [&] {
    shared_lock_scope lock{mutex};
    if (service == "$peering" && peering) {
      caf::anon_send(peering, kept);
      return true;
    }
    auto i = services.find(service);
    if (i == services.end())
      return false;
    i->second->post(kept);
    return true;
  };
  if (deliver())
    return;
  if (!stopping && make_service && make_service(service) && deliver())
    return;
  refuse(*kept, service,
         stopping ? not_begun()
                  : failure{error_code::not_found, "the node " + self()->name()
                                                     + " has no service '"
                                                     + service + "'"});
}

} // namespace hornbeam::runtime
