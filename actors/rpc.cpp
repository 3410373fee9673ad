#include "actors/rpc.hpp"

namespace hornbeam::actors {

using namespace runtime;

namespace {

class rpc_service : public service {
public:
  explicit rpc_service(rpc& x) : rpc_(x) {}

  void handle(call& c) override {
    operation op{c.op};
    if (op.name != "call")
      throw bad_term("rpc knows no operation '" + op.name + "'");
    if (c.depth > max_call_depth)
      throw bad_term("more than " + std::to_string(max_call_depth)
                     + " calls inside each other");
    invocation x{std::string{op.arg(0).text()},
                 std::string{op.arg(1).text()},
                 op.arg(2).to_sequence(),
                 {},
                 c.from,
                 c.until,
                 c.depth};
    rpc_.invoke(std::move(x), std::move(c.reply));
  }

private:
  rpc& rpc_;
};

} // namespace

void rpc::invoke(invocation x, responder reply) {
  auto h = modules_.find(x.target);
  if (!h)
    h = fallback_.load();
  if (h)
    h->invoke(std::move(x), std::move(reply));
  else if (reply)
    reply(not_there("module", x.target, net_.self()->name()));
}

std::unique_ptr<service> rpc::make_service() {
  return std::make_unique<rpc_service>(*this);
}

} // namespace hornbeam::actors
