#include "runtime/link/peering.hpp"

#include <algorithm>
#include <utility>

namespace hornbeam::runtime {

namespace {

constexpr std::uint16_t default_port = 4370;
constexpr peering::milliseconds first_pause{50};
constexpr peering::milliseconds longest_pause{2000};
/// How long whoever connects waits for what the other one has to announce.
constexpr peering::milliseconds announcing_time{1000};

failure not_connected(const std::string& name, const std::string& address,
                      const std::string& why) {
  return {error_code::no_connection,
          "can't connect to the node " + name + " at " + address + ": " + why,
          name};
}

} // namespace

failure peering::dial::no(const std::string& why) const {
  return not_connected(name, to_string(address), why);
}

peering::peering(options o) : options_(std::move(o)), random_(options_.seed) {}

std::vector<peering::effect> peering::take() {
  return std::exchange(effects_, {});
}

std::optional<peering::time> peering::next() const {
  std::optional<time> first;
  auto at = [&](const std::optional<time>& x) {
    if (x && (!first || *x < *first))
      first = x;
  };
  for (auto& [name, x] : nodes_) {
    at(x.dial_at);
    if (x.on)
      at(x.on->known_by);
    else if (x.lost && x.dialling == 0 && !x.dial_at)
      at(*x.lost + options_.forget);
  }
  return first;
}

// -- what happens -------------------------------------------------------------

void peering::start(time now) {
  for (auto& p : options_.peers) {
    if (p.name == options_.self()) // as of processes that share the settings
      continue;
    auto& x = nodes_[p.name];
    x.keep = true;
    x.pause = first_pause;
    // If two nodes name each other, the one with the smaller name goes first.
    x.dial_at = options_.self() < p.name ? now : now + 4 * first_pause;
  }
}

void peering::want(time now, std::uint64_t who, const std::string& target,
                   time until, bool to_know) {
  auto [name, address] = split_target(target);
  declined_.erase(name);
  auto i = nodes_.try_emplace(name).first;
  auto& x = i->second;
  if (!address.empty())
    x.given = address;
  x.waiters.push_back({who, until, to_know});
  x.unwanted = false;
  if (x.on) {
    x.keep = true;
    answer_waiters(x);
    if (!x.waiters.empty() && !x.on->known_by)
      x.on->known_by = now + announcing_time;
  } else if (!x.dial_at || x.waiters.size() == 1) {
    connect(now, *i); // also if a pause was to end later
  }
}

void peering::tick(time now) {
  std::vector<std::string> due;
  for (auto& [name, x] : nodes_)
    due.push_back(name);
  for (auto& name : due) {
    auto i = nodes_.find(name);
    auto& x = i->second;
    if (x.dial_at && *x.dial_at <= now) {
      x.dial_at.reset();
      // As it was when this was planned.
      if (x.keep || !x.waiters.empty())
        connect(now, *i); // and may be forgotten
    } else if (x.on && x.on->known_by && *x.on->known_by <= now)
      known(name, x.on->incarnation);
    tidy(now, name);
  }
}

bool peering::reached(std::uint64_t number, const std::string& name) {
  auto i = nodes_.find(name);
  if (i == nodes_.end() || i->second.dialling != number)
    return false;
  if (i->second.unwanted) {
    i->second.dialling = 0;
    i->second.unwanted = false;
    return false;
  }
  i->second.greets = true;
  return true;
}

void peering::failed(time now, std::uint64_t number, const std::string& name,
                     const failure& why, bool again) {
  auto i = nodes_.find(name);
  if (i == nodes_.end() || i->second.dialling != number)
    return;
  auto& x = i->second;
  x.dialling = 0;
  x.greets = x.unwanted = false;
  if (x.on)
    return; // the other's dial stands
  // Whoever can't wait any longer hears why now.
  std::erase_if(x.waiters, [&](auto& w) {
    bool patient = again && now < w.until;
    if (!patient)
      effects_.push_back(answer{w.id, false, why});
    return !patient;
  });
  if (!x.lost)
    x.lost = now;
  if (x.keep && looked_for_in_vain(now, *i)) {
    x.keep = false;
    x.announced.clear();
  }
  bool again_soon = x.keep || !x.waiters.empty();
  // Said aloud once, when it has lasted for some seconds.
  bool lasts = x.pause < longest_pause && x.pause * 2 >= longest_pause;
  effects_.push_back(
    report{again_soon && lasts ? log::level::warning : log::level::debug,
           why.message + (again_soon ? "; it is tried again" : "")});
  if (again_soon)
    connect_later(now, x);
  tidy(now, name);
}

peering::reception peering::hello(const std::string& name,
                                  std::uint64_t incarnation) const {
  auto i = nodes_.find(name);
  if (i == nodes_.end())
    return reception::accept;
  auto& x = i->second;
  if (x.dialling != 0 && x.greets && !x.on && !x.unwanted
      && options_.self() < name)
    return reception::both_dial;
  if (x.on && x.on->incarnation != incarnation)
    return reception::prove;
  return reception::accept;
}

void peering::linked(time now, std::uint64_t number, const member& peer,
                     std::uint64_t incarnation, bool hidden) {
  if (number == 0) // it wants this one
    declined_.erase(peer.name);
  auto& x = nodes_[peer.name];
  bool ours = number != 0 && x.dialling == number;
  if (!ours && x.dialling != 0) { // or it would connect them again some day
    effects_.push_back(abandon{x.dialling});
    x.unwanted = false;
  }
  x.dialling = 0;
  x.greets = false;
  x.on = link{incarnation, hidden, false, {}};
  x.announced = peer.address;
  x.dial_at.reset();
  if (ours && std::exchange(x.unwanted, false)) {
    effects_.push_back(say_goodbye{peer.name});
    return;
  }
  x.pause = first_pause;
  x.lost.reset();
  x.on_host = options_.on_host(peer.name).has_value();
  if (ours || !x.waiters.empty())
    x.keep = true; // until either side says goodbye
  answer_waiters(x);
  if (!x.waiters.empty())
    x.on->known_by = now + announcing_time;
  // Tell the newcomer whom it might not know.
  if (options_.hidden)
    return;
  tell_members news{peer.name, {}};
  for (auto& [name, other] : nodes_)
    if (other.on && !other.on->hidden && !other.announced.empty()
        && name != peer.name)
      news.members.push_back({name, other.announced});
  if (!news.members.empty())
    effects_.push_back(std::move(news));
}

void peering::known(const std::string& name, std::uint64_t incarnation) {
  auto i = nodes_.find(name);
  if (i == nodes_.end() || !i->second.on
      || i->second.on->incarnation != incarnation)
    return;
  i->second.on->known = true;
  i->second.on->known_by.reset();
  answer_waiters(i->second);
}

void peering::closed(time now, const std::string& name,
                     std::uint64_t incarnation, bool left) {
  auto i = nodes_.find(name);
  if (i == nodes_.end() || !i->second.on
      || i->second.on->incarnation != incarnation)
    return;
  auto& x = i->second;
  x.on.reset();
  x.lost = now;
  x.pause = std::max(x.pause, first_pause);
  if (left && !configured(name))
    let_go(x);
  if (x.keep || !x.waiters.empty())
    connect_later(now, x);
  tidy(now, name);
}

void peering::unwanted(const std::string& name) {
  declined_.insert(name);
  auto i = nodes_.find(name);
  if (i == nodes_.end())
    return;
  i->second.announced.clear();
  let_go(i->second);
}

void peering::told(time now, const std::vector<member>& members) {
  for (auto& m : members) {
    if (m.name == options_.self() || declined_.contains(m.name))
      continue;
    auto i = nodes_.find(m.name);
    if (i == nodes_.end()) {
      if (nodes_.size() >= most_told) {
        if (!std::exchange(said_that_full_, true))
          effects_.push_back(
            report{log::level::warning,
                   "knows " + std::to_string(nodes_.size())
                     + " nodes already, and learns of no more from others"});
        return;
      }
      i = nodes_.try_emplace(m.name).first;
    }
    auto& x = i->second;
    bool sought = std::exchange(x.keep, true); // a peer of ours sees it
    if (x.on) // though that may be a link that is dead already
      continue;
    x.announced = m.address;
    if (!sought)
      x.lost.reset();
    if (!x.dial_at)
      connect(now, *i);
  }
}

// -- how ----------------------------------------------------------------------

void peering::connect(time now, entry& e) {
  auto& name = e.first;
  auto& x = e.second;
  if (x.dialling != 0 || x.on)
    return;
  x.dialling = ++last_dial_;
  x.greets = false;
  x.on_host |= options_.on_host(name).has_value();
  auto text = address_of(e);
  auto at = parse_address(text);
  if (!at) {
    failed(now, x.dialling, name,
           not_connected(name, text,
                         "not an address of the form host:port or [::1]:port"),
           false);
    return;
  }
  dial todo{x.dialling, name, std::move(*at)};
  if (options_.loopback_only && todo.address.host != "127.0.0.1"
      && todo.address.host != "localhost")
    failed(now, x.dialling, name,
           todo.no("without TLS only loopback addresses are allowed"), false);
  else
    effects_.push_back(std::move(todo));
}

void peering::connect_later(time now, node& x) {
  if (x.dial_at)
    return;
  x.pause = std::max(x.pause, first_pause);
  // Not all at once, when a network or a node is back for all.
  std::uniform_int_distribution<long> share{75, 125};
  x.dial_at = now + x.pause * share(random_) / 100;
  x.pause = std::min(x.pause * 2, longest_pause);
}

void peering::let_go(node& x) {
  x.keep = false;
  x.unwanted = x.dialling != 0 && x.waiters.empty();
}

void peering::answer_waiters(node& x) {
  std::erase_if(x.waiters, [&](auto& w) {
    bool now = x.on->known || !w.to_know;
    if (now)
      effects_.push_back(answer{w.id, true, {}});
    return now;
  });
}

void peering::tidy(time now, const std::string& name) {
  auto i = nodes_.find(name);
  if (i == nodes_.end())
    return;
  auto& x = i->second;
  if (x.on || x.dialling != 0 || x.dial_at || !x.waiters.empty() || x.keep)
    return;
  if (!x.lost || x.announced.empty() || now - *x.lost >= options_.forget)
    nodes_.erase(i);
}

bool peering::configured(const std::string& name) const {
  auto& peers = options_.peers;
  return std::any_of(peers.begin(), peers.end(),
                     [&](auto& p) { return p.name == name; });
}

/// Whether nobody has to look for that node any longer: it has left this host,
/// or has not been seen for too long.
bool peering::looked_for_in_vain(time now, const entry& e) const {
  auto& [name, x] = e;
  if (configured(name) || !x.waiters.empty())
    return false;
  if (x.on_host && !options_.on_host(name))
    return true;
  return x.lost && now - *x.lost > options_.forget;
}

std::string peering::address_of(const entry& e) const {
  auto& [name, x] = e;
  // Who is started again has another port: then the registry of this host
  // knows better than whoever gave the address once, or what was announced.
  auto on_host = options_.on_host(name);
  if (!x.given.empty() && (!x.waiters.empty() || !on_host))
    return x.given;
  for (auto& p : options_.peers)
    if (p.name == name && !p.address.empty())
      return p.address;
  if (on_host)
    return *on_host;
  if (!x.announced.empty())
    return x.announced;
  return to_string(address{name.substr(name.find('@') + 1), default_port});
}

} // namespace hornbeam::runtime
