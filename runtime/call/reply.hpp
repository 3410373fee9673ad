#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "runtime/base/flag.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/base/wakeup_baton.hpp"
#include "runtime/call/failures.hpp"

namespace hornbeam::runtime {

class waitable;

/// What brings an answer. Whoever waits for it may help meanwhile.
class wait_helper {
public:
  virtual ~wait_helper() = default;
  /// Returns when something is there at `at`, or `until` has passed.
  virtual void wait(waitable& at, clock::time_point until) = 0;
  /// At an waitable that is watched something is there now. Any thread.
  virtual void wake() = 0;
};

/// Where one thread waits for something to be there. Who derives keeps it, and
/// guards it by `mutex_`.
class waitable {
public:
  waitable() = default;
  waitable(const waitable&) = delete;
  waitable& operator=(const waitable&) = delete;

  bool ready() const noexcept { return ready_.is_set(); }
  /// Waits until something is there or `until` has passed.
  bool wait_until(clock::time_point until) {
    if (auto s = source())
      s->wait(*this, until);
    return ready() || wait_alone(until);
  }

  // -- for whatever brings it ------------------------------------------------

  /// Whoever waits already goes on alone.
  void helped_by(std::shared_ptr<wait_helper> x) {
    lock_scope guard{mutex_};
    source_ = std::move(x);
  }
  /// While it is watched, the source is woken when something comes.
  void watch(bool x) {
    lock_scope guard{mutex_};
    watched_ = x;
  }
  bool wait_alone(clock::time_point until) {
    wakeup_baton::pass();
    return ready_.wait_until(until);
  }
  /// The same as one of many that need one lock afterwards.
  bool wait_for_baton(clock::time_point until) {
    auto may = [this](bool x) {
      lock_scope guard{mutex_};
      takes_baton_ = x;
    };
    may(true);
    bool out = wait_alone(until);
    may(false);
    wakeup_baton::get().awake(ready_);
    return out;
  }

protected:
  using mutex_type = ranked_mutex<lock_rank::waitable>;

  ~waitable() = default;
  /// With `mutex_`, by `lock`, which it gives back: something is there.
  void make_ready(std::unique_lock<mutex_type> lock) {
    bool asleep = ready_.set_without_waking();
    if (asleep && takes_baton_ && wakeup_baton::get().enqueue(ready_))
      asleep = false; // or rather, somebody else is going to wake it
    auto watcher = watched_ ? source_ : nullptr;
    lock.unlock(); // or those who wait would wait for it next
    if (asleep)
      ready_.wake();
    if (watcher)
      watcher->wake();
  }
  /// With `mutex_`: it has been taken.
  void taken() { ready_.clear(); }

  mutable mutex_type mutex_;

private:
  std::shared_ptr<wait_helper> source() {
    lock_scope guard{mutex_};
    return ready() ? nullptr : source_;
  }

  flag ready_;
  bool watched_ = false;
  bool takes_baton_ = false;
  std::shared_ptr<wait_helper> source_;
};

/// Where a thread waits for one outcome.
class reply_slot : public waitable {
public:
  void set(outcome x) {
    std::unique_lock lock{mutex_};
    if (!value_)
      value_ = std::move(x);
    make_ready(std::move(lock));
  }
  /// Only after `wait_until` said true.
  outcome take() {
    lock_scope guard{mutex_};
    return std::move(*value_);
  }

private:
  std::optional<outcome> value_;
};
using reply_slot_ptr = std::shared_ptr<reply_slot>;

/// Answers a call once. Whoever drops it unanswered has answered with a
/// failure: no caller waits for ever.
class responder {
public:
  using function = std::function<void(outcome)>;

  responder() = default;
  explicit responder(function f) : f_(std::move(f)) {}
  /// Fills a slot at which a thread is going to wait.
  explicit responder(const reply_slot_ptr& slot)
    : f_([slot](outcome x) { slot->set(std::move(x)); }), slot_(slot) {}
  /// Does something before it fills `slot`, if there is one.
  responder(function f, reply_slot_ptr slot)
    : f_(std::move(f)), slot_(std::move(slot)) {}
  responder(responder&& other) noexcept
    : f_(std::exchange(other.f_, nullptr)), slot_(std::move(other.slot_)) {}
  responder& operator=(responder&& other) noexcept {
    if (this != &other) {
      drop();
      f_ = std::exchange(other.f_, nullptr);
      slot_ = std::move(other.slot_);
    }
    return *this;
  }
  ~responder() { drop(); }

  void operator()(outcome x) {
    if (auto f = std::exchange(f_, nullptr))
      f(std::move(x));
  }
  explicit operator bool() const noexcept { return static_cast<bool>(f_); }
  /// The slot that it fills; none if it does something else.
  const reply_slot_ptr& slot() const noexcept { return slot_; }

private:
  void drop() noexcept {
    if (f_)
      (*this)(unanswered());
  }
  function f_;
  reply_slot_ptr slot_;
};

} // namespace hornbeam::runtime
