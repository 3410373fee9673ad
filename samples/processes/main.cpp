#include <cstdint>
#include <future>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <vector>

#include "actors/services.hpp"
#include "runtime/otp/supervisor.hpp"

// Let it crash: a shop sells until its stock does not add up, dies of it, and
// its supervisor starts it again with what it was first given.

using namespace hornbeam::runtime;

namespace {

/// A gen_server: what it knows is in its members, and it serves one request
/// at a time.
class shop : public gen_server {
public:
  explicit shop(std::int64_t stock) : stock_(stock) {}

  task<server_result> handle_call(self, term request, term) override {
    if (request.is_atom("stock"))
      co_return server_result::reply(term{stock_});
    if (match("sell", any_int)(request)) {
      stock_ -= request.at(1).as_int();
      if (stock_ < 0) // no repair of what can't be: the process ends
        throw std::logic_error("sold more than there was");
      co_return server_result::reply(term{stock_});
    }
    co_return server_result::stop(term::atom("bad_request"));
  }

private:
  std::int64_t stock_;
};

process_body customer(self me, std::promise<void> over) {
  child_spec spec;
  spec.id = term::atom("shop");
  spec.start = [](self parent, term::sequence) {
    return gen_server::start(parent, std::make_unique<shop>(10), {"shop"});
  };
  std::vector<child_spec> children;
  children.push_back(std::move(spec));
  auto started = co_await start_supervisor(me, {}, std::move(children));
  std::cout << "supervisor: " << to_string(started.at(0)) << '\n';

  auto name = term::atom("shop");
  auto sell = [&](int n) {
    return gen_server::call(me, name,
                            term::tuple_of(term::atom("sell"), term{n}));
  };
  std::cout << "sold 4, left: " << to_string(co_await sell(4)) << '\n';

  auto ref = me.monitor(name);
  try {
    co_await sell(99);
  } catch (const exit_error& e) { // uncaught, this process would end as well
    std::cout << "selling 99: " << to_string(e.reason.at(0).at(0)) << '\n';
  }
  auto down = co_await me.receive(match("DOWN", ref, any, any, any));
  std::cout << "the shop died\n";

  while (!me.whereis("shop"))
    co_await me.sleep(1);
  auto stock = co_await gen_server::call(me, name, term::atom("stock"));
  std::cout << "its next life begins with: " << to_string(stock) << '\n';
  over.set_value();
}

} // namespace

int main() {
  auto app = hornbeam::actors::services::start({});
  std::promise<void> over;
  auto done = over.get_future();
  app->node->processes().spawn(customer, std::move(over));
  done.wait();
  app->stop();
}
