#include "runtime/node_core.hpp"

#include <random>

namespace hornbeam::runtime {

namespace {

std::uint64_t random_number() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

} // namespace

node_core::node_core(node_settings s)
  : settings(std::move(s)), registry(settings.cluster) {
  self_.store(std::make_shared<const origin>(
    origin{settings.name.empty() ? "hornbeam@localhost" : settings.name,
           random_number()}));
}

hello node_core::greeting() const {
  auto me = self();
  std::shared_lock lock{mutex};
  return {hello::current_version, me->name, me->incarnation,
          settings.cluster,       address,  settings.hidden};
}

outcome node_core::add_peer(const hello& from,
                            std::shared_ptr<runtime::link> x) {
  auto refuse = [&](std::string why) {
    return failure{error_code::refused, std::move(why), from.name, {}, {}};
  };
  auto me = self();
  if (stopping)
    return refuse("the node " + me->name + " is ending");
  if (from.version != hello::current_version)
    return refuse("the nodes speak different versions of the protocol: "
                  + std::to_string(from.version) + " and "
                  + std::to_string(hello::current_version));
  if (from.cluster != settings.cluster)
    return refuse("the node " + from.name + " belongs to cluster '"
                  + from.cluster + "', not to '" + settings.cluster + "'");
  if (from.name == me->name)
    return refuse("a node named " + from.name
                  + " exists already: each needs a name of its own");
  {
    std::unique_lock lock{mutex};
    auto i = peers.find(from.name);
    if (i != peers.end())
      return refuse("a node named " + from.name + " is connected already");
    peers.emplace(from.name, peer{x, from.address, from.hidden});
    // Under the lock, so that services hear of ups and downs in their order.
    if (!from.hidden && !settings.hidden)
      for (auto& [name, s] : services)
        caf::anon_send(s, peer_event{from.name, from.incarnation, true});
  }
  return term{true};
}

void node_core::drop_peer(const std::shared_ptr<runtime::link>& x,
                          const failure& why) {
  {
    std::unique_lock lock{mutex};
    auto i = peers.find(x->peer());
    if (i != peers.end() && i->second.link == x) {
      if (!i->second.hidden && !settings.hidden)
        for (auto& [name, s] : services)
          caf::anon_send(s, peer_event{x->peer(), x->incarnation(), false});
      peers.erase(i);
    }
  }
  x->close(why);
}

std::shared_ptr<link> node_core::find_link(const std::string& name) const {
  std::shared_lock lock{mutex};
  auto i = peers.find(name);
  return i != peers.end() ? i->second.link : nullptr;
}

std::vector<node_core::peer> node_core::all_peers() const {
  std::shared_lock lock{mutex};
  std::vector<peer> out;
  for (auto& [name, p] : peers)
    out.push_back(p);
  return out;
}

void node_core::rename(std::string name) {
  auto old = self();
  self_.store(
    std::make_shared<const origin>(origin{std::move(name), old->incarnation}));
}

void node_core::add_service(const std::string& name, caf::actor x) {
  std::unique_lock lock{mutex};
  for (auto& [peer_name, p] : peers)
    if (!p.hidden)
      caf::anon_send(x, peer_event{peer_name, p.link->incarnation(), true});
  services[name] = std::move(x);
}

void node_core::dispatch(const std::string& service, call_ptr c) {
  auto deliver = [&] {
    std::shared_lock lock{mutex};
    auto i = services.find(service);
    if (i == services.end())
      return false;
    caf::anon_send(i->second, c);
    return true;
  };
  if (deliver())
    return;
  if (!stopping && make_service && make_service(service) && deliver())
    return;
  if (c->reply)
    c->reply(
      failure{stopping ? error_code::ended : error_code::not_found,
              "the node " + self()->name + " has no service '" + service + "'",
              {},
              {},
              {}});
}

} // namespace hornbeam::runtime
