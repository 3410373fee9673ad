#include "actors/named_handlers.hpp"

#include <algorithm>
#include <functional>
#include <mutex>

#include "runtime/base/log.hpp"

namespace hornbeam::actors {

using namespace runtime;

class named_handlers_service : public service {
public:
  explicit named_handlers_service(named_handlers& x) : handlers_(x) {}

  void handle(call& c) override {
    operation op{c.op};
    if (handlers_.directory().handle(c, op))
      return;
    if (op.name != "invoke")
      throw bad_term(handlers_.service_name() + " know no operation '" + op.name
                     + "'");
    auto x = read_invocation(c, handlers_.net_.self()->name());
    auto h = handlers_.local(x.target);
    if (h)
      handlers_.serve(std::move(h), std::move(x), std::move(c.reply));
    else
      refuse(
        c, handlers_.service_name(),
        not_there(handlers_.scope(), x.target, handlers_.net_.self()->name()));
  }

  void peer(const peer_event& e) override {
    if (e.is_child)
      handlers_.child(e.name, e.up);
    handlers_.directory().peer(e);
    if (!e.up)
      handlers_.forget(e.name);
  }

private:
  named_handlers& handlers_;
};

std::shared_ptr<served_handler> named_handlers::add(
  const std::string& name, handler_ptr x, const handler_options& options) {
  auto served = std::make_shared<served_handler>(
    "the " + scope_ + " '" + name + "' on " + net_.self()->name(), std::move(x),
    options);
  {
    auto before = served; // goes after the lock
    std::unique_lock lock{mutex_};
    std::swap(served_[name], before);
    announce(name);
  }
  return served;
}

bool named_handlers::remove(const std::string& name) {
  std::unique_lock lock{mutex_};
  auto gone = served_.extract(name);
  announce(name);
  lock.unlock(); // its destructor may be long
  return !gone.empty();
}

std::shared_ptr<served_handler> named_handlers::local(
  const std::string& name) const {
  shared_lock_scope lock{mutex_};
  auto i = served_.find(name);
  return i != served_.end() ? i->second : nullptr;
}

named_handlers::choice named_handlers::choose(
  const std::string& name, const std::set<std::string>& but) const {
  auto others = directory_.remote(name);
  std::erase_if(others, [&](auto& x) { return but.contains(x.node); });
  auto gladly = [](auto& x) { return x.count <= retryable; };
  if (std::any_of(others.begin(), others.end(), gladly))
    std::erase_if(others, std::not_fn(gladly));
  if (others.empty())
    return {};
  choice best;
  std::unique_lock lock{mutex_};
  auto& known = routes_[name];
  auto first = turn_++;
  for (std::size_t i = 0; i < others.size(); ++i) {
    auto& x = others[(first + i) % others.size()];
    auto& r = known[x.node];
    if (!r)
      r = std::make_shared<route>(x.node);
    if (!best.to || r->stats.open() < best.to->stats.open())
      best = {r, x.count == retryable || x.count == retryable + rather_others};
  }
  return best;
}

std::optional<std::string> named_handlers::pick(const std::string& name) const {
  if (local(name))
    return net_.self()->name();
  auto x = choose(name);
  return x.to ? std::optional{x.to->node} : std::nullopt;
}

std::optional<named_handlers::provider> named_handlers::pick_elsewhere(
  const std::string& name, const std::set<std::string>& tried) const {
  auto x = choose(name, tried);
  return x.to ? std::optional{provider{x.to->node, x.retry}} : std::nullopt;
}

void named_handlers::invoke(invocation x, responder reply) {
  if (auto h = local(x.target)) {
    h->invoke(std::move(x), std::move(reply));
    return;
  }
  invoke_elsewhere(std::move(x), std::move(reply));
}

void named_handlers::invoke_elsewhere(invocation x, responder reply) {
  auto e = std::make_shared<pending_call>();
  e->why = not_there(scope_, x.target, "any connected node");
  e->call = std::move(x);
  e->call.charge = nullptr; // it waits elsewhere
  e->reply = std::move(reply);
  send(e);
}

bool named_handlers::may_go_on(const failure& why, bool retry) {
  // What another node says has a type; what this one says of it has none.
  bool lost = why.code == error_code::no_connection && why.type.empty();
  return lost && (retry || why.unsent);
}

void named_handlers::send(const std::shared_ptr<pending_call>& e) {
  auto [to, retry] = choose(e->call.target, e->tried);
  if (!to) {
    if (!net_.when_joined([this, e] { send(e); }))
      e->reply(e->why);
    return;
  }
  to->stats.begin();
  auto done = [this, e, to = to, retry = retry,
               began = clock::now()](outcome y) {
    to->stats.end(y.ok(), clock::now() - began);
    if (!y && may_go_on(y.error(), retry) && !e->call.until.expired()) {
      e->why = y.error();
      e->tried.insert(to->node);
      send(e);
    } else {
      e->reply(std::move(y));
    }
  };
  net_.request(to->node, service_name(), write_invocation("invoke", e->call),
               e->call.until, e->call.depth,
               responder{std::move(done), e->reply.slot()});
}

bool named_handlers::cast(const invocation& x) {
  if (auto h = local(x.target)) {
    h->invoke(x, responder{});
    return true;
  }
  auto later = [&] {
    ++casts_waiting_;
    auto send = [this, x] {
      cast_late(x);
      --casts_waiting_;
    };
    if (net_.when_joined(send))
      return true;
    --casts_waiting_;
    return false;
  };
  // Behind those that wait already.
  if (casts_waiting_ > 0 && later())
    return true;
  return cast_elsewhere(x) || later(); // what is lost on the way is said there
}

void named_handlers::cast_late(const invocation& x) {
  if (auto h = local(x.target)) {
    h->invoke(x, responder{});
    return;
  }
  if (cast_elsewhere(x))
    return; // if it was lost, that is said
  log::say_once_a_minute(log::level::warning, service_name(),
                         net_.self()->name(), "cast " + x.target, [&] {
                           return "a cast has found no " + scope_ + " '"
                                  + x.target + "' on any connected node";
                         });
}

bool named_handlers::cast_elsewhere(const invocation& x) {
  auto to = choose(x.target).to;
  if (to)
    net_.cast(to->node, service_name(), write_invocation("invoke", x));
  return to != nullptr;
}

void named_handlers::serve(handler_ptr h, invocation x, responder reply) {
  auto call = std::make_shared<std::pair<invocation, responder>>(
    std::move(x), std::move(reply));
  run(*h, [h, call] {
    h->invoke(std::move(call->first), std::move(call->second));
  });
}

void named_handlers::forget(const std::string& node) {
  std::unique_lock lock{mutex_};
  for (auto& [name, nodes] : routes_)
    nodes.erase(node);
}

void named_handlers::serve_nobody() {
  directory_.offer(false);
}

void named_handlers::announce(const std::string& name) {
  auto i = served_.find(name);
  std::int64_t count = 0;
  if (i != served_.end())
    count = (i->second->options().retry ? retryable : plain)
            + (children_.empty() ? 0 : rather_others);
  directory_.set_local(name, count);
}

void named_handlers::child(const std::string& node, bool up) {
  std::unique_lock lock{mutex_};
  bool had = !children_.empty();
  if (up)
    children_.insert(node);
  else
    children_.erase(node);
  if (had != children_.empty())
    return;
  for (auto& [name, served] : served_)
    announce(name);
}

bool named_handlers::answer_inline(const std::string& service, call& c) {
  if (service != service_name())
    return false;
  auto items = c.op.is(term::kind::tuple) ? c.op.items()
                                          : std::span<const term>{};
  if (items.size() != 5 || !items[0].is_atom("invoke")
      || !items[1].is(term::kind::string) || c.until.expired())
    return false;
  auto h = local(std::string{items[1].text()});
  if (!h || !h->never_blocks())
    return false;
  c.wait_here();
  if (c.full)
    return false; // its actor says why, and counts it
  try {
    auto x = read_invocation(c, net_.self()->name());
    h->invoke(std::move(x), std::move(c.reply));
  } catch (...) {
    refuse(c, service, current_failure());
  }
  return true;
}

term named_handlers::info() const {
  term::sequence out;
  auto add = [&](const std::string& name, const std::string& node,
                 const call_stats& stats, term::entries more) {
    auto x = stats.to_term().pairs();
    term::entries all{{term::string("name"), term::string(name)},
                      {term::string("node"), term::string(node)}};
    all.insert(all.end(), x.begin(), x.end());
    for (auto& one : more)
      all.push_back(std::move(one));
    out.push_back(term::map(std::move(all)));
  };
  auto number = [](std::size_t n) {
    return term{static_cast<std::int64_t>(n)};
  };
  shared_lock_scope lock{mutex_};
  for (auto& [name, h] : served_) {
    auto& o = h->options();
    auto bounded = h->bounds() != nullptr;
    add(
      name, net_.self()->name(), h->stats(),
      {{term::string("concurrency"), bounded ? number(o.concurrency) : term{}},
       {term::string("queue"), bounded ? number(o.queue) : term{}},
       {term::string("waiting"), number(bounded ? h->bounds()->waiting() : 0)},
       {term::string("retry"), term{o.retry}}});
  }
  for (auto& [name, nodes] : routes_)
    for (auto& [node, r] : nodes)
      add(name, node, r->stats, {});
  return term::list(std::move(out));
}

std::unique_ptr<service> named_handlers::make_service() {
  return std::make_unique<named_handlers_service>(*this);
}

} // namespace hornbeam::actors
