#include "runtime/link/session.hpp"

#include <algorithm>
#include <utility>

#include "runtime/caf/loop_actor.hpp"
#include "runtime/caf/parking.hpp"
#include "runtime/net/address.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

/// In front of every hello: what speaks first here is one of us.
constexpr std::string_view magic{"HORNBEAM"};
/// Nobody has a longer name, cluster and address than that.
constexpr std::size_t longest_hello = 4096;
/// How long a goodbye waits for what was sent before it; how often it looks.
constexpr auto longest_leave = std::chrono::seconds(5);
constexpr auto leave_pause = std::chrono::milliseconds(5);
/// How long a link has to prove that it lives.
constexpr auto proof_time = std::chrono::milliseconds(500);

std::string with_length(const std::string& body) {
  std::string out;
  wire_writer{out} << body;
  return out;
}

/// What answers a hello.
struct verdict {
  bool accepted = false;
  refusal why;

  template <class Archive>
  void serialize(Archive& ar, unsigned) {
    ar& accepted;
    if (!accepted)
      ar& why.why& why.again;
  }
};

/// The actor that decodes what has come in pieces. It has a thread of its own,
/// as that may take longer than the others of the scheduler can wait.
///
/// A class, as CAF dereferences a null pointer for a function without
/// arguments.
class reader_apart : public caf::event_based_actor {
public:
  using caf::event_based_actor::event_based_actor;

  caf::behavior make_behavior() override {
    return {
      [](const to_read& x) {
        logger_share_scope here;
        x.f();
      },
      [this](shut_atom) { quit(); },
    };
  }
};

/// The actor of a link: what looks after it, and stands for the other node.
struct link_state {
  std::shared_ptr<session> on;
  static inline const char* name = "hornbeam.link";

  ~link_state() {
    if (on) // it was ended from outside
      on->end("was disconnected", log::level::info);
  }
  caf::behavior run(caf::event_based_actor* self) {
    return {
      [this, self](shut_atom) {
        on = nullptr;
        self->quit();
      },
    };
  }
};

} // namespace

std::weak_ptr<session> session::dial(core_ptr core, int fd, peering::dial x,
                                     std::chrono::milliseconds patience) {
  auto self = std::make_shared<session>(std::move(core), std::move(x));
  self->open(fd, tls_session::role::client, patience);
  return self;
}

void session::greet(core_ptr core, int fd, std::shared_ptr<half_open> g) {
  auto self = std::make_shared<session>(std::move(core), std::nullopt);
  g->turn_away = [weak = self->weak_from_this()] {
    if (auto x = weak.lock())
      x->closed("it was turned away for others");
  };
  self->half_open_ = std::move(g);
  auto patience = std::chrono::milliseconds(self->core_->settings.handshake_ms);
  self->open(fd, tls_session::role::server, patience);
}

session::session(core_ptr core, std::optional<peering::dial> x)
  : core_(std::move(core)),
    dial_(std::move(x)),
    timer_(core_->loop),
    beat_timer_(core_->loop) {}

void session::open(int fd, tls_session::role role,
                   std::chrono::milliseconds patience) {
  connection_ = connection::open(core_->loop, fd, role, core_->tls(),
                                 shared_from_this());
  timer_.after(patience, [weak = weak_from_this(), patience] {
    if (auto self = weak.lock())
      self->closed("no answer within " + std::to_string(patience.count())
                   + " ms");
  });
}

void session::flush() {
  if (auto c = connection_.lock())
    c->flush();
}

void session::say(const std::string& frame) {
  {
    lock_scope guard{mutex_};
    to_say_ += with_length(frame);
  }
  flush();
}

void session::opened() {
  if (!dialled())
    return;
  std::string body{magic};
  wire_writer{body} << core_->greeting();
  say(body);
}

std::string session::next_batch() {
  {
    lock_scope guard{mutex_};
    if (!to_say_.empty())
      return std::exchange(to_say_, {});
  }
  if (!linked_)
    return {};
  // More may follow at once, as the chunks of a stream do: those wait for each
  // other for a moment, if this is the thread that can look again.
  auto* loop = core_->loop.get();
  bool own = loop == event_loop::own();
  auto batch = link_->next_batch(own && sent_);
  sent_ = !batch.empty();
  if (batch.empty() && own && link_->lingers())
    loop->in_a_moment([weak = weak_from_this()] {
      if (auto self = weak.lock())
        self->flush();
      return false;
    });
  return batch;
}

