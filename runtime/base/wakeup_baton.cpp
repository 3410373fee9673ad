#include "runtime/base/wakeup_baton.hpp"

#include <algorithm>
#include <utility>

#include "runtime/base/fork.hpp"

namespace hornbeam::runtime {

namespace {

/// When a thread has kept the baton, as one that sleeps or computes between its
/// calls does, some threads are woken without it: the fewest if that is rare,
/// and from one time to the next twice as many if it is not.
constexpr int fewest = 50;
constexpr int most = 5000;
constexpr int rare = 1000;

thread_local int waiters = 0;       ///< scopes of this thread
thread_local int wakers = 0;        //
thread_local std::uint64_t own = 0; ///< the baton that this thread has

[[maybe_unused]] const int held_over_forks = at_fork(
  fork_stage::wakeups, {[] { wakeup_baton::get().before_fork(); },
                        [] { wakeup_baton::get().after_fork_in_parent(); },
                        [] { wakeup_baton::get().after_fork_in_child(); }});

} // namespace

wakeup_baton& wakeup_baton::get() {
  static auto* one = new wakeup_baton;
  return *one;
}

baton_waiter::baton_waiter() {
  ++waiters;
}

baton_waiter::~baton_waiter() {
  --waiters;
}

bool baton_waiter::here() noexcept {
  return waiters > 0;
}

batch_waker::batch_waker() {
  ++wakers;
}

batch_waker::~batch_waker() {
  if (--wakers == 0)
    wakeup_baton::get().start();
}

bool wakeup_baton::enqueue(flag& x) {
  if (wakers == 0)
    return false;
  lock_scope guard{mutex_};
  if (without_ > 0) {
    --without_;
    return false;
  }
  queue_.push_back(&x);
  return true;
}

void wakeup_baton::awake(flag& x) {
  lock_scope guard{mutex_};
  if (on_its_way_ == &x) {
    on_its_way_ = nullptr;
    own = baton_;
  } else {
    std::erase(queue_, &x);
  }
}

void wakeup_baton::advance(std::unique_lock<mutex_type> lock) {
  if (queue_.empty()) {
    baton_ = 0;
    on_its_way_ = nullptr;
    return;
  }
  baton_ = next_++;
  since_ = flag::clock::now();
  ++good_;
  auto* next = on_its_way_ = queue_.front();
  queue_.pop_front();
  lock.unlock(); // or whoever is woken would wait for it next
  flag::wake(next);
}

void wakeup_baton::start() {
  std::unique_lock lock{mutex_};
  if (baton_ == 0)
    advance(std::move(lock));
}

void wakeup_baton::pass() {
  if (own != 0)
    get().pass(std::exchange(own, 0));
}

void wakeup_baton::pass(std::uint64_t baton) {
  std::unique_lock lock{mutex_};
  if (baton == baton_) // else it comes too late
    advance(std::move(lock));
}

bool wakeup_baton::has_waiting() const {
  lock_scope guard{mutex_};
  return !queue_.empty();
}

bool wakeup_baton::revoke_if_overdue() {
  std::unique_lock lock{mutex_};
  if (baton_ == 0)
    return false;
  if (flag::clock::now() - since_ <= patience)
    return true;
  bool more = !queue_.empty();
  if (more) {
    penalty_ = good_ > rare ? fewest : std::clamp(2 * penalty_, fewest, most);
    without_ = penalty_;
    good_ = 0;
  }
  advance(std::move(lock));
  return more;
}

void wakeup_baton::before_fork() {
  mutex_.lock();
}

void wakeup_baton::after_fork_in_parent() {
  mutex_.unlock();
}

void wakeup_baton::after_fork_in_child() {
  queue_.clear(); // of threads of the parent
  on_its_way_ = nullptr;
  baton_ = 0;
  own = 0;
  mutex_.unlock();
}

} // namespace hornbeam::runtime
