#pragma once

#include <catch2/catch.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/otp/groups.hpp"
#include "runtime/process/attached_process.hpp"
#include "runtime/process/processes.hpp"

namespace hornbeam::test {

using namespace hornbeam::runtime;

/// A term of a text (an atom), a number, or a term.
template <class T>
term part(T x) {
  if constexpr (std::is_convertible_v<T, std::string_view>)
    return term::atom(std::string{std::string_view{x}});
  else
    return term{std::move(x)};
}
template <class... Ts>
term tup(Ts... xs) {
  return term::tuple({part(std::move(xs))...});
}
template <class... Ts>
term list_of(Ts... xs) {
  return term::list({part(std::move(xs))...});
}
template <class... Ts>
std::vector<term> terms(Ts... xs) {
  return {part(std::move(xs))...};
}
inline term atom(std::string_view text) {
  return term::atom(std::string{text});
}
/// `{'DOWN', Ref, process, What, Reason}` and `{'EXIT', From, Reason}`.
template <class T>
term down(const term& ref, const term& what, T reason) {
  return tup("DOWN", ref, "process", what, std::move(reason));
}
template <class T>
term exited(const term& from, T reason) {
  return tup("EXIT", from, std::move(reason));
}
/// `x` as another node, or this one, sees it after it has crossed a link.
term far(const term& x);

/// Nodes in one process whose processes run on CAF's test scheduler, and
/// whose clocks stand still: nothing happens until `run` or `advance`, and
/// then in the same order each time. What crosses nodes is encoded and
/// decoded, as on a real link.
class process_cluster {
public:
  class node : public router {
  public:
    node(process_cluster& c, const std::string& name, std::uint64_t start);

    origin_ptr self() const override { return self_; }
    std::vector<std::string> peers() const override {
      return {peers_.begin(), peers_.end()};
    }
    bool cast(const std::string& to, const std::string& service,
              const term& op) override;
    bool tell(const std::string& to, const std::string& service,
              const term& op) override;
    void request(const std::string&, const std::string&, const term&, deadline,
                 std::uint32_t, responder reply) override;
    term name() const { return term::atom(self_->name()); }

  private:
    friend class process_cluster;
    void receive(const std::string& from, const std::string& service,
                 const term& op);
    void hear(const peer_event& e);

    process_cluster& cluster_;
    origin_ptr self_;
    std::set<std::string> peers_;
    std::set<std::string> dialing_;
    std::set<std::string> full_;
    int nesting_ = 0;

  public:
    runtime::processes processes;
    std::shared_ptr<runtime::groups> groups;
  };

  process_cluster();
  ~process_cluster();

  node& add_node(const std::string& name, std::uint64_t start = 1);
  node& at(const std::string& name) { return *nodes_.at(name); }
  void connect(const std::string& a, const std::string& b);
  /// What is under way between them is lost, and both hear of it.
  void disconnect(const std::string& a, const std::string& b);
  /// The node ends without a word and starts again, connected to nobody.
  node& restart(const std::string& name, std::uint64_t start);
  /// From here on casts of `a` to `b` wait for a connection, until `connect`
  /// or `dialing_failed`.
  void dial(const std::string& a, const std::string& b);
  void dialing_failed(const std::string& a, const std::string& b);
  /// Whether so much waits on the way from `a` to `b` that casts are refused.
  void fill(const std::string& a, const std::string& b, bool on = true);

  /// Whether casts wait until `step` lets them through.
  void hold(bool on) { held_ = on; }
  std::size_t under_way(const std::string& from, const std::string& to) {
    return queues_[{from, to}].size();
  }
  /// Lets one cast arrive; false if none is under way.
  bool step(const std::string& from, const std::string& to);

  /// Runs every process, and delivers casts unless they are held, until
  /// nothing is left to do.
  void run();
  /// Runs up to `jobs` jobs of the scheduler.
  std::size_t run_some(std::size_t jobs);
  /// Moves the clocks of all nodes, millisecond by millisecond.
  void advance(std::int64_t ms);
  /// Ends all processes. A fixture whose members they use calls it first.
  void stop();
  caf::actor_system& system();

private:
  struct packet {
    std::string service;
    std::string bytes;
  };
  struct world;

  void kill_all(node& n);

  std::unique_ptr<world> world_;
  std::map<std::string, std::unique_ptr<node>> nodes_;
  std::map<std::pair<std::string, std::string>, std::deque<packet>> queues_;
  bool held_ = false;
};

/// A process whose code is the test itself. It never blocks: what has not
/// come is not there.
class probe : public attached_process {
public:
  using attached_process::attached_process;

  template <class Match>
  std::optional<term> next(Match m) {
    return run(take_one(me(), std::move(m)));
  }
  std::optional<term> next() { return next(any); }
  /// All that has come.
  std::vector<term> all() {
    std::vector<term> out;
    while (auto x = next())
      out.push_back(*std::move(x));
    return out;
  }

private:
  template <class Match>
  static task<std::optional<term>> take_one(runtime::self me, Match m) {
    co_return co_await me.receive(std::move(m), after{0});
  }
};

/// One node, `a@h`, and a probe on it.
struct one_node : process_cluster {
  one_node() : a(add_node("a@h").processes), p(std::in_place, a) {}
  ~one_node() {
    p.reset();
    stop();
  }
  self me() { return p->me(); }
  /// A process that does nothing until somebody ends it or says `stop`.
  term idle() {
    return a.spawn(
      [](self x) -> process_body { co_await x.receive(match("stop")); });
  }
  /// One that ends with what it is told: `{exit, Reason}`.
  term mortal(bool trapping = false) {
    return a.spawn(
      [](self x, bool trap) -> process_body {
        x.trap_exit(trap);
        auto m = co_await x.receive(match("exit", any));
        x.exit(m.items()[1]);
      },
      trapping);
  }
  /// Lets a `mortal` end by itself.
  template <class T>
  void end(const term& who, T reason) {
    a.send(who, tup("exit", std::move(reason)));
    run();
  }

  processes& a;
  std::optional<probe> p;
};

/// Two connected nodes, `a@h` and `b@h`, each with a probe.
struct two_nodes : process_cluster {
  two_nodes() {
    add_node("a@h", 1);
    add_node("b@h", 2);
    connect("a@h", "b@h");
    run();
    p.emplace(a());
    q.emplace(b());
  }
  ~two_nodes() {
    p.reset();
    q.reset();
    stop();
  }
  processes& a() { return at("a@h").processes; }
  processes& b() { return at("b@h").processes; }
  /// The probes as the other node sees them.
  term far_p() { return far(p->pid()); }
  term far_q() { return far(q->pid()); }
  void part() {
    disconnect("a@h", "b@h");
    run();
  }

  std::optional<probe> p;
  std::optional<probe> q;
};

} // namespace hornbeam::test

namespace Catch {

template <>
struct StringMaker<hornbeam::runtime::term> {
  static std::string convert(const hornbeam::runtime::term& x) {
    return hornbeam::runtime::to_string(x);
  }
};
template <>
struct StringMaker<std::optional<hornbeam::runtime::term>> {
  static std::string convert(const std::optional<hornbeam::runtime::term>& x) {
    return x ? hornbeam::runtime::to_string(*x) : "nothing";
  }
};

} // namespace Catch