std::size_t session::received(std::string_view frames) {
  logger_share_scope here;
  if (over_)
    return frames.size();
  if (linked_) {
    receiving_ = met_ = true;
    {
      parking::batch_wakes_scope wakes;
      link_->receive(frames, *this);
    }
    receiving_ = false;
    stall_if_behind();
    if (leaving_)
      leave();
    return frames.size();
  }
  wire_reader in{frames};
  auto body = in.take(in.length());
  if (body.size() > longest_hello)
    throw decode_error("a hello of " + std::to_string(body.size()) + " bytes");
  auto taken = frames.size() - in.remaining();
  if (dialled())
    take_answer(body);
  else
    take_hello(body);
  return taken;
}

void session::on_bye() {
  if (!core_->loop->inside()) { // behind what has come in pieces
    core_->loop->post([self = shared_from_this()] {
      self->on_bye();
      self->leave();
    });
    return;
  }
  if (!leaving_)
    leaving_ = clock::now() + longest_leave;
}

void session::apart(std::function<void()> f) {
  if (!reader_)
    try {
      reader_ = core_->system->spawn<reader_apart, caf::detached>();
    } catch (const std::exception&) { // no thread is to be had
      f();
      return;
    }
  caf::anon_send(
    reader_, to_read{[self = shared_from_this(), f = std::move(f)]() mutable {
      auto& loop = *self->core_->loop;
      try {
        if (!self->core_->stopping) // else it would be refused
          f();
      } catch (...) {
        loop.post([self, why = current_failure().message] {
          self->closed("sent what can't be read: " + why);
        });
      }
      f = nullptr; // what it has counted as under way
      if (self->stalled_ && !self->link_->behind_with_reading())
        loop.post([self] { self->go_on(); });
    }});
}

void session::stall_if_behind() {
  if (!link_->behind_with_reading())
    return;
  stalled_ = true; // first: whoever takes something apart looks at it last
  auto c = connection_.lock();
  if (c && link_->behind_with_reading())
    c->pause();
  else
    stalled_ = false;
}

void session::go_on() {
  if (!stalled_.exchange(false))
    return;
  went_on_ = clock::now();
  if (auto c = connection_.lock())
    c->resume();
}

void session::drop(const failure& why) {
  auto drop_it = [core = core_, link = link_, why,
                  then = std::exchange(when_proved_, {})] {
    core->drop_peer(link, why);
    for (auto& f : then)
      core->loop->post(f);
  };
  if (!reader_) {
    drop_it();
    return;
  }
  // Behind what has come: nobody hears of a node after its end. Until then it
  // takes nothing.
  link_->shut();
  auto reader = std::exchange(reader_, nullptr);
  caf::anon_send(reader, to_read{std::move(drop_it)});
  caf::anon_send(reader, shut_atom::value);
}

void session::leave() {
  if (over_)
    return;
  flush();
  auto c = connection_.lock();
  if (c && !link_->drained() && clock::now() < *leaving_) {
    timer_.after(leave_pause, [weak = weak_from_this()] {
      if (auto self = weak.lock())
        self->leave();
    });
    return;
  }
  if (c) {
    gently_ = true;
    c->close_gently();
  }
  end("has left");
}

void session::take_hello(std::string_view body) {
  if (std::exchange(heard_hello_, true) || !body.starts_with(magic))
    throw decode_error("no hello");
  wire_reader in{body.substr(magic.size())};
  in >> hello_;
  if (auto c = connection_.lock())
    c->pause(); // until it is decided
  core_->tell_peering(
    [self = shared_from_this()](const peering& p, clock::time_point) {
      self->decide(p);
    });
}

void session::decide(const peering& p) {
  switch (p.hello(hello_.name, hello_.incarnation)) {
    case peering::reception::accept:
      accept();
      return;
    case peering::reception::both_dial:
      refuse({{error_code::refused, "both nodes connect at the same time",
               core_->self()->name()},
              true});
      return;
    case peering::reception::prove:
      if (auto old = core_->find_session(hello_.name))
        old->prove_alive(proof_time,
                         [self = shared_from_this()] { self->accept(); });
      else
        accept();
      return;
  }
}

void session::abandon() {
  if (linked_ || over_.exchange(true))
    return;
  timer_.cancel();
  if (auto c = connection_.lock())
    c->close();
}

void session::tell_linked() {
  if (dial_)
    core_->dialling.erase(dial_->number);
  told_linked_ = true;
  core_->tell_peering([number = dial_ ? dial_->number : 0,
                       x = hello_](peering& p, clock::time_point now) {
    p.linked(now, number, {x.name, x.address}, x.incarnation, x.hidden);
  });
}

