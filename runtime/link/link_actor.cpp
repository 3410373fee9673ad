#include "runtime/base/log.hpp"
#include "runtime/caf/io_loop.hpp"
#include "runtime/link/node_core.hpp"
#include "runtime/term/wire.hpp"

// The actor of one link. It lives in the thread of CAF's middleman, so that a
// batch goes from here to the socket and from the socket to here without
// another thread.
//
// The side that asked for the connection ("client") spawns its link actor,
// which sends (hello, itself) to the peering actor of the other node. That
// checks the hello, spawns its own link actor and lets it answer (hello,
// itself); or it answers with a refusal alone. Then both monitor each other
// and send batches.
//
// A node dials from a CAF system of its own ("dialer") and listens with
// another: when two CAF systems connect to each other at the same time, BASP
// keeps both connections half known and loses messages (seen in 4 of 12
// tries). With two systems no pair of them ever connects twice. Therefore
// messages carry the handles they need and have no CAF sender.

namespace hornbeam::runtime {

namespace {

struct link_state {
  core_ptr core;
  std::shared_ptr<link> wire;
  std::shared_ptr<io_loop> loop; ///< none once CAF has begun to end
  caf::actor remote;
  clock::time_point heard = clock::now();
  bool leaving = false;
  static inline const char* name = "hornbeam.link";
};
using link_broker = caf::stateful_actor<link_state, caf::io::broker>;

std::string encode_hello(const hello& x) {
  std::string out;
  wire_writer{out} << x;
  return out;
}

/// Gives what a peer sent to the services of this node.
struct to_services : link::sink {
  to_services(link_broker* s) : self(s) {}

  void on_request(std::uint64_t id, const std::string& service, deadline until,
                  std::uint32_t depth, std::string_view body) override {
    auto& st = self->state;
    auto c = std::make_shared<call>();
    c->from = st.wire->peer();
    c->until = until;
    c->depth = depth;
    c->reply = responder{
      [wire = st.wire, id](const outcome& x) { wire->reply(id, x); }};
    try {
      c->op = decode(body);
    } catch (...) {
      c->reply(current_failure());
      return;
    }
    st.core->dispatch(service, std::move(c));
  }
  void on_cast(const std::string& service, std::string_view body) override {
    auto& st = self->state;
    auto c = std::make_shared<call>();
    c->from = st.wire->peer();
    try {
      c->op = decode(body);
    } catch (const decode_error&) {
      ++st.core->lost_casts; // one bad value must not cost the link
      refuse(*c, service, current_failure());
      return;
    }
    st.core->dispatch(service, std::move(c));
  }
  void on_bye() override { self->state.leaving = true; }

