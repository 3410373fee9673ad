#include "real_scheduler.hpp"

#include <thread>

#include "runtime/caf/caf.hpp"
#include "runtime/caf/parking.hpp"

namespace hornbeam::test {

namespace {

/// A router without any other node.
struct alone : router {
  origin_ptr me = origin::of("a@h", 1);
  origin_ptr self() const override { return me; }
  std::vector<std::string> peers() const override { return {}; }
  bool cast(const std::string&, const std::string&, const term&) override {
    return false;
  }
  void request(const std::string& to, const std::string&, const term&, deadline,
               std::uint32_t, responder reply) override {
    reply(failure{error_code::no_connection, "no other nodes", to});
  }
};

struct configuration : caf::actor_system_config {
  explicit configuration(unsigned workers) {
    configure(*this);
    set("scheduler.max-threads", std::size_t{workers});
    load<scheduler>();
  }
};

} // namespace

struct real_node::world {
  explicit world(unsigned workers)
    : config(workers), system(config), a(system, net) {}
  configuration config;
  caf::actor_system system;
  alone net;
  processes a;
};

real_node::real_node(unsigned workers)
  : world_(std::make_unique<world>(workers)), a(world_->a) {}

real_node::~real_node() {
  a.stop(std::chrono::seconds(20));
}

bool real_node::settles(std::size_t alive) {
  auto until = soon();
  while (a.count() != std::pair<std::size_t, std::size_t>{alive, 0}) {
    if (until.expired())
      return false;
    std::this_thread::yield();
  }
  return true;
}

} // namespace hornbeam::test