void session::accept() {
  if (over_)
    return;
  if (auto no = connect()) {
    refuse(*no);
    return;
  }
  tell_linked();
  if (auto c = connection_.lock())
    c->resume();
}

void session::refuse(const refusal& why) {
  if (over_.exchange(true))
    return;
  timer_.cancel();
  std::string body;
  wire_writer{body} << verdict{false, why};
  say(body);
  half_open_ = nullptr;
  if (auto c = connection_.lock())
    c->close_gently();
}

void session::take_answer(std::string_view body) {
  if (std::exchange(heard_hello_, true))
    throw decode_error("a second hello");
  wire_reader in{body};
  verdict x;
  in >> x;
  if (!x.accepted) {
    give_up(std::move(x.why.why), x.why.again);
    return;
  }
  in >> hello_;
  if (hello_.name != dial_->name) {
    give_up(
      {error_code::no_connection,
       "the node that answers there is " + hello_.name + ", not " + dial_->name,
       dial_->name},
      false);
    return;
  }
  if (auto no = connect()) {
    give_up(no->why, no->again);
    return;
  }
  tell_linked();
}

std::optional<refusal> session::connect() {
  logger_share_scope here; // also called by a timer
  auto wake = [weak = weak_from_this()](bool urgent) {
    auto self = weak.lock();
    if (!self)
      return;
    auto& loop = *self->core_->loop;
    if (loop.inside() && self->receiving_)
      return; // it is sent when all is received
    auto send = [self] { self->flush(); };
    if (loop.defer(send))
      return;
    if (urgent || event_loop::send_now_scope::here())
      self->flush();
    else
      loop.post(send);
  };
  auto x = std::make_shared<link>(hello_.name, hello_.incarnation,
                                  std::move(wake), core_->loop,
                                  core_->settings.link_buffer_bytes);
  link_ = x;
  // It was let in by what the secret's file held when it came.
  auto c = connection_.lock();
  auto tls = core_->tls();
  auto no
    = c && tls && !c->trusted_by(*tls)
        ? refusal{{error_code::refused, "its certificate is no longer accepted",
                   core_->self()->name()}}
        : core_->add_peer(hello_, x);
  if (no) {
    link_ = nullptr;
    return no;
  }
  timer_.cancel();
  half_open_ = nullptr;
  if (!dialled()) { // before what the link sends
    std::string body;
    wire_writer{body} << verdict{true, {}} << core_->greeting();
    lock_scope guard{mutex_};
    to_say_ += with_length(body);
  }
  linked_ = true;
  actor_ = core_->system->spawn<loop_actor<link_state>>(
    core_->unit, [self = shared_from_this()](link_state& st) { st.on = self; });
  core_->add_session(shared_from_this(), actor_);
  went_on_ = clock::now(); // it may have been paused until it was let in
  beat();
  core_->after_services([x = link_] { x->announced(); });
  flush();
  return std::nullopt;
}

void session::give_up(failure why, bool again) {
  if (over_.exchange(true))
    return;
  timer_.cancel();
  if (auto c = connection_.lock())
    c->close();
  core_->dialling.erase(dial_->number);
  core_->tell_peering([x = *dial_, again, why = std::move(why)](
                        peering& p, clock::time_point now) {
    p.failed(now, x.number, x.name, why, again);
  });
}

void session::closed(const std::string& why) {
  if (over_)
    return;
  if (linked_) {
    // Who ends before it knows of the link can't say goodbye.
    end(goodbye_said() ? "has left"
                       : "is down" + (why.empty() ? "" : " (" + why + ")"),
        met_ ? log::level::warning : log::level::info);
    return;
  }
  auto text
    = !why.empty()
        ? why
        : "the connection was closed during the handshake; do both nodes "
          "have the same secret file?";
  if (dialled()) {
    give_up(dial_->no(text), false);
    return;
  }
  over_ = true;
  timer_.cancel();
  auto c = connection_.lock();
  // Whoever only looks whether something listens is not worth a word.
  auto how = why.empty() ? log::level::debug : log::level::warning;
  auto host = half_open_ ? half_open_->host : std::string{};
  half_open_ = nullptr;
  log::say_once_a_minute(how, "link", core_->self()->name(), "no hello " + host,
                         [&] {
                           return "refused a connection from "
                                  + (c ? c->peer() : host) + ": " + text;
                         });
  if (c)
    c->close();
}

