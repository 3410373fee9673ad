#include "node.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::simulation {

using namespace runtime;

namespace {

constexpr milliseconds proof_time{500};
constexpr milliseconds leave_pause{5};
constexpr milliseconds longest_leave{5000};

/// The first letter of each message.
enum : char { says_hello = 'h', accepts = 'a', refuses = 'r', batch = 'b' };

} // namespace

session::session(node& on, end_ptr wire, std::optional<peering::dial> dial)
  : node_(on), wire_(std::move(wire)), dial_(std::move(dial)) {}

void session::open(milliseconds patience) {
  auto in_process = [weak = weak_from_this(), process = node_.weak_from_this()](
                      std::function<void(session&)> f) {
    if (auto n = process.lock())
      n->run([weak, f = std::move(f)] {
        if (auto self = weak.lock(); self && !self->over_)
          f(*self);
      });
  };
  wire_->on_message = [=](std::string x) {
    in_process([x = std::move(x)](session& s) { s.received(x); });
  };
  wire_->on_closed = [=] { in_process([](session& s) { s.closed(); }); };
  node_.after(patience, [=] {
    in_process([](session& s) {
      if (!s.link_)
        s.closed();
    });
  });
  if (dial_)
    say(says_hello, greet());
}

std::string session::greet() const {
  std::string out;
  wire_writer{out} << node_.name() << node_.incarnation_ << node_.address_;
  return out;
}

void session::say(char what, const std::string& body) {
  wire_->send(what + body);
}

void session::flush() {
  if (!link_ || over_)
    return;
  for (auto x = link_->next_batch(); !x.empty(); x = link_->next_batch())
    say(batch, x);
}

void session::received(const std::string& message) {
  heard_ = node_.now();
  auto body = std::string_view{message}.substr(1);
  switch (message[0]) {
    case says_hello:
    case accepts:
    case refuses:
      if (std::exchange(heard_hello_, true))
        node_.world_.broken("a hello comes twice");
      else if (message[0] == says_hello)
        take_hello(body);
      else
        take_answer(message[0], body);
      return;
    default:
      if (!link_) {
        node_.world_.broken("a link's frames come before the answer");
        return;
      }
      try {
        link_->receive(body, *this, node_.now());
        if (node_.world_.with == bug::doubled
            && one_in(node_.world_.random, 20))
          link_->receive(body, *this, node_.now());
      } catch (const decode_error& e) {
        node_.world_.broken("what " + peer_.name
                            + " sends can't be read: " + e.what());
        closed();
        return;
      }
      if (leaving_)
        leave();
  }
}

void session::take_hello(std::string_view body) {
  wire_reader in{body};
  in >> peer_.name >> peer_.incarnation >> peer_.address;
  node_.tell_peering([weak = weak_from_this()](const peering& p) {
    if (auto self = weak.lock(); self && !self->over_)
      self->decide(p);
  });
}

void session::decide(const peering& p) {
  switch (p.hello(peer_.name, peer_.incarnation)) {
    case peering::reception::accept:
      accept();
      return;
    case peering::reception::both_dial:
      refuse(true);
      return;
    case peering::reception::prove: {
      auto old = node_.to(peer_.name);
      if (old && node_.world_.with == bug::no_down) {
        old->over_ = true;
        old->wire_->close();
        node_.peers_.erase(peer_.name);
        old = nullptr;
      }
      if (!old)
        accept();
      else
        old->prove_alive([weak = weak_from_this()] {
          if (auto self = weak.lock())
            self->accept();
        });
      return;
    }
  }
}

void session::accept() {
  if (over_)
    return;
  if (auto again = connect())
    refuse(*again);
  else
    tell_linked();
}

void session::refuse(bool again) {
  over_ = true;
  say(refuses, again ? "1" : "0");
  wire_->close();
}

void session::take_answer(char what, std::string_view body) {
  if (what == refuses) {
    give_up(body == "1");
    return;
  }
  wire_reader in{body};
  in >> peer_.name >> peer_.incarnation >> peer_.address;
  if (peer_.name != dial_->name)
    give_up(false);
  else if (auto again = connect())
    give_up(*again);
  else
    tell_linked();
}

std::optional<bool> session::connect() {
  auto wake = [](bool) {}; // each step ends with a flush
  link_ = std::make_unique<link>(peer_.name, peer_.incarnation, wake);
  if (auto no = node_.add_peer(shared_from_this())) {
    link_ = nullptr;
    return no;
  }
  if (!dial_)
    say(accepts, greet());
  heard_ = node_.now();
  node_.after(heartbeat, [weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->beat();
  });
  node_.post([weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->link_->announced();
  });
  return std::nullopt;
}

