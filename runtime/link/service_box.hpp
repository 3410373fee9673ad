#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/caf/caf.hpp"
#include "runtime/otp/gen_server.hpp"

namespace hornbeam::runtime {

/// A service of a node: what waits for it, and the CAF actor that works it
/// off. The actor may be killed and replaced at any time: what waits is kept
/// here, and so nobody notices more than a delay.
class service_box : public std::enable_shared_from_this<service_box> {
public:
  using factory = std::function<std::unique_ptr<service>()>;

  /// `lost` is called for each cast that the service has refused.
  service_box(
    std::string name, factory make, std::function<void()> lost = [] {})
    : name_(std::move(name)), make_(std::move(make)), lost_(std::move(lost)) {}

  const std::string& name() const noexcept { return name_; }

  /// Any thread.
  void post(call_ptr x) { add(std::move(x)); }
  void post(const peer_event& x) { add(x); }
  /// `x` is dropped when all that was posted before has been handled.
  void post(std::shared_ptr<void> x) { add(std::move(x)); }

  /// Starts the actor that serves from here on.
  caf::actor start(caf::actor_system& sys);
  /// The actor that serves now, or none.
  caf::actor current() const;
  /// Nothing more is taken, and what waits is answered: the node ends.
  void close();

private:
  friend struct service_state;
  using item = std::variant<call_ptr, peer_event, std::shared_ptr<void>>;

  void add(item x);
  /// The next item for the actor `id`; none if there is none, or another
  /// actor serves by now.
  std::optional<item> next(caf::actor_id id);

  const std::string name_;
  const factory make_;
  const std::function<void()> lost_;
  mutable ranked_mutex<lock_rank::service_box> mutex_;
  std::deque<item> waiting_;
  caf::actor actor_;
  bool working_ = false; ///< the actor knows that something waits
  bool closed_ = false;
};
using service_box_ptr = std::shared_ptr<service_box>;

/// The body of a supervisor's child that stands for the actor of `box`: it
/// ends when the actor ends, and ends the actor when it is told to end.
process_body service_child(self me, caf::actor actor, term parent);

} // namespace hornbeam::runtime