void session::beat() {
  auto c = connection_.lock();
  if (over_ || !c)
    return;
  auto limit = std::chrono::milliseconds(core_->settings.detection_ms);
  auto heard = std::max(c->heard(), went_on_);
  if (!stalled_ && clock::now() - heard > limit) {
    end("has been silent for " + std::to_string(limit.count()) + " ms");
    return;
  }
  link_->ping();
  link_->expire();
  // Those of all links together, or each would wake the loop.
  std::chrono::milliseconds pause{core_->settings.heartbeat_ms};
  auto together = std::max(pause / 8, std::chrono::milliseconds(1));
  auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
    clock::now().time_since_epoch());
  beat_timer_.after(pause - now % together, [weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->beat();
  });
}

void session::end(const std::string& why, log::level how) {
  if (over_.exchange(true))
    return;
  timer_.cancel();
  failure down{error_code::no_connection, "the node " + hello_.name + " " + why,
               hello_.name};
  bool expected = goodbye_said() || core_->stopping;
  log::say(expected ? log::level::info : how, "link", core_->self()->name(),
           down.message);
  if (auto c = connection_.lock(); c && !gently_)
    c->close();
  // First: who wants that node because of this loss wants another link.
  core_->tell_peering([x = hello_, left = goodbye_said(), core = core_,
                       was = told_linked_, dial = dial_,
                       down](peering& p, clock::time_point now) {
    if (core->stopping)
      return;
    if (was)
      p.closed(now, x.name, x.incarnation, left);
    else if (dial)
      p.failed(now, dial->number, dial->name, down, true);
  });
  drop(down);
  if (auto a = std::exchange(actor_, nullptr))
    caf::anon_send(a, shut_atom::value);
}

std::string session::peer_host() const {
  auto c = connection_.lock();
  auto at = c ? parse_address(c->peer()) : std::nullopt;
  return at ? at->host : std::string{};
}

void session::require_trust(const tls_context& x) {
  if (auto c = connection_.lock(); linked() && c && !c->trusted_by(x))
    end("shows a certificate that is no longer accepted");
}

void session::prove_alive(std::chrono::milliseconds by,
                          std::function<void()> f) {
  auto c = connection_.lock();
  if (over_ || !c) {
    f();
    return;
  }
  when_proved_.push_back(std::move(f));
  if (when_proved_.size() > 1)
    return; // it is asked already
  auto asked = clock::now();
  link_->probe();
  look_for_proof(by, asked);
}

void session::look_for_proof(std::chrono::milliseconds by,
                             clock::time_point asked) {
  timer_.after(by, [weak = weak_from_this(), by, asked] {
    auto self = weak.lock();
    if (!self || self->over_)
      return;
    if (self->stalled_) { // this node does not listen
      self->look_for_proof(by, asked);
      return;
    }
    auto now = self->connection_.lock();
    if (!now || std::max(now->heard(), self->went_on_) < asked)
      self->end("gave no sign of life, and another of its name has come");
    else
      for (auto& g : std::exchange(self->when_proved_, {}))
        g();
  });
}

void session::on_request(std::uint64_t id, const std::string& service,
                         deadline until, std::uint32_t depth,
                         std::string_view body) {
  call c;
  c.from = link_->peer();
  c.until = until;
  c.depth = depth;
  c.quota = link_;
  c.bytes = body.size();
  c.reply = responder{[on = link_, id, core = core_](const outcome& x) {
    if (x.ok())
      on->reply(id, x);
    else
      on->reply(id, core->as_told(x.error()));
  }};
  try {
    c.op = decode(body);
  } catch (...) {
    c.reply(current_failure());
    return;
  }
  core_->dispatch(service, std::move(c));
}

void session::on_announced() {
  core_->after_services(
    [core = core_, on = link_, incarnation = hello_.incarnation] {
      core->tell_peering([=](peering& p, clock::time_point) {
        if (core->find_link(on->peer()) == on) // and not a later one
          p.known(on->peer(), incarnation);
      });
    });
}

void session::on_cast(const std::string& service, std::string_view body) {
  call c;
  try {
    if (core_->take_encoded && core_->take_encoded(service, body))
      return;
    c.op = decode(body);
  } catch (const decode_error&) {
    ++core_->lost_casts; // one bad value must not cost the link
    c.from = link_->peer();
    runtime::refuse(c, service, current_failure());
    return;
  }
  c.from = link_->peer();
  c.quota = link_;
  c.bytes = body.size();
  core_->dispatch(service, std::move(c));
}

} // namespace hornbeam::runtime
