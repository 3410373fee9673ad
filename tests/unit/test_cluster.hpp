#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include <caf/scheduler/test_coordinator.hpp>

#include "runtime/caf/caf.hpp"
#include "runtime/call/service.hpp"
#include "runtime/link/service_box.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::test {

using namespace hornbeam::runtime;

/// Nodes in one process whose actors run on CAF's test scheduler: nothing
/// happens until `run`, and then in the same order each time. What crosses
/// nodes is encoded and decoded, as on a real link.
class test_cluster {
public:
  class test_node : public router {
  public:
    test_node(test_cluster& c, const std::string& name, std::uint64_t start)
      : cluster_(c), self_(origin::of(name, start)) {}

    origin_ptr self() const override { return self_; }
    std::vector<std::string> peers() const override {
      return {peers_.begin(), peers_.end()};
    }
    bool cast(const std::string& to, const std::string& service,
              const term& op) override {
      auto c = std::make_shared<call>();
      return deliver(to, service, op, std::move(c));
    }
    void request(const std::string& to, const std::string& service,
                 const term& op, deadline until, std::uint32_t depth,
                 responder reply) override {
      auto c = std::make_shared<call>();
      c->until = until;
      c->depth = depth;
      c->reply = std::move(reply);
      if (!deliver(to, service, op, c) && c->reply)
        c->reply(failure{error_code::no_connection,
                         "the node " + to + " is down", to});
    }

    void add(const std::string& name, service_box::factory make) {
      services_[name] = std::make_shared<service_box>(name, std::move(make));
      services_[name]->start(cluster_.system());
    }
    service_box& service(const std::string& name) const {
      return *services_.at(name);
    }

  private:
    friend class test_cluster;
    bool deliver(const std::string& to, const std::string& service,
                 const term& op, call_ptr c) {
      bool local = to == self_->name();
      if (!local && !peers_.contains(to))
        return false;
      auto& target = cluster_.node(to);
      auto i = target.services_.find(service);
      if (i == target.services_.end())
        return false;
      c->op = local ? op : decode(encode(op));
      if (!local)
        c->from = self_->name();
      i->second->post(std::move(c));
      return true;
    }
    void tell_services(const peer_event& e) {
      if (e.up)
        peers_.insert(e.name);
      else
        peers_.erase(e.name);
      for (auto& [name, s] : services_)
        s->post(e);
    }

    test_cluster& cluster_;
    origin_ptr self_;
    std::set<std::string> peers_;
    std::map<std::string, service_box_ptr> services_;
  };

  test_cluster() {
    configure(config_);
    config_.set("scheduler.policy", caf::atom("testing"));
    system_ = std::make_unique<caf::actor_system>(config_);
    system_->await_actors_before_shutdown(false);
  }
  ~test_cluster() { stop(); }

  /// Ends all actors. A fixture whose members they use calls it first.
  void stop() {
    for (auto& [name, n] : nodes_)
      for (auto& [what, s] : n->services_)
        caf::anon_send_exit(s->current(), caf::exit_reason::kill);
    run();
    nodes_.clear();
  }

  caf::actor_system& system() { return *system_; }

  test_node& add_node(const std::string& name, std::uint64_t start = 1) {
    nodes_[name] = std::make_unique<test_node>(*this, name, start);
    return *nodes_[name];
  }
  test_node& node(const std::string& name) { return *nodes_.at(name); }

  void connect(const std::string& a, const std::string& b) {
    node(a).tell_services({b, node(b).self()->incarnation, true, false});
    node(b).tell_services({a, node(a).self()->incarnation, true, false});
  }
  void disconnect(const std::string& a, const std::string& b) {
    node(a).tell_services({b, node(b).self()->incarnation, false, false});
    node(b).tell_services({a, node(a).self()->incarnation, false, false});
  }

  /// Lets every actor run until nothing is left to do.
  void run() {
    static_cast<caf::scheduler::test_coordinator&>(system_->scheduler()).run();
  }

  /// Asks a service and runs until it has answered.
  outcome ask(const std::string& from, const std::string& to,
              const std::string& service, const term& op, deadline until = {}) {
    std::optional<outcome> out;
    node(from).request(to, service, op, until, 0,
                       responder{[&](outcome x) { out = std::move(x); }});
    run();
    if (!out)
      return failure{error_code::internal, "no answer"};
    return *std::move(out);
  }

private:
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  std::map<std::string, std::unique_ptr<test_node>> nodes_;
};

} // namespace hornbeam::test