void session::tell_linked() {
  if (!dial_)
    node_.declined_.erase(peer_.name);
  node_.tell_peering(
    [&n = node_, number = dial_ ? dial_->number : 0, x = peer_](peering& p) {
      p.linked(n.now(), number, {x.name, x.address}, x.incarnation, false);
    });
}

void session::closed() {
  if (link_)
    end();
  else if (dial_)
    give_up(false);
  else {
    over_ = true;
    wire_->close();
  }
}

void session::give_up(bool again) {
  over_ = true;
  wire_->close();
  node_.tell_peering([&n = node_, x = *dial_, again](peering& p) {
    p.failed(n.now(), x.number, x.name,
             {error_code::no_connection, "no", x.name}, again);
  });
}

void session::beat() {
  if (over_)
    return;
  if (node_.now() - heard_ > detection) {
    end();
    return;
  }
  link_->ping();
  link_->expire(node_.now());
  node_.after(heartbeat, [weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->beat();
  });
}

void session::leave() {
  if (over_)
    return;
  flush();
  if (link_->drained() || node_.now() >= *leaving_) {
    end();
    return;
  }
  node_.after(leave_pause, [weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->leave();
  });
}

void session::end() {
  if (std::exchange(over_, true))
    return;
  wire_->close();
  bool left = leaving_ || node_.world_.with == bug::loss_is_goodbye;
  auto tell = [&] {
    node_.tell_peering([&n = node_, x = peer_, left](peering& p) {
      p.closed(n.now(), x.name, x.incarnation, left);
    });
  };
  // First: who wants that node because of this loss wants another link.
  if (node_.world_.with != bug::told_late)
    tell();
  drop();
  if (node_.world_.with == bug::told_late)
    tell();
  for (auto& f : std::exchange(when_proved_, {}))
    f();
}

/// Behind what has come.
void session::drop() {
  if (apart_.empty()) {
    node_.drop_peer(*this);
    return;
  }
  link_->shut();
  apart([this] { node_.drop_peer(*this); });
}

void session::prove_alive(std::function<void()> f) {
  when_proved_.push_back(std::move(f));
  if (when_proved_.size() > 1)
    return;
  link_->probe();
  node_.after(proof_time, [weak = weak_from_this(), asked = node_.now()] {
    auto self = weak.lock();
    if (!self || self->over_)
      return;
    if (self->heard_ < asked)
      self->end();
    else
      for (auto& g : std::exchange(self->when_proved_, {}))
        g();
  });
}

// -- of its link --------------------------------------------------------------

void session::on_request(std::uint64_t id, const std::string&, deadline,
                         std::uint32_t, std::string_view body) {
  auto& random = node_.world_.random;
  auto answer = [id, weak = weak_from_this(), x = decode(body)] {
    if (auto self = weak.lock())
      self->link_->reply(id, x);
  };
  if (one_in(random, 10))
    return; // its handler never ends
  if (one_in(random, 2))
    answer();
  else
    node_.after(milliseconds(roll(random, 0, 3000)), answer);
}

void session::apart(std::function<void()> f) {
  apart_.push_back(std::move(f));
  if (apart_.size() == 1)
    read_on();
}

void session::read_on() {
  node_.after(milliseconds(roll(node_.world_.random, 0, 20)),
              [self = shared_from_this()] {
                auto f = std::move(self->apart_.front());
                f();
                self->apart_.pop_front();
                if (!self->apart_.empty())
                  self->read_on();
              });
}

void session::on_cast(const std::string& service, std::string_view body) {
  auto op = decode(body);
  if (service == "$peering") {
    std::vector<peering::member> members;
    for (auto& m : op.items()[1].items())
      members.push_back(
        {std::string{m.at(0).text()}, std::string{m.at(1).text()}});
    node_.tell_peering(
      [&n = node_, members](peering& p) { p.told(n.now(), members); });
  } else if (service == "order") {
    if (op.at(1).as_int() != ++got_casts_)
      node_.world_.broken("casts to " + node_.name()
                          + " come twice, out of order or not at all");
  } else {
    auto c = std::make_shared<call>();
    c->from = peer_.name;
    c->op = op;
    node_.post(c);
  }
}

void session::on_bye() {
  if (leaving_)
    return;
  leaving_ = node_.now() + longest_leave;
  if (!apart_.empty()) // else whoever has received it looks
    node_.after(milliseconds(0),
                [self = shared_from_this()] { self->leave(); });
}

void session::on_announced() {
  node_.post([this, weak = weak_from_this()] {
    if (auto self = weak.lock())
      node_.tell_peering([&n = node_, self](peering& p) {
        if (n.to(self->peer_.name) == self)
          p.known(self->peer_.name, self->peer_.incarnation);
      });
  });
}

} // namespace hornbeam::simulation
