#include "runtime/base/turns.hpp"

#include <algorithm>
#include <utility>

#include <pthread.h>

namespace hornbeam::runtime {

namespace {

/// When a thread has kept its turn, as one that sleeps or computes between its
/// calls does, some answers are brought without turns: the fewest if that is
/// rare, and from one time to the next twice as many if it is not.
constexpr int fewest = 50;
constexpr int most = 5000;
constexpr int rare = 1000;

thread_local int takers = 0;        ///< scopes of this thread
thread_local int bringers = 0;      //
thread_local std::uint64_t own = 0; ///< the turn that this thread has

[[maybe_unused]] const int starts_anew_in_children
  = ::pthread_atfork(nullptr, nullptr, [] { turns::get().reset(); });

} // namespace

turns& turns::get() {
  static auto* one = new turns;
  return *one;
}

turns::taker::taker() {
  ++takers;
}

turns::taker::~taker() {
  --takers;
}

bool turns::taker::here() noexcept {
  return takers > 0;
}

turns::bringer::bringer() {
  ++bringers;
}

turns::bringer::~bringer() {
  if (--bringers == 0)
    get().start();
}

bool turns::line_up(flag& x) {
  if (bringers == 0)
    return false;
  std::lock_guard guard{mutex_};
  if (without_ > 0) {
    --without_;
    return false;
  }
  line_.push_back(&x);
  return true;
}

void turns::awake(flag& x) {
  std::lock_guard guard{mutex_};
  if (on_its_way_ == &x) {
    on_its_way_ = nullptr;
    own = turn_;
  } else {
    std::erase(line_, &x);
  }
}

void turns::advance(std::unique_lock<std::mutex> lock) {
  if (line_.empty()) {
    turn_ = 0;
    on_its_way_ = nullptr;
    return;
  }
  turn_ = next_++;
  since_ = flag::clock::now();
  ++good_;
  auto* next = on_its_way_ = line_.front();
  line_.pop_front();
  lock.unlock(); // or whoever is woken would wait for it next
  flag::wake(next);
}

void turns::start() {
  std::unique_lock lock{mutex_};
  if (turn_ == 0)
    advance(std::move(lock));
}

void turns::pass() {
  if (own != 0)
    get().pass(std::exchange(own, 0));
}

void turns::pass(std::uint64_t turn) {
  std::unique_lock lock{mutex_};
  if (turn == turn_) // else it comes too late
    advance(std::move(lock));
}

bool turns::lined_up() const {
  std::lock_guard guard{mutex_};
  return !line_.empty();
}

bool turns::hurry() {
  std::unique_lock lock{mutex_};
  if (turn_ == 0)
    return false;
  if (flag::clock::now() - since_ <= patience)
    return true;
  bool more = !line_.empty();
  if (more) {
    penalty_ = good_ > rare ? fewest : std::clamp(2 * penalty_, fewest, most);
    without_ = penalty_;
    good_ = 0;
  }
  advance(std::move(lock));
  return more;
}

void turns::reset() {
  // Threads of the parent may have held the lock, or stood in the line.
  new (&mutex_) std::mutex;
  new auto(std::exchange(line_, {}));
  on_its_way_ = nullptr;
  turn_ = 0;
  own = 0;
}

} // namespace hornbeam::runtime
