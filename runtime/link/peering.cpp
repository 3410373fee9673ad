#include <algorithm>

#include "runtime/base/log.hpp"
#include "runtime/link/node_core.hpp"
#include "runtime/term/wire.hpp"

// The actor that decides about connections; the only one that dials. It is
// what a node publishes at its port, so the first message of every peer is a
// hello that arrives here.
//
// For each node that somebody wants there is at most one attempt at a time.
// An attempt asks CAF's middleman for the other's peering actor and spawns a
// link actor that says hello to it. If two nodes dial each other at the same
// time, the attempt of the one with the smaller name stands: the other's
// hello is refused, and its waiters are served by the link that comes in.
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

struct attempt {
  bool in_flight = false;
  bool scheduled = false;
  bool keep = false; ///< try for ever
  std::string address;
  std::chrono::milliseconds pause = first_pause;
  std::vector<connect_request_ptr> waiters;
};

struct peering_state {
  core_ptr core;
  std::map<std::string, attempt> attempts;
  std::map<std::string, std::string> members; ///< name to address
  static inline const char* name = "hornbeam.peering";
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
  return name.substr(at + 1) + ":" + std::to_string(default_port);
}

bool configured(const peering_state& st, const std::string& name) {
  auto& peers = st.core->settings.peers;
  return std::any_of(peers.begin(), peers.end(),
                     [&](auto& p) { return p.name == name; });
}

void dial(peering_actor* self, const std::string& name);

void answer(attempt& a, const outcome& x) {
  auto waiters = std::move(a.waiters);
  a.waiters.clear();
  for (auto& w : waiters)
    w->reply(x);
}

void again_later(peering_actor* self, const std::string& name, attempt& a) {
  if (a.scheduled)
    return;
  a.scheduled = true;
  self->delayed_send(self, a.pause, retry_atom::value, name);
  a.pause = std::min(a.pause * 2, longest_pause);
}

void failed(peering_actor* self, const std::string& name, const failure& why,
            bool again) {
  auto i = self->state.attempts.find(name);
  if (i == self->state.attempts.end())
    return;
  auto& a = i->second;
  a.in_flight = false;
  // Whoever can't wait any longer hears why now.
  std::vector<connect_request_ptr> patient;
  for (auto& w : a.waiters) {
    if (again && !w->until.expired())
      patient.push_back(w);
    else
      w->reply(why);
  }
  a.waiters = std::move(patient);
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
    a.pause = first_pause;
    answer(a, term{true});
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
  auto address = a.address.empty() ? find_address(st, name) : a.address;
  auto colon = address.rfind(':');
  auto host = address.substr(0, colon);
  int port = 0;
  try {
    port = std::stoi(address.substr(colon + 1));
  } catch (const std::exception&) {
    port = 0;
  }
  auto no_connection = [=](const std::string& why) {
    return failure{error_code::no_connection,
                   "can't connect to the node " + name + " at " + address + ": "
                     + why,
                   name};
  };
  if (port <= 0 || port > 65535) {
    failed(self, name, no_connection("not an address of the form host:port"),
           false);
    return;
  }
  if (st.core->settings.insecure_loopback_without_tls && host != "127.0.0.1"
      && host != "localhost") {
    failed(self, name,
           no_connection("without TLS only loopback addresses are allowed"),
           false);
    return;
  }
  a.in_flight = true;
  auto& sys = st.core->dialer(); // waits while this process forks
  ++st.core->dials_in_flight;
  auto middleman = st.core->settings.insecure_loopback_without_tls
                     ? sys.middleman().actor_handle()
                     : sys.openssl_manager().actor_handle();
  self
    ->request(middleman, std::chrono::seconds(3), caf::connect_atom::value,
              host, static_cast<std::uint16_t>(port))
    .then(
      [=](const caf::node_id&, const caf::strong_actor_ptr& agent,
          const std::set<std::string>&) {
        --self->state.core->dials_in_flight;
        if (!agent) {
          failed(self, name, no_connection("no hornbeam node answers there"),
                 false);
          return;
        }
        spawn_link_to_agent(self->state.core->dialer(), self->state.core,
                            caf::actor_cast<caf::actor>(agent), name, self);
      },
      [=](caf::error& e) {
        --self->state.core->dials_in_flight;
        auto why = self->system().render(e);
        if (e == caf::sec::cannot_connect_to_node)
          why = "nothing listens there (or what does has another secret file)";
        else if (e == caf::sec::disconnect_during_handshake)
          why = "the connection was closed during the handshake; do both "
                "nodes have the same secret file?";
        else if (e == caf::sec::request_timeout)
          why = "no answer within 3000 ms";
        failed(self, name, no_connection(why), false);
      });
}

caf::behavior run(peering_actor* self, core_ptr core) {
  self->state.core = std::move(core);
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
    // A peer says hello: `remote` is its link actor.
    [=](const envelope& e, const caf::actor& remote) {
      auto& st = self->state;
      hello from;
      try {
        wire_reader in{e.bytes};
        in >> from;
      } catch (const decode_error&) {
        log::say_once_a_minute(log::level::warning, "link",
                               st.core->self()->name(), "no hello",
                               "refused what connected: it is no hornbeam node "
                               "of this version");
        return; // its attempt times out
      }
      auto i = st.attempts.find(from.name);
      if (i != st.attempts.end() && i->second.in_flight
          && st.core->self()->name() < from.name) {
        std::string bytes;
        wire_writer{bytes} << failure{error_code::refused,
                                      "both nodes connect at the same time",
                                      st.core->self()->name()};
        caf::anon_send(remote, envelope{std::move(bytes)});
        return;
      }
      spawn_link_to_peer(self->system(), st.core, remote, std::move(from));
    },
    [=](const connect_request_ptr& r) {
      auto t = parse_target(r->target);
      auto& a = self->state.attempts[t.name];
      if (!t.address.empty())
        a.address = t.address;
      a.waiters.push_back(r);
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
      i->second.scheduled = false;
      dial(self, name);
    },
    // A cast has found no way to that node.
    [=](failed_atom, const std::string& name) {
      self->state.core->connection_failed(name);
    },
    // A link has closed; `left`: with a goodbye.
    [=](forget_atom, const std::string& name, bool left) {
      auto& st = self->state;
      auto i = st.attempts.find(name);
      if (i == st.attempts.end() || st.core->stopping)
        return;
      if (left && !configured(st, name))
        i->second.keep = false;
      if (i->second.keep)
        again_later(self, name, i->second);
    },
    // The user does not want this peer any more.
    [=](shut_atom, const std::string& name) {
      self->state.members.erase(name);
      if (auto i = self->state.attempts.find(name);
          i != self->state.attempts.end())
        i->second.keep = false;
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

} // namespace

caf::actor spawn_peering(caf::actor_system& sys, core_ptr core) {
  return sys.spawn(run, std::move(core));
}

} // namespace hornbeam::runtime
