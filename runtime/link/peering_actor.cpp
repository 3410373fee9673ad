#include <map>
#include <optional>
#include <random>
#include <utility>

#include <unistd.h>

#include "runtime/caf/loop_actor.hpp"
#include "runtime/link/node_core.hpp"
#include "runtime/link/session.hpp"
#include "runtime/net/dialer.hpp"
#include "runtime/term/wire.hpp"

// The actor around `peering`: it brings what happens to it, in order, and does
// what it asks for. It lives in the loop of the sockets.

namespace hornbeam::runtime {

namespace {

peering::options options_of(const core_ptr& core) {
  auto& s = core->settings;
  peering::options o;
  o.self = [core = core.get()] { return core->self()->name(); };
  o.peers = s.peers;
  o.hidden = s.hidden;
  o.loopback_only = s.insecure_loopback_without_tls;
  o.forget = std::chrono::milliseconds(s.forget_ms);
  o.on_host = [core = core.get()](const std::string& name) {
    return core->registry.find(name);
  };
  o.seed = std::random_device{}();
  return o;
}

struct peering_state {
  core_ptr core;
  std::optional<peering> machine;
  std::map<std::uint64_t, responder> waiting;
  std::uint64_t last_waiter = 0;
  std::optional<clock::time_point> wakes; ///< when it was planned to `tick`
  static inline const char* name = "hornbeam.peering";

  caf::behavior run(caf::stateful_actor<peering_state>* self);

  /// False, and it is said, if `f` raises: one effect must not cost the others,
  /// nor this node all of its connections.
  template <class F>
  bool fenced(F f) const {
    try {
      f();
      return true;
    } catch (...) {
      log::say(log::level::error, "link", core->self()->name(),
               [] { return current_failure().message; });
      return false;
    }
  }
  void perform(const peering::dial& x) const;
  void perform(const peering::abandon& x) const;
  void perform(const peering::say_goodbye& x) const;
  void perform(const peering::tell_members& x) const;
  void perform(peering::answer& x);
  void perform(const peering::report& x) const;
};
using peering_actor = caf::stateful_actor<peering_state>;

void peering_state::perform(const peering::dial& x) const {
  auto no = [core = core, x](const std::string& why, bool again = false) {
    core->tell_peering([=](peering& p, clock::time_point now) {
      p.failed(now, x.number, x.name, x.no(why), again);
    });
  };
  if (core->closes(x.name)) {
    no("the last connection is not over yet", true);
    return;
  }
  std::chrono::milliseconds patience{core->settings.connect_ms};
  auto until = deadline::in(core->settings.connect_ms);
  dialer::start(core->loop, x.address, patience,
                [=, core = core](int fd, const std::string& why) {
                  if (fd < 0) {
                    no(why);
                    return;
                  }
                  std::shared_ptr<int> held{new int{fd}, [](int* still) {
                                              if (*still >= 0)
                                                ::close(*still);
                                              delete still;
                                            }};
                  core->tell_peering([=](peering& p, clock::time_point) {
                    if (!p.reached(x.number, x.name))
                      return;
                    try {
                      core->dialling[x.number] = session::dial(
                        core, std::exchange(*held, -1), x,
                        std::chrono::milliseconds(until.left_ms()));
                    } catch (...) {
                      no(current_failure().message);
                    }
                  });
                });
}

void peering_state::perform(const peering::abandon& x) const {
  if (auto node = core->dialling.extract(x.number))
    if (auto s = node.mapped().lock())
      s->abandon();
}

void peering_state::perform(const peering::say_goodbye& x) const {
  if (auto link = core->find_link(x.to))
    link->bye();
}

void peering_state::perform(const peering::tell_members& x) const {
  auto link = core->find_link(x.to);
  if (!link)
    return;
  term::sequence news;
  for (auto& m : x.members)
    news.push_back(
      term::tuple({term::string(m.name), term::string(m.address)}));
  link->tell("$peering",
             encode(make_op("members", term::list(std::move(news)))));
}

void peering_state::perform(peering::answer& x) {
  auto node = waiting.extract(x.waiter);
  if (!node)
    return;
  if (x.connected)
    node.mapped()(term{true});
  else
    node.mapped()(std::move(x.why));
}

void peering_state::perform(const peering::report& x) const {
  log::say(x.how, "link", core->self()->name(), [&] { return x.text; });
}

/// What a peer tells of others; none if it can't be read.
std::vector<peering::member> read_members(const term& op) {
  std::vector<peering::member> out;
  try {
    operation x{op};
    if (x.name == "members")
      for (auto& m : x.arg(0).items())
        out.push_back(
          {std::string{m.at(0).text()}, std::string{m.at(1).text()}});
  } catch (const std::exception&) {
    out.clear();
  }
  std::erase_if(out, [](auto& m) { return !is_node_name(m.name); });
  return out;
}

caf::behavior peering_state::run(peering_actor* self) {
  machine.emplace(options_of(core));
  auto step = [this, self](const peering_event& happened) {
    fenced([&] { happened.f(*machine, clock::now()); });
    for (auto todo = machine->take(); !todo.empty(); todo = machine->take())
      for (auto& x : todo)
        if (!fenced([&] { std::visit([this](auto& y) { perform(y); }, x); }))
          if (auto* d = std::get_if<peering::dial>(&x))
            machine->failed(clock::now(), d->number, d->name,
                            d->no(current_failure().message), true);
    auto next = machine->next();
    if (!next || (wakes && *wakes <= *next))
      return;
    wakes = next;
    self->delayed_send(self, std::max(*next - clock::now(), clock::duration{}),
                       tick_atom::value);
  };
  return {
    step,
    [=, this](const connect_request_ptr& r) {
      auto id = ++last_waiter;
      waiting.emplace(id, std::move(r->reply));
      step({[&](peering& p, clock::time_point now) {
        p.want(now, id, r->target, r->until.at, r->to_know);
      }});
    },
    [=, this](tick_atom) {
      if (!wakes || *wakes > clock::now())
        return; // what it was planned for has become earlier, and then later
      wakes.reset();
      step({[](peering& p, clock::time_point now) { p.tick(now); }});
    },
    [=](const call_ptr& c) { // from another peering actor
      step({[&](peering& p, clock::time_point now) {
        p.told(now, read_members(c->op));
      }});
    },
    [](const peer_event&) {},
  };
}

} // namespace

caf::actor spawn_peering(const core_ptr& core) {
  return core->system->spawn<loop_actor<peering_state>>(
    core->unit, [&core](peering_state& st) { st.core = core; });
}

} // namespace hornbeam::runtime
