#include "runtime/link/node_core.hpp"

#include <random>

#include "runtime/base/log.hpp"

namespace hornbeam::runtime {

namespace {

std::uint64_t random_number() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

} // namespace

node_core::node_core(node_settings s)
  : settings(std::move(s)),
    registry(settings.cluster),
    self_(
      origin::of(settings.name.empty() ? "hornbeam@localhost" : settings.name,
                 random_number())) {}

hello node_core::greeting() const {
  auto me = self();
  shared_lock_scope lock{mutex};
  return {hello::current_version, me->name(), me->incarnation,
          settings.cluster,       address,    settings.hidden};
}

outcome node_core::add_peer(const hello& from,
                            std::shared_ptr<runtime::link> x) {
  auto me = self();
  auto refuse = [&](std::string why, log::level how = log::level::warning) {
    log::say_once_a_minute(how, "link", me->name(), "refused " + from.name,
                           [&] { return "refused " + from.name + ": " + why; });
    return failure{error_code::refused, std::move(why), from.name};
  };
  if (stopping)
    return refuse("the node " + me->name() + " is ending", log::level::info);
  if (from.version != hello::current_version)
    return refuse("the nodes speak different versions of the protocol: "
                  + std::to_string(from.version) + " and "
                  + std::to_string(hello::current_version));
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
                    log::level::info); // as when both connect at once
    peers.emplace(from.name, peer{x, from.address, from.hidden});
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
  tell_services(
    {from.name, from.incarnation, true, from.hidden || settings.hidden});
  return term{true};
}

void node_core::add_broker(const caf::actor& x) {
  std::unique_lock lock{mutex};
  std::erase_if(brokers,
                [](auto& a) { return !caf::actor_cast<caf::actor>(a); });
  brokers.push_back(x.address());
}

std::vector<caf::actor> node_core::all_brokers() const {
  std::vector<caf::actor> out;
  shared_lock_scope lock{mutex};
  for (auto& x : brokers)
    if (auto a = caf::actor_cast<caf::actor>(x))
      out.push_back(std::move(a));
  return out;
}

void node_core::tell_services(const peer_event& e) {
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
  std::unique_lock news{news_mutex_};
  bool known = false;
  bool hidden = false;
  {
    std::unique_lock lock{mutex};
    auto i = peers.find(x->peer());
    known = i != peers.end() && i->second.link == x;
    if (known) {
      hidden = i->second.hidden || settings.hidden;
      peers.erase(i);
    }
  }
  x->close(why);
  if (known)
    tell_services({x->peer(), x->incarnation(), false, hidden});
}

bool node_core::cast_or_wait(const std::string& to, const std::string& service,
                             std::string body, bool& taken) {
  std::unique_lock lock{mutex};
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
  return i != peers.end() ? i->second.link : nullptr;
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
    if (!p.hidden)
      x->post(peer_event{peer_name, p.link->incarnation(), true, false});
  auto name = x->name();
  services[name] = std::move(x);
}

void node_core::dispatch(const std::string& service, call_ptr c) {
  // What is behind it goes when the node ends; the services end in order.
  if (answer_inline && !stopping && answer_inline(service, *c))
    return;
  if (auto i = inline_services.find(service); i != inline_services.end()) {
    try {
      i->second->handle(*c);
    } catch (...) {
      lost_casts += !c->reply; // it must not cost the link
      refuse(*c, service, current_failure());
    }
    return;
  }
  auto deliver = [&] {
    shared_lock_scope lock{mutex};
    if (service == "$peering" && peering) {
      caf::anon_send(peering, c);
      return true;
    }
    auto i = services.find(service);
    if (i == services.end())
      return false;
    i->second->post(c);
    return true;
  };
  if (deliver())
    return;
  if (!stopping && make_service && make_service(service) && deliver())
    return;
  refuse(*c, service,
         {stopping ? error_code::ended : error_code::not_found,
          "the node " + self()->name() + " has no service '" + service + "'"});
}

} // namespace hornbeam::runtime
