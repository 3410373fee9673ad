#include <algorithm>
#include <optional>
#include <random>
#include <set>

#include "runtime/base/log.hpp"
#include "runtime/caf/loop_actor.hpp"
#include "runtime/link/node_core.hpp"
#include "runtime/link/session.hpp"
#include "runtime/net/dialer.hpp"
#include "runtime/term/wire.hpp"

// The actor that decides about connections; the only one that dials. The hello
// of every peer arrives here. It lives in the loop of the sockets.
//
// For each node that somebody wants there is at most one attempt at a time. If
// two nodes dial each other at the same time, the attempt of the one with the
// smaller name stands: the other's hello is refused, and its waiters are served
// by the link that comes in.
//
// If another incarnation of a node that is connected says hello, the old link
// has to prove that it lives: a node that was started again after its machine
// has lost power would else wait until the silence is noticed.
//
// A new peer is told the members that this node knows; each dials those it
// does not know, so that the mesh is full. Whom this node has dialled and who
// went down without a goodbye is dialled again, with growing pauses;
// configured peers after a goodbye too.

namespace hornbeam::runtime {

namespace {

constexpr std::uint16_t default_port = 4370;
constexpr auto no_pause = std::chrono::milliseconds(0);
constexpr auto first_pause = std::chrono::milliseconds(50);
constexpr auto longest_pause = std::chrono::milliseconds(2000);
/// How long whoever connects waits for what the other one has to announce.
constexpr auto announcing_time = std::chrono::milliseconds(1000);
/// How long a link has to prove that it lives.
constexpr auto proof_time = std::chrono::milliseconds(500);

struct attempt {
  bool in_flight = false;
  bool greets = false;   ///< it has reached somebody
  bool unwanted = false; ///< what it brings is left again
  bool scheduled = false;
  bool keep = false;                     ///< try until it is forgotten
  bool on_host = false;                  ///< the host's registry knew it
  std::string address;                   ///< that somebody has given
  std::optional<clock::time_point> lost; ///< not reached since
  std::chrono::milliseconds pause = first_pause;
  std::vector<connect_request_ptr> waiters;
};

struct peering_state {
  core_ptr core;
  std::map<std::string, attempt> attempts;
  std::map<std::string, std::string> members; ///< name to address
  std::set<std::string> known; ///< connected, and what they have is known
  std::minstd_rand random{std::random_device{}()};
  static inline const char* name = "hornbeam.peering";

