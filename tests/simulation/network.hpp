#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/call/outcome.hpp"

namespace hornbeam::simulation {

using time = runtime::clock::time_point;
using milliseconds = std::chrono::milliseconds;
using dice = std::mt19937_64;

/// A whole number from `least` to `most`.
inline std::int64_t roll(dice& d, std::int64_t least, std::int64_t most) {
  // The same on each machine, which the standard's distributions are not.
  auto span = static_cast<std::uint64_t>(most - least + 1);
  return least + static_cast<std::int64_t>(d() % span);
}
inline bool one_in(dice& d, std::int64_t n) {
  return roll(d, 1, n) == 1;
}

/// Time that passes by going from one event to the next.
class timeline {
public:
  time now() const noexcept { return now_; }
  void at(time when, std::function<void()> f);
  void after(milliseconds d, std::function<void()> f) {
    at(now_ + d, std::move(f));
  }
  /// Has what is due until `end` happen.
  void run_until(time end);
  std::uint64_t steps() const noexcept { return steps_; }

private:
  time now_{};
  std::uint64_t steps_ = 0;
  std::uint64_t last_ = 0;
  /// Events of one moment happen in the order in which they were planned.
  std::map<std::pair<time, std::uint64_t>, std::function<void()>> events_;
};

/// One end of a connection between two machines. What is sent arrives in
/// order, some time later, or never.
class end : public std::enable_shared_from_this<end> {
public:
  std::function<void(std::string)> on_message;
  std::function<void()> on_closed;

  void send(std::string message);
  /// The other end hears of it behind all that was sent.
  void close();

private:
  friend class network;
  class network* net_ = nullptr;
  int machine_ = 0;
  bool open_ = true;
  bool dead_ = false; ///< its machine has lost power
  std::weak_ptr<end> other_;
  struct letter {
    std::string message;
    bool last = false;
  };
  std::deque<letter> under_way_; ///< to the other end
  bool moving_ = false;
};
using end_ptr = std::shared_ptr<end>;

/// Machines, numbered, and what is between them.
class network {
public:
  network(timeline& t, dice& d) : time_(t), dice_(d) {}

  void listen(const std::string& address, int machine,
              std::function<void(end_ptr)> f);
  void stop_listening(const std::string& address);
  /// `f` gets an end, or none after `patience` or if nobody listens there.
  void dial(int from, const std::string& address, milliseconds patience,
            std::function<void(end_ptr)> f);

  // -- what goes wrong -------------------------------------------------------

  /// Nothing passes between these machines and the others.
  void split(std::set<int> some);
  void heal();
  /// Some connection breaks; with `half` only one side hears of it.
  void cut(bool half);
  /// All ends on a machine are gone, and nobody is told.
  void lose_power(int machine);
  /// A machine that is up again answers to old connections that there are none.
  void restore_power(int machine) { without_power_.erase(machine); }

private:
  friend class end;
  milliseconds delay() { return milliseconds(roll(dice_, 0, slow_ ? 80 : 8)); }
  bool blocked(int a, int b) const {
    return split_.contains(a) != split_.contains(b);
  }
  void move(const end_ptr& from);
  void arrive(const end_ptr& from);
  void reset(const end_ptr& x);

  timeline& time_;
  dice& dice_;
  const bool slow_ = one_in(dice_, 4);
  std::set<int> split_;
  std::set<int> without_power_;
  struct listener {
    int machine;
    std::function<void(end_ptr)> f;
  };
  std::map<std::string, listener> listeners_;
  std::vector<end_ptr> ends_; ///< of all connections that are not forgotten
};

} // namespace hornbeam::simulation
