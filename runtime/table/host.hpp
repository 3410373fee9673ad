#pragma once

#include <functional>
#include <memory>

#include "runtime/base/ticks.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// What tables use of the node that they are in. All members are safe from
/// any thread, and do nothing once the node has ended.
class table_host {
public:
  virtual ~table_host() = default;
  virtual ticks now() const noexcept = 0;
  /// Calls `f`, which must be short, at that moment or a little later.
  virtual void at(ticks when, std::function<void()> f) = 0;
  virtual void send(const term& pid, term message) = 0;
  /// Whether a process of this node lives; one of another node counts as
  /// alive.
  virtual bool alive(const term& pid) const = 0;
  /// From here on the end of that process of this node is told to the node's
  /// tables, before anybody else hears of it. False if it has ended.
  virtual bool mark_owner(const term& pid) = 0;
};

} // namespace hornbeam::runtime
