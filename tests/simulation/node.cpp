#include "node.hpp"

#include <algorithm>

#include "runtime/term/wire.hpp"

namespace hornbeam::simulation {

using namespace runtime;

namespace {

constexpr std::size_t most_open_calls = 200;
constexpr int most_ticks = 50;

peering::options options_of(surroundings& w, const std::string& name,
                            std::vector<peer_setting> peers) {
  peering::options o;
  o.self = [name] { return name; };
  o.peers = std::move(peers);
  o.forget = forgetting;
  o.on_host = [&w](const std::string& x) -> std::optional<std::string> {
    auto i = w.registry.find(x);
    if (!w.one_host || i == w.registry.end())
      return std::nullopt;
    return i->second;
  };
  o.seed = static_cast<unsigned>(w.random());
  return o;
}

} // namespace

node::node(surroundings& world, int machine, std::string name,
           std::string address, std::uint64_t incarnation,
           std::vector<peer_setting> peers)
  : world_(world),
    machine_(machine),
    self_(std::make_shared<self_name>(self_name{std::move(name)})),
    address_(std::move(address)),
    incarnation_(incarnation),
    origin_(origin::of(self_->name_, incarnation)),
    peering_(options_of(world, self_->name_, std::move(peers))),
    topics_(*this, "topics") {}

void node::start() {
  world_.registry[name()] = address_;
  world_.net.listen(
    address_, machine_, [weak = weak_from_this()](const end_ptr& wire) {
      auto self = weak.lock();
      if (!self || !self->alive_)
        return;
      auto s = std::make_shared<session>(*self, wire, std::nullopt);
      self->sessions_.push_back(s);
      s->open(connecting);
    });
  run([this] {
    tell_peering([this](peering& p) { p.start(now()); });
    if (!world_.one_host)
      return;
    std::vector<peering::member> others;
    for (auto& [other, where] : world_.registry)
      if (other != name())
        others.push_back({other, where});
    tell_peering([=, this](peering& p) { p.told(now(), others); });
  });
}

// -- its process --------------------------------------------------------------

void node::run(std::function<void()> f) {
  if (!alive_)
    return;
  if (world_.clock.now() < frozen_until_ || !frozen_.empty()) {
    frozen_.push_back(std::move(f));
    return;
  }
  f();
  settle();
}

void node::thaw() {
  if (world_.clock.now() < frozen_until_)
    return; // it stands still for longer
  for (auto& f : std::exchange(frozen_, {}))
    run(std::move(f));
}

void node::after(milliseconds d, std::function<void()> f) {
  world_.clock.after(d, [weak = weak_from_this(), f = std::move(f)]() mutable {
    if (auto self = weak.lock())
      self->run(std::move(f));
  });
}

void node::tell_peering(std::function<void(peering&)> f) {
  mail_.push_back(std::move(f));
  if (!std::exchange(mail_comes_, true))
    after(milliseconds(roll(world_.random, 0, 2)), [this] { take_mail(); });
}

void node::take_mail() {
  mail_comes_ = false;
  for (auto& f : std::exchange(mail_, {})) {
    f(peering_);
    do_what_is_asked();
  }
}

void node::do_what_is_asked() {
  for (auto todo = peering_.take(); !todo.empty(); todo = peering_.take())
    for (auto& x : todo)
      std::visit([this](auto& y) { perform(y); }, x);
}

void node::settle() {
  do_what_is_asked();
  for (auto& s : std::vector{sessions_})
    s->flush();
  std::erase_if(sessions_, [](auto& s) { return s->over_; });
  auto next = peering_.next();
  if (!next || world_.with == bug::no_timers || (wakes_ && *wakes_ <= *next))
    return;
  wakes_ = next;
  if (++ticks_ > most_ticks)
    world_.broken(name() + " plans more and more ticks");
  auto wait = std::chrono::ceil<milliseconds>(*next - now());
  after(std::max(wait, milliseconds(0)), [this] {
    --ticks_;
    if (!wakes_ || *wakes_ > now())
      return;
    wakes_.reset();
    peering_.tick(now());
    if (auto then = peering_.next(); then && *then <= now())
      world_.broken(name() + " is to tick without an end");
  });
}

void node::post(note x) {
  notes_.push_back(std::move(x));
  if (world_.with == bug::swapped && notes_.size() > 1
      && one_in(world_.random, 3))
    std::swap(notes_.back(), notes_[notes_.size() - 2]);
  serve();
}

void node::serve() {
  if (notes_.empty() || std::exchange(serving_, true))
    return;
  after(milliseconds(roll(world_.random, 0, 5)), [this] {
    serving_ = false;
    auto x = std::move(notes_.front());
    notes_.pop_front();
    if (auto* e = std::get_if<peer_event>(&x)) {
      auto was = up_.find(e->name);
      bool is_up = was != up_.end();
      if (e->up == is_up)
        world_.broken("the services of " + name() + " hear twice that "
                      + e->name + " is " + (e->up ? "up" : "down"));
      if (e->up)
        up_[e->name] = e->incarnation;
      else
        up_.erase(e->name);
      if (world_.with != bug::no_sync || !e->up)
        topics_.peer(*e);
    } else if (auto* c = std::get_if<call_ptr>(&x)) {
      handle(**c);
    } else {
      std::get<std::function<void()>>(x)();
    }
    serve();
  });
}

void node::handle(const call& c) {
  auto copy = std::make_shared<call>();
  copy->from = c.from;
  copy->op = c.op;
  operation op{copy->op};
  topics_.handle(*copy, op);
}

// -- what its program does ----------------------------------------------------

void node::connect(const std::string& target, milliseconds patience,
                   bool to_know) {
  run([=, this] { want(target, patience, to_know); });
}

void node::want(const std::string& target, milliseconds patience,
                bool to_know) {
  auto id = ++last_id_;
  auto until = now() + patience;
  waiters_[id] = {false, until, target, made_[target], to(target) != nullptr};
  declined_.erase(target);
  tell_peering(
    [=, this](peering& p) { p.want(now(), id, target, until, to_know); });
}

void node::disconnect(const std::string& peer) {
  run([=, this] {
    // Who has asked for it and still waits gets it all the same.
    if (std::none_of(waiters_.begin(), waiters_.end(), [&](auto& x) {
          return x.second.whom == peer && !x.second.answered;
        }))
      declined_.insert(peer);
    tell_peering([peer](peering& p) { p.unwanted(peer); });
    if (auto s = to(peer))
      s->link_->bye();
  });
}

void node::request(const std::string& peer, milliseconds patience) {
  run([=, this] {
    auto s = to(peer);
    if (!s || calls_.size() > most_open_calls)
      return;
    auto id = ++last_id_;
    calls_[id] = {s, false, now() + patience};
    auto on_answer = [weak = weak_from_this(), id,
                      to = peer](const outcome& x) {
      auto self = weak.lock();
      if (!self || !self->alive_)
        return; // it has ended with all that waits in it
      auto i = self->calls_.find(id);
      if (i == self->calls_.end() || std::exchange(i->second.answered, true))
        self->world_.broken("a request of " + self->name()
                            + " is answered twice");
      // Who has asked a node that is lost may ask it again, or another.
      if (!x && one_in(self->world_.random, 3))
        self->want(to, milliseconds(3000), false);
      if (x.ok() && x->as_int() != static_cast<std::int64_t>(id))
        self->world_.broken("a request of " + self->name()
                            + " gets another's answer");
    };
    s->link_->request("echo", encode(term{static_cast<std::int64_t>(id)}),
                      deadline{now() + patience}, 0, responder{on_answer},
                      now());
  });
}

void node::cast(const std::string& peer, std::size_t bytes) {
  run([=, this] {
    auto s = to(peer);
    if (!s)
      return;
    auto body = encode(
      make_op("seq", s->sent_casts_ + 1, term::bytes(std::string(bytes, 'x'))));
    if (s->link_->cast("order", body))
      ++s->sent_casts_;
  });
}

void node::set_members(const std::string& topic, std::int64_t count) {
  run([=, this] { topics_.set_local(topic, count); });
}

void node::leave() {
  run([this] {
    for (auto& [peer, s] : peers_)
      s->link_->bye();
  });
}

// -- what happens to it -------------------------------------------------------

void node::end_process() {
  alive_ = false;
  world_.net.stop_listening(address_);
  world_.registry.erase(name());
  for (auto& s : sessions_)
    s->wire_->close();
}

void node::lose_power() {
  alive_ = false;
  world_.registry.erase(name());
  world_.net.lose_power(machine_);
  world_.net.stop_listening(address_);
}

void node::freeze(milliseconds d) {
  frozen_until_ = std::max(frozen_until_, world_.clock.now() + d);
  awake_since_ = std::max(awake_since_, frozen_until_ + ahead_);
  world_.clock.at(frozen_until_, [weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->thaw();
  });
}

void node::jump(milliseconds ahead) {
  ahead_ += ahead;
  awake_since_ = std::max(awake_since_ + ahead, now());
  wakes_.reset();
  run([] {});
}

// -- what peering asks for ----------------------------------------------------

void node::perform(const peering::dial& x) {
  auto done = [weak = weak_from_this(), x](const end_ptr& wire) {
    auto self = weak.lock();
    if (!self)
      return;
    self->run([self = self.get(), x, wire] {
      if (!wire) {
        self->tell_peering([self, x](peering& p) {
          p.failed(self->now(), x.number, x.name,
                   {error_code::no_connection, "not reached", x.name}, false);
        });
        return;
      }
      self->tell_peering([self, x, wire](peering& p) {
        if (!p.reached(x.number, x.name)) {
          wire->close();
          return;
        }
        auto s = std::make_shared<session>(*self, wire, x);
        self->sessions_.push_back(s);
        s->open(connecting);
      });
    });
  };
  world_.net.dial(machine_, to_string(x.address), connecting, done);
}

void node::perform(const peering::abandon& x) {
  for (auto& s : sessions_)
    if (s->dial_ && s->dial_->number == x.number && !s->link_ && !s->over_) {
      s->over_ = true;
      s->wire_->close();
    }
}

void node::perform(const peering::say_goodbye& x) {
  if (auto s = to(x.to))
    s->link_->bye();
}

void node::perform(const peering::tell_members& x) {
  auto s = to(x.to);
  if (!s || world_.with == bug::no_members)
    return;
  term::sequence news;
  for (auto& m : x.members)
    news.push_back(
      term::tuple({term::string(m.name), term::string(m.address)}));
  s->link_->tell("$peering",
                 encode(make_op("members", term::list(std::move(news)))));
}

void node::perform(const peering::answer& x) {
  auto i = waiters_.find(x.waiter);
  if (i == waiters_.end() || std::exchange(i->second.answered, true))
    world_.broken(name() + " answers somebody who does not wait");
  else if (auto& w = i->second;
           x.connected && !w.had_link && w.made == made_[w.whom])
    world_.broken(name() + " says that " + w.whom
                  + " is connected, and it was not since it was asked");
}

// -- its peers ----------------------------------------------------------------

std::shared_ptr<session> node::to(const std::string& peer) const {
  auto i = peers_.find(peer);
  return i != peers_.end() ? i->second : nullptr;
}

/// None: it is taken in. Else whether it may try again.
std::optional<bool> node::add_peer(const std::shared_ptr<session>& s) {
  auto& from = s->peer_;
  if (from.name == name())
    return false;
  if (auto other = to(from.name))
    return other->peer_.incarnation == from.incarnation || other->over_;
  peers_[from.name] = s;
  ++made_[from.name];
  post(peer_event{from.name, from.incarnation, true, false});
  return std::nullopt;
}

void node::drop_peer(session& s) {
  auto i = peers_.find(s.peer_.name);
  bool known = i != peers_.end() && i->second.get() == &s;
  auto self = s.shared_from_this();
  if (known)
    peers_.erase(i);
  if (world_.with != bug::open_for_ever)
    s.link_->close({error_code::no_connection, "down", s.peer_.name});
  for (auto& [id, c] : calls_)
    if (c.on.lock() == self && !c.answered)
      world_.broken("a request of " + name() + " outlives its link");
  std::erase_if(calls_, [](auto& x) { return x.second.answered; });
  if (known)
    post(peer_event{s.peer_.name, s.peer_.incarnation, false, false});
}

std::map<std::string, std::uint64_t> node::links() const {
  std::map<std::string, std::uint64_t> out;
  for (auto& [peer, s] : peers_)
    out[peer] = s->peer_.incarnation;
  return out;
}

std::string node::unanswered() const {
  auto late = [this](time until, milliseconds patience) {
    return std::max(until, awake_since_) + patience < now();
  };
  for (auto& [id, w] : waiters_)
    if (!w.answered && late(w.until, 2 * connecting))
      return "somebody who wants a connection";
  for (auto& [id, c] : calls_)
    if (!c.answered && late(c.until, 2 * heartbeat))
      return "a request";
  return {};
}

std::vector<std::string> node::peers() const {
  std::vector<std::string> out;
  for (auto& [peer, s] : peers_)
    out.push_back(peer);
  return out;
}

bool node::cast(const std::string& peer, const std::string& service,
                const term& op) {
  auto s = to(peer);
  return s && s->link_->cast(service, encode(op));
}

bool node::tell(const std::string& peer, const std::string& service,
                const term& op) {
  auto s = to(peer);
  return s && s->link_->tell(service, encode(op));
}

void node::request(const std::string& peer, const std::string& service,
                   const term& op, deadline until, std::uint32_t depth,
                   responder reply) {
  if (auto s = to(peer))
    s->link_->request(service, encode(op), until, depth, std::move(reply),
                      now());
}

} // namespace hornbeam::simulation