  caf::behavior run(caf::stateful_actor<peering_state>* self);
};
using peering_actor = caf::stateful_actor<peering_state>;

struct target {
  std::string name;
  std::string address;
};

/// `name@host[:port]`, or the name alone.
target parse_target(const std::string& x) {
  auto at = x.find('@');
  auto colon = x.rfind(':');
  if (at == std::string::npos || colon == std::string::npos || colon < at)
    return {x, {}};
  return {x.substr(0, colon), x.substr(at + 1)};
}

std::string find_address(peering_state& st, const std::string& name) {
  for (auto& p : st.core->settings.peers)
    if (p.name == name && !p.address.empty())
      return p.address;
  // Before what others once said: a node that was started again has another
  // port, and the registry of this host knows it.
  if (auto found = st.core->registry.find(name))
    return *found;
  if (auto i = st.members.find(name); i != st.members.end())
    return i->second;
  auto at = name.find('@');
  return to_string(runtime::address{name.substr(at + 1), default_port});
}

bool configured(const peering_state& st, const std::string& name) {
  auto& peers = st.core->settings.peers;
  return std::any_of(peers.begin(), peers.end(),
                     [&](auto& p) { return p.name == name; });
}

void dial(peering_actor* self, const std::string& name);

/// Of those that wait for it, whoever needs no more than a link; or all.
void answer(attempt& a, bool known) {
  for (auto& w : std::exchange(a.waiters, {}))
    if (known || !w->to_know)
      w->reply(term{true});
    else
      a.waiters.push_back(w);
}

void again_later(peering_actor* self, const std::string& name, attempt& a) {
  if (a.scheduled)
    return;
  a.scheduled = true;
  // Not all at once, when a network or a node is back for all.
  std::uniform_int_distribution<long> share{75, 125};
  self->delayed_send(self, a.pause * share(self->state.random) / 100,
                     retry_atom::value, name);
  a.pause = std::min(a.pause * 2, longest_pause);
}

/// Whether nobody has to look for that node any longer: it has left this host,
/// or has not been seen for too long.
bool forgotten(peering_state& st, const std::string& name, const attempt& a) {
  if (configured(st, name) || !a.waiters.empty())
    return false;
  if (a.on_host && !st.core->registry.find(name))
    return true;
  auto limit = std::chrono::milliseconds(st.core->settings.forget_ms);
  return a.lost && clock::now() - *a.lost > limit;
}

/// A goodbye was said: nobody looks for that node, and what is under way to it
/// comes to nothing.
void let_go(attempt& a) {
  a.keep = false;
  a.unwanted = a.in_flight && a.waiters.empty();
}

void failed(peering_actor* self, const std::string& name, const failure& why,
            bool again) {
  auto i = self->state.attempts.find(name);
  if (i == self->state.attempts.end())
    return;
  auto& a = i->second;
  a.in_flight = a.unwanted = false;
  // Whoever can't wait any longer hears why now.
  std::vector<connect_request_ptr> patient;
  for (auto& w : a.waiters) {
    if (again && !w->until.expired())
      patient.push_back(w);
    else
      w->reply(why);
  }
  a.waiters = std::move(patient);
  if (!a.lost)
    a.lost = clock::now();
  if (a.keep && forgotten(self->state, name, a)) {
    a.keep = false;
    self->state.members.erase(name);
  }
  bool again_soon = a.keep || !a.waiters.empty();
  // Said aloud once, when it has lasted for some seconds.
  bool lasts = a.pause < longest_pause && a.pause * 2 >= longest_pause;
  log::say(again_soon && lasts ? log::level::warning : log::level::debug,
           "link", self->state.core->self()->name(), [&] {
             return why.message + (again_soon ? "; it is tried again" : "");
           });
  if (again_soon)
    again_later(self, name, a);
  else
    self->state.attempts.erase(i);
}

void connected(peering_actor* self, const std::string& name) {
  auto& st = self->state;
  if (auto i = st.attempts.find(name); i != st.attempts.end()) {
    auto& a = i->second;
    a.in_flight = false;
    if (std::exchange(a.unwanted, false)) {
      if (auto link = st.core->find_link(name))
        link->bye();
      return;
    }
    a.pause = first_pause;
    a.lost.reset();
    a.on_host = st.core->registry.find(name).has_value();
    answer(a, st.known.contains(name));
    if (!a.waiters.empty())
      if (auto to = st.core->find_link(name))
        self->delayed_send(self, announcing_time, known_atom::value, name,
                           to->incarnation());
    a.keep = true; // until either side says goodbye
  }
  // Tell the newcomer whom it might not know.
  auto link = st.core->find_link(name);
  if (!link || st.core->settings.hidden)
    return;
  term::sequence news;
  for (auto& p : st.core->all_peers()) {
    if (p.hidden || p.address.empty())
      continue;
    st.members[p.link->peer()] = p.address;
    if (p.link->peer() != name)
      news.push_back(
        term::tuple({term::string(p.link->peer()), term::string(p.address)}));
  }
  if (!news.empty())
    link->cast("$peering",
               encode(make_op("members", term::list(std::move(news)))));
}

void dial(peering_actor* self, const std::string& name) {
  auto& st = self->state;
  auto& a = st.attempts[name];
  if (a.in_flight)
    return;
  if (auto link = st.core->find_link(name); link && link->open()) {
    connected(self, name);
    return;
  }
  // Who is started again has another port: then the registry knows better than
  // whoever gave the address once.
  bool given = !a.address.empty()
               && (!a.waiters.empty() || !st.core->registry.find(name));
  auto address = given ? a.address : find_address(st, name);
  auto no_connection = [=](const std::string& why) {
    return failure{error_code::no_connection,
                   "can't connect to the node " + name + " at " + address + ": "
                     + why,
                   name};
  };
  auto at = parse_address(address);
  if (!at) {
    failed(self, name,
           no_connection("not an address of the form host:port or [::1]:port"),
           false);
    return;
  }
  if (st.core->settings.insecure_loopback_without_tls && at->host != "127.0.0.1"
      && at->host != "localhost") {
    failed(self, name,
           no_connection("without TLS only loopback addresses are allowed"),
           false);
    return;
  }
  a.in_flight = true;
  a.greets = false;
  auto until = deadline::in(st.core->settings.connect_ms);
  dialer::start(st.core->loop, *at,
                std::chrono::milliseconds(st.core->settings.connect_ms),
                [=, core = st.core](int fd, const std::string& why) {
                  auto tell = [&](const std::string& reason) {
                    core->tell_peering(attempt_result{name, false, false,
                                                      no_connection(reason)});
                  };
                  if (fd < 0) {
                    tell(why);
                    return;
                  }
                  core->tell_peering(greeting_atom::value, name);
                  try {
                    session::dial(core, fd, name, address,
                                  std::chrono::milliseconds(until.left_ms()));
                  } catch (...) {
                    tell(current_failure().message);
                  }
                });
}

/// Another incarnation of a node that is connected has come.
void prove(peering_actor* self, const std::shared_ptr<session>& newcomer) {
  auto& st = self->state;
  auto old = st.core->find_session(newcomer->peer_hello().name);
  if (!old) {
    newcomer->accept();
    return;
  }
  old->prove_alive(proof_time, [newcomer] { newcomer->accept(); });
}

} // namespace

caf::behavior peering_state::run(peering_actor* self) {
  return {
    // Time for the configured peers. If two nodes name each other, the one
    // with the smaller name goes first.
    [=](dial_atom) {
      auto me = self->state.core->self()->name();
      for (auto& p : self->state.core->settings.peers) {
        auto& a = self->state.attempts[p.name];
        a.keep = true;
        a.scheduled = true;
        self->delayed_send(self, me < p.name ? no_pause : first_pause * 4,
                           retry_atom::value, p.name);
      }
    },
    // A peer says hello.
    [=](hello_atom, const std::shared_ptr<session>& newcomer) {
      auto& st = self->state;
      auto& from = newcomer->peer_hello();
      auto me = st.core->self();
      auto i = st.attempts.find(from.name);
      if (i != st.attempts.end() && i->second.in_flight && i->second.greets
          && me->name() < from.name) {
        newcomer->refuse({{error_code::refused,
                           "both nodes connect at the same time", me->name()},
                          true});
        return;
      }
      auto link = st.core->find_link(from.name);
      if (link && link->incarnation() != from.incarnation)
        prove(self, newcomer);
      else
        newcomer->accept();
    },
    [=](greeting_atom, const std::string& name) {
      if (auto i = self->state.attempts.find(name);
          i != self->state.attempts.end())
        i->second.greets = true;
    },
    [=](const connect_request_ptr& r) {
      auto t = parse_target(r->target);
      auto& a = self->state.attempts[t.name];
      if (!t.address.empty())
        a.address = t.address;
      a.waiters.push_back(r);
      a.unwanted = false;
      if (!a.scheduled || a.waiters.size() == 1)
        dial(self, t.name);
    },
    [=](const attempt_result& r) {
      if (r.ok)
        connected(self, r.name);
      else
        failed(self, r.name, r.why, r.again);
    },
    [=](retry_atom, const std::string& name) {
      auto i = self->state.attempts.find(name);
      if (i == self->state.attempts.end())
        return;
      auto& a = i->second;
      a.scheduled = false;
      if (a.keep || !a.waiters.empty()) // as it was when this was planned
        dial(self, name);
      else if (!a.in_flight)
        self->state.attempts.erase(i);
    },
    // What that node has is known, or it takes too long.
    [=](known_atom, const std::string& name, std::uint64_t incarnation) {
      auto& st = self->state;
      auto link = st.core->find_link(name);
      if (!link || link->incarnation() != incarnation)
        return;
      st.known.insert(name);
      if (auto i = st.attempts.find(name); i != st.attempts.end())
        answer(i->second, true);
    },
    // A cast has found no way to that node.
    [=](failed_atom, const std::string& name) {
      self->state.core->connection_failed(name);
    },
    // A link has closed; `left`: with a goodbye.
    [=](forget_atom, const std::string& name, bool left) {
      auto& st = self->state;
      st.known.erase(name);
      auto i = st.attempts.find(name);
      if (i == st.attempts.end() || st.core->stopping)
        return;
      if (left && !configured(st, name))
        let_go(i->second);
      if (i->second.keep || !i->second.waiters.empty())
        again_later(self, name, i->second);
    },
    // The user does not want this peer any more.
    [=](shut_atom, const std::string& name) {
      self->state.members.erase(name);
      if (auto i = self->state.attempts.find(name);
          i != self->state.attempts.end())
        let_go(i->second);
    },
    [=](const call_ptr& c) { // from another peering actor
      auto& st = self->state;
      try {
        operation op{c->op};
        if (op.name != "members")
          return;
        auto me = st.core->self()->name();
        for (auto& m : op.arg(0).items()) {
          std::string name{m.at(0).text()};
          std::string address{m.at(1).text()};
          if (name == me || st.core->find_link(name))
            continue;
          st.members[name] = address;
          auto& a = st.attempts[name];
          if (!a.in_flight && !a.scheduled)
            dial(self, name);
        }
      } catch (const std::exception&) {
        return; // news that can't be read are no news
      }
    },
    [](const peer_event&) {},
  };
}

caf::actor spawn_peering(const core_ptr& core) {
  return core->system->spawn<loop_actor<peering_state>>(
    core->unit, [&core](peering_state& st) { st.core = core; });
}

} // namespace hornbeam::runtime
