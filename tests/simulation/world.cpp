#include "world.hpp"

#include <algorithm>

namespace hornbeam::simulation {

namespace {

/// How long it may take, when nothing hinders it any longer, until all nodes
/// are connected and know what the others have: a silence is noticed, a dial
/// under way fails, a pause ends, and the next dial gets through.
constexpr milliseconds healing = detection + heartbeat + connecting
                                 + milliseconds(2500) + milliseconds(4000);

/// How long after its goodbyes a process ends.
constexpr milliseconds leaving{500};

struct place {
  std::shared_ptr<node> on;
  std::uint64_t incarnation = 0;
  int port = 4000;
};

class world {
public:
  world(std::uint64_t seed, bug with) : all_(seed), places_(roll_count()) {
    all_.with = with;
    all_.one_host = one_in(luck(), 2);
    // Then nobody looks for the other any more, and they need not meet again.
    disconnects_ = one_in(luck(), 4);
  }

  verdict live() {
    auto n = static_cast<int>(places_.size());
    for (int i = 0; i < n; ++i)
      all_.clock.after(milliseconds(roll(luck(), 0, 300)),
                       [this, i] { start(i); });
    all_.clock.run_until(time{} + milliseconds(roll(luck(), 0, 3000)));
    auto events = roll(luck(), 20, 120);
    for (int i = 0; i < events && all_.faults.empty(); ++i) {
      if (one_in(luck(), 6))
        misfortune();
      else
        work();
      all_.clock.run_until(all_.clock.now()
                           + milliseconds(roll(luck(), 0, 500)));
      look();
    }
    heal();
    settle(healing);
    if (all_.faults.empty())
      all_is_well();
    // Whoever is gone for good is forgotten.
    settle(forgetting + 2 * connecting + milliseconds(3000));
    if (all_.faults.empty())
      nothing_is_kept();
    return {all_.clock.steps(),
            all_.faults.empty() ? std::string{} : all_.faults.front(), story_};
  }

private:
  dice& luck() { return all_.random; }
  std::size_t roll_count() {
    return static_cast<std::size_t>(roll(all_.random, 2, 5));
  }
  static std::string name_of(int i) {
    return "n" + std::to_string(i) + "@host";
  }
  void tell(const std::string& what) {
    auto ms = std::chrono::duration_cast<milliseconds>(
      all_.clock.now().time_since_epoch());
    story_ += std::to_string(ms.count()) + " ms: " + what + "\n";
  }
  int any() {
    return static_cast<int>(
      roll(luck(), 0, static_cast<std::int64_t>(places_.size()) - 1));
  }
  bool alive(int i) const {
    auto& n = places_[static_cast<std::size_t>(i)].on;
    return n && n->alive();
  }
  node& at(int i) { return *places_[static_cast<std::size_t>(i)].on; }

  void start(int i) {
    if (alive(i))
      return;
    auto& p = places_[static_cast<std::size_t>(i)];
    p.port += all_.one_host; // else its peers know the port
    auto where = [&](int k, int port) {
      return "10.0.0." + std::to_string(k) + ":" + std::to_string(port);
    };
    std::vector<runtime::peer_setting> peers;
    if (!all_.one_host && i > 0)
      peers.push_back({name_of(0), where(0, 4000)});
    if (!all_.one_host && i > 1 && one_in(luck(), 2))
      peers.push_back({name_of(1), where(1, 4000)});
    all_.net.restore_power(i);
    p.on = std::make_shared<node>(all_, i, name_of(i), where(i, p.port),
                                  ++p.incarnation, std::move(peers));
    past_.push_back(p.on);
    tell("start " + name_of(i));
    p.on->start();
  }

  void work() {
    auto i = any();
    if (!alive(i))
      return;
    auto other = name_of(any());
    switch (roll(luck(), 0, 9)) {
      // The dice are thrown one after the other, in each build in this order.
      case 0: {
        auto patience = milliseconds(roll(luck(), 0, 8000));
        at(i).connect(other, patience, one_in(luck(), 2));
        return;
      }
      case 1:
      case 2: {
        auto topic = "t" + std::to_string(roll(luck(), 0, 5));
        at(i).set_members(topic, roll(luck(), 0, 3));
        return;
      }
      case 3:
      case 4:
      case 5:
        for (int k = 0; k < 5; ++k)
          at(i).request(other, milliseconds(roll(luck(), 0, 6000)));
        return;
      default:
        for (int k = 0; k < 5; ++k)
          at(i).cast(other, size());
    }
  }

  /// Of a cast: now and then it travels in pieces, or is even decoded apart.
  std::size_t size() {
    if (one_in(luck(), 20))
      return one_in(luck(), 2) ? 600'000 : 1'500'000;
    return static_cast<std::size_t>(roll(luck(), 0, 50));
  }

