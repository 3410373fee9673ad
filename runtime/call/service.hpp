#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/call/reply.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// What of another node waits here for handlers, and whether more may.
class inbound_quota {
public:
  virtual ~inbound_quota() = default;
  virtual bool full() const noexcept = 0;
  /// Counts a message as waiting for as long as the result, or a copy, is
  /// there.
  virtual std::shared_ptr<void> charge(std::size_t bytes) = 0;
};

/// One request or cast on its way to a service.
struct call {
  std::string from;        ///< name of the asking node; empty: this one
  term op;                 ///< `(name, arguments...)`
  deadline until;          ///< nobody waits for the answer after this
  std::uint32_t depth = 0; ///< how many calls are open around this one
  responder reply;         ///< empty for a cast
  std::shared_ptr<inbound_quota> quota = nullptr; ///< of another node
  std::size_t bytes = 0;                          ///< that it has come in
  /// Once it has to wait: it counts in the quota until this goes, as when its
  /// handler begins.
  std::shared_ptr<void> charge = nullptr;
  /// What had to wait for a handler then was to be refused.
  bool full = false;

  /// From here on it waits, if it did not before.
  void wait_here() {
    if (!quota)
      return;
    full = quota->full();
    charge = std::exchange(quota, nullptr)->charge(bytes);
  }
};
using call_ptr = std::shared_ptr<call>;

/// Another node that came or went.
struct peer_event {
  std::string name;
  std::uint64_t incarnation = 0;
  bool up = false;
  /// A visiting tool, of which services do not hear.
  bool hidden = false;
  /// Whether `nodes()` shows it: a node with a name of its own.
  bool listed = true;
  /// Whether it runs in a child that was forked from this process.
  bool is_child = false;
};

/// What runs inside one CAF actor: all members below are called by that
/// actor, one at a time. An exception that leaves `handle` is answered as a
/// failure; it does not end the actor.
class service {
public:
  virtual ~service() = default;
  virtual void handle(call& c) = 0;
  virtual void peer(const peer_event&) {}
};

/// How a service reaches its like on other nodes. A node implements it; tests
/// have one that only writes down what was sent.
class router {
public:
  virtual ~router() = default;
  virtual origin_ptr self() const = 0;
  /// Names of the nodes that are connected now and have one of their own.
  virtual std::vector<std::string> peers() const = 0;
  /// What brings the casts of a node; null: nobody can help there.
  virtual std::shared_ptr<wait_helper> helper_for(
    const std::string& node) const {
    static_cast<void>(node);
    return nullptr;
  }
  /// Has `f` called when this node has joined the others, and knows what they
  /// have: whoever has found nothing looks again then. False, and nothing is
  /// done, if it has, or joins nobody.
  virtual bool when_joined(std::function<void()> f) {
    static_cast<void>(f);
    return false;
  }
  /// One-way; false if the node is not connected. Casts from one thread to
  /// one service of one node arrive in order.
  virtual bool cast(const std::string& node, const std::string& service,
                    const term& op)
    = 0;
  /// One-way to a node that is connected, in order with the casts, and never
  /// refused: for what a connection needs, such as announcements and chunks
  /// with credit. False if there is no connection; it is not lost then, as
  /// both sides know that there is none and begin anew when there is.
  virtual bool tell(const std::string& node, const std::string& service,
                    const term& op) {
    return cast(node, service, op);
  }
  /// Why a cast to that node was not taken just now.
  virtual failure why_not(const std::string& node) const {
    return node_down(node);
  }
  /// Asks once; `reply` is answered whatever happens, at the latest when the
  /// node is found to be down. Does not connect.
  virtual void request(const std::string& node, const std::string& service,
                       const term& op, deadline until, std::uint32_t depth,
                       responder reply)
    = 0;
};

/// `op` as its name and arguments. Raises `bad_term` if it is anything else.
struct operation {
  explicit operation(const term& op);
  const std::string name;
  /// Argument `i`, counted from 0, or an error that names the operation.
  const term& arg(std::size_t i) const;
  std::size_t size() const noexcept { return items_.size() - 1; }

private:
  std::span<const term> items_;
};

/// Makes an `op`: `make_op("get", key)`.
template <class... Ts>
term make_op(const char* name, Ts&&... args) {
  return term::tuple_of(term::atom(name), term{std::forward<Ts>(args)}...);
}

/// The failure that stands for the exception being handled.
failure current_failure();

/// Answers a call of `service` with a failure. Of a cast, for which nobody
/// waits, the log tells.
void refuse(call& c, const std::string& service, const failure& why);

} // namespace hornbeam::runtime
