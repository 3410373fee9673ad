#include "runtime/process/process.hpp"

#include <algorithm>
#include <mutex>

#include "runtime/process/relations.hpp"

namespace hornbeam::runtime {

process::process(processes& owner, std::uint64_t serial)
  : owner_(owner), serial_(serial) {}

process::~process() = default;

bool process::refuse_entry() const {
  if (leaving_ || std::uncaught_exceptions() > 0)
    return false;
  throw process_killed{};
}

bool process::ready(receiver_base& r) {
  if (r.found_ || r.expired_ || r.error_)
    return true;
  try {
    do {
      if (r.scan())
        break;
    } while (collect());
  } catch (...) {
    r.error_ = std::current_exception();
  }
  if (!r.timed())
    return r.found_ || r.error_;
  // If the clock looks in time by itself, there is no need to ask it.
  if (!r.found_ && !r.error_ && armed_.load() > r.until_)
    r.expired_ = owner_.clock().now() >= r.until_;
  bool over = r.found_ || r.expired_ || r.error_;
  if (!over)
    deadline_.store(r.until_);
  else // a clock that still sees the old one wakes us for nothing
    deadline_.store(never, std::memory_order_relaxed);
  return over;
}

bool process::sleep(ticks until) {
  if (until != never && armed_.load() > until)
    owner_.clock().arm(*this, until);
  if (!queue_.sleep())
    return false;
  // The clock may have looked just before: then nobody else wakes us.
  return until == never || armed_.load() != never || !queue_.nudge();
}

bool process::wanted(const signal& x) {
  if (!aliases_)
    return x.last;
  auto i = std::find_if(aliases_->begin(), aliases_->end(),
                        [&](auto& a) { return a.first == x.alias; });
  if (i == aliases_->end())
    return x.last;
  auto mode = i->second;
  if (x.last ? mode == alias_mode::explicit_unalias
             : mode != alias_mode::reply && mode != alias_mode::reply_demonitor)
    return true;
  aliases_->erase(i);
  if (!x.last && mode == alias_mode::reply_demonitor)
    owner_.remove_monitor(*this, x.alias);
  return true;
}

relations& process::related() {
  if (!relations_)
    relations_ = std::make_unique<relations>();
  return *relations_;
}

void process::forget_everything() noexcept {
  queue_.clear();
  aliases_ = nullptr;
  term gone; // may be the last share of this process: ends without the lock
  lock_scope guard{mutex_};
  std::swap(gone, pid_);
}

} // namespace hornbeam::runtime