  void misfortune() {
    auto i = any();
    if (!alive(i)) {
      start(i);
      return;
    }
    switch (roll(luck(), 0, 9)) {
      case 0:
      case 1:
        tell("a connection breaks");
        all_.net.cut(false);
        return;
      case 2:
        tell("half a connection breaks");
        all_.net.cut(true);
        return;
      case 3: {
        std::set<int> some;
        for (int k = 0; k < static_cast<int>(places_.size()); ++k)
          if (one_in(luck(), 2))
            some.insert(k);
        tell("the network is split");
        all_.net.split(some);
        return;
      }
      case 4:
        tell("the network is whole");
        all_.net.heal();
        return;
      case 5: {
        auto d = milliseconds(roll(luck(), 100, 8000));
        tell(name_of(i) + " stands still for " + std::to_string(d.count()));
        at(i).freeze(d);
        return;
      }
      case 6:
        tell(name_of(i) + " loses power");
        at(i).lose_power();
        start_soon(i);
        return;
      case 7: {
        tell(name_of(i) + " leaves");
        at(i).leave();
        all_.clock.after(leaving, [on = at(i).shared_from_this()] {
          if (on->alive())
            on->end_process();
        });
        start_soon(i);
        return;
      }
      case 8:
        if (disconnects_) {
          auto other = name_of(any());
          tell(name_of(i) + " disconnects " + other);
          at(i).disconnect(other);
          return;
        }
        tell(name_of(i) + " is killed");
        at(i).end_process();
        start_soon(i);
        return;
      default:
        tell("the clock of " + name_of(i) + " jumps");
        at(i).jump(milliseconds(roll(luck(), 1, 20'000)));
    }
  }
  void start_soon(int i) {
    if (one_in(luck(), 2))
      all_.clock.after(milliseconds(roll(luck(), 0, 3000)),
                       [this, i] { start(i); });
  }

  void heal() {
    tell("all is healed");
    all_.net.heal();
    all_.clock.run_until(all_.clock.now() + leaving); // who is at it
    // Those that others have in their settings are there at the end; of the
    // rest some stay away.
    for (int i = 0; i < static_cast<int>(places_.size()); ++i)
      if (i < 2 || one_in(luck(), 2))
        start(i);
  }

  void settle(milliseconds d) {
    auto until = all_.clock.now() + d;
    while (all_.clock.now() < until && all_.faults.empty()) {
      all_.clock.run_until(
        std::min(until, all_.clock.now() + milliseconds(1000)));
      look();
    }
  }

  // -- what must hold --------------------------------------------------------

  /// At each time.
  void look() {
    for (auto& p : places_)
      if (p.on && p.on->alive())
        if (auto x = p.on->unanswered(); !x.empty())
          all_.broken(x + " at " + p.on->name() + " is not answered");
  }

  /// When all had time to meet.
  void all_is_well() {
    std::vector<node*> here;
    for (auto& p : places_)
      if (p.on && p.on->alive())
        here.push_back(p.on.get());
    for (auto* a : here) {
      auto links = a->links();
      for (auto* b : here) {
        if (a == b)
          continue;
        auto to = links.find(b->name());
        bool connected = to != links.end() && to->second == b->incarnation();
        auto back = b->links();
        auto from = back.find(a->name());
        bool backwards = from != back.end() && from->second == a->incarnation();
        if (connected != backwards)
          all_.broken(a->name() + " and " + b->name()
                      + " do not agree whether they are connected");
        if (!connected && !disconnects_)
          all_.broken(a->name() + " is not connected to " + b->name());
        if (connected && a->declines(b->name()))
          all_.broken(a->name() + " is connected to " + b->name()
                      + ", which it does not want");
        if (connected)
          compare(*a, *b);
      }
      for (auto& link : links)
        if (std::none_of(here.begin(), here.end(),
                         [&](auto* b) { return b->name() == link.first; }))
          all_.broken(a->name() + " is connected to " + link.first
                      + ", which is gone");
    }
  }

  /// Whether `a` knows what `b` has.
  void compare(const node& a, const node& b) {
    for (int i = 0; i <= 5; ++i) {
      auto topic = "t" + std::to_string(i);
      std::int64_t known = 0;
      for (auto& m : a.topics().remote(topic))
        if (m.node == b.name())
          known = m.count;
      if (known != b.topics().local(topic))
        all_.broken(a.name() + " takes " + std::to_string(known)
                    + " members of " + topic + " to be on " + b.name()
                    + ", where there are "
                    + std::to_string(b.topics().local(topic)));
    }
  }

  void nothing_is_kept() {
    all_is_well();
    std::size_t here = 0;
    for (auto& p : places_)
      here += p.on && p.on->alive();
    for (auto& p : places_)
      if (p.on && p.on->alive() && !disconnects_
          && p.on->known_nodes() > here + 1) // and a configured one
        all_.broken(p.on->name() + " keeps "
                    + std::to_string(p.on->known_nodes())
                    + " nodes in mind where there are " + std::to_string(here));
  }

  surroundings all_;
  std::vector<place> places_;
  std::vector<std::shared_ptr<node>> past_; ///< what they keep may be used
  std::string story_;
  bool disconnects_ = false;
};

} // namespace

verdict run(std::uint64_t seed, bug with) {
  return world{seed, with}.live();
}

} // namespace hornbeam::simulation