  link_broker* self;
};

void flush(link_broker* self) {
  auto& st = self->state;
  // More may follow at once, as the chunks of a stream do: those wait for each
  // other for a moment, if this is the thread that can look again.
  bool own = st.loop && st.loop.get() == io_loop::own();
  bool sent = false;
  for (;;) {
    auto batch = st.wire->next_batch(own && sent);
    if (batch.empty())
      break;
    sent = true;
    caf::anon_send(st.remote, envelope{std::move(batch)});
  }
  if (own && sent && st.wire->lingers())
    st.loop->in_a_moment([weak = self->address()] {
      if (auto a = caf::actor_cast<caf::actor>(weak))
        caf::anon_send(a, flush_atom::value);
      return false;
    });
}

/// Ends the link and this actor; the peer's actor hears of the latter.
void end(link_broker* self, failure why, log::level how = log::level::warning) {
  auto& st = self->state;
  if (st.wire) {
    bool expected = st.leaving || st.core->stopping;
    log::say(expected ? log::level::info : how, "link", st.core->self()->name(),
             why.message);
    st.core->drop_peer(st.wire, why);
    st.core->tell_peering(forget_atom::value, st.wire->peer(), st.leaving);
  }
  self->quit();
}

failure down(const link_state& st, const std::string& why) {
  return {error_code::no_connection, "the node " + st.wire->peer() + " " + why,
          st.wire->peer()};
}

caf::behavior connected(link_broker* self) {
  auto& its = self->state;
  its.heard = clock::now();
  self->monitor(its.remote);
  self->set_down_handler([self](caf::down_msg& m) {
    if (m.source == self->state.remote.address())
      end(self,
          down(self->state, self->state.leaving ? "has left" : "is down"));
  });
  auto beat = std::chrono::milliseconds(its.core->settings.heartbeat_ms);
  self->delayed_send(self, beat, beat_atom::value);
  return {
    [self](flush_atom) { flush(self); },
    [self](const envelope& e) {
      auto& st = self->state;
      st.heard = clock::now();
      to_services sink{self};
      try {
        st.wire->receive(e.bytes, sink);
      } catch (...) {
        end(self,
            down(st, "sent what can't be read: " + current_failure().message));
        return;
      }
      flush(self);
      if (st.leaving) // goodbyes have been said, and answered by the flush
        end(self, down(st, "has left"));
    },
    [self, beat](beat_atom) {
      auto& st = self->state;
      auto limit = std::chrono::milliseconds(st.core->settings.detection_ms);
      if (clock::now() - st.heard > limit) {
        end(self, down(st, "has been silent for "
                             + std::to_string(limit.count()) + " ms"));
        return;
      }
      st.wire->ping();
      st.wire->expire();
      self->delayed_send(self, beat, beat_atom::value);
    },
    [self](shut_atom) {
      end(self, down(self->state, "was disconnected"), log::level::info);
    },
  };
}

std::shared_ptr<link> make_link(link_broker* self, const hello& from) {
  // Weak: the actor holds the link, and a link may outlive it.
  auto loop = self->state.loop = io_loop::of(self->system());
  auto wake = [weak = self->address(), loop](bool urgent) {
    auto a = caf::actor_cast<caf::actor>(weak);
    if (!a)
      return;
    auto tell = [a] { caf::anon_send(a, flush_atom::value); };
    if (loop && loop->defer(tell))
      return;
    if ((urgent || io_loop::may_run_loop_scope::here()) && loop
        && loop->try_run(tell))
      return;
    tell();
    if (loop)
      loop->ensure_polling();
  };
  return std::make_shared<link>(from.name, from.incarnation, std::move(wake),
                                loop);
}

} // namespace

caf::actor spawn_link_to_agent(caf::actor_system& sys, core_ptr core,
                               caf::actor agent, std::string expected_name,
                               caf::actor report_to) {
  auto run = [](link_broker* self, core_ptr c, caf::actor a,
                std::string expected, caf::actor peering) -> caf::behavior {
    self->state.core = std::move(c);
    auto report = [=](bool ok, bool again, failure why) {
      caf::anon_send(peering,
                     attempt_result{expected, ok, again, std::move(why)});
      if (!ok)
        self->quit();
    };
    caf::anon_send(a, envelope{encode_hello(self->state.core->greeting())},
                   caf::actor_cast<caf::actor>(self));
    return {
      [=](const envelope& e, const caf::actor& remote) {
        auto& st = self->state;
        hello from;
        try {
          wire_reader in{e.bytes};
          in >> from;
        } catch (const decode_error&) {
          report(false, false, not_a_node());
          return;
        }
        if (from.name != expected) {
          report(false, false,
                 {error_code::no_connection,
                  "the node that answers there is " + from.name + ", not "
                    + expected,
                  expected});
          return;
        }
        auto wire = make_link(self, from);
        auto added = st.core->add_peer(from, wire);
        if (!added) {
          report(false, true, added.error());
          return;
        }
        st.wire = std::move(wire);
        st.remote = remote;
        self->become(connected(self));
        report(true, false, {});
      },
      [=](const envelope& e) { // a refusal
        failure why;
        try {
          wire_reader in{e.bytes};
          in >> why;
        } catch (const decode_error&) {
          why = not_a_node();
        }
        report(false, true, std::move(why));
      },
      caf::after(std::chrono::seconds(3)) >>
        [=] {
          report(
            false, true,
            {error_code::no_connection, "no answer within 3000 ms", expected});
        },
    };
  };
  auto out = sys.middleman().spawn_broker(run, core, std::move(agent),
                                          std::move(expected_name),
                                          std::move(report_to));
  core->add_broker(out);
  return out;
}

caf::actor spawn_link_to_peer(caf::actor_system& sys, core_ptr core,
                              caf::actor remote, hello from) {
  auto run = [](link_broker* self, core_ptr c, caf::actor other,
                const hello& h) -> caf::behavior {
    auto& st = self->state;
    st.core = std::move(c);
    auto wire = make_link(self, h);
    auto added = st.core->add_peer(h, wire);
    if (!added) {
      std::string bytes;
      wire_writer{bytes} << added.error();
      caf::anon_send(other, envelope{std::move(bytes)});
      self->quit();
      return {};
    }
    st.wire = std::move(wire);
    st.remote = std::move(other);
    caf::anon_send(st.remote, envelope{encode_hello(st.core->greeting())},
                   caf::actor_cast<caf::actor>(self));
    st.core->tell_peering(attempt_result{h.name, true, false, {}});
    return connected(self);
  };
  auto out = sys.middleman().spawn_broker(run, core, std::move(remote),
                                          std::move(from));
  core->add_broker(out);
  return out;
}

} // namespace hornbeam::runtime
