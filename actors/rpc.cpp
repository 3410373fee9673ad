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
    require_depth(c);
    invocation x{std::string{op.arg(0).text()},
                 std::string{op.arg(1).text()},
                 op.arg(2).to_sequence(),
                 {},
                 c.from,
                 c.until,
                 c.depth,
                 {},
                 nullptr,
                 std::move(c.charge)};
    auto h = rpc_.find(x.target);
    if (!h)
      throw failed{not_there("module", x.target, rpc_.node())};
    if (h->never_blocks()) // else it runs now
      require_room(c, rpc_.node());
    h->invoke(std::move(x), std::move(c.reply));
  }

private:
  rpc& rpc_;
};

} // namespace

handler_ptr rpc::find(const std::string& module) const {
  auto h = modules_.find(module);
  return h ? h : fallback_.load();
}

std::unique_ptr<service> rpc::make_service() {
  return std::make_unique<rpc_service>(*this);
}

} // namespace hornbeam::actors
