#include "actors/named_handlers.hpp"

namespace hornbeam::actors {

using namespace runtime;

namespace {

class named_handlers_service : public service {
public:
  named_handlers_service(named_handlers& x, router& net)
    : handlers_(x), net_(net) {}

  void handle(call& c) override {
    operation op{c.op};
    if (handlers_.directory().handle(c, op))
      return;
    if (op.name != "invoke")
      throw bad_term(handlers_.service_name() + " know no operation '" + op.name
                     + "'");
    auto x = read_invocation(c);
    auto h = handlers_.local(x.target);
    if (h)
      h->invoke(std::move(x), std::move(c.reply));
    else if (c.reply)
      c.reply(not_found(handlers_.scope(), x.target, net_.self()->name()));
  }

  void peer(const peer_event& e) override { handlers_.directory().peer(e); }

private:
  named_handlers& handlers_;
  router& net_;
};

} // namespace

void named_handlers::add(const std::string& name, handler_ptr x) {
  table_.set(name, std::move(x));
  directory_.set_local(name, 1);
}

bool named_handlers::remove(const std::string& name) {
  bool was_there = table_.erase(name);
  directory_.set_local(name, 0);
  return was_there;
}

std::optional<std::string> named_handlers::pick(const std::string& name) const {
  if (table_.find(name))
    return net_.self()->name();
  auto others = directory_.remote(name);
  if (others.empty())
    return std::nullopt;
  return others[turn_++ % others.size()].node;
}

void named_handlers::invoke(invocation x, responder reply) {
  if (auto h = local(x.target)) {
    h->invoke(std::move(x), std::move(reply));
    return;
  }
  auto where = pick(x.target);
  if (!where) {
    reply(not_found(scope_, x.target, "any connected node"));
    return;
  }
  net_.request(*where, service_name(), write_invocation("invoke", x), x.until,
               x.depth, std::move(reply));
}

bool named_handlers::cast(const invocation& x) {
  if (auto h = local(x.target)) {
    h->invoke(x, responder{});
    return true;
  }
  auto where = pick(x.target);
  return where
         && net_.cast(*where, service_name(), write_invocation("invoke", x));
}

std::unique_ptr<service> named_handlers::make_service() {
  return std::make_unique<named_handlers_service>(*this, net_);
}

} // namespace hornbeam::actors
