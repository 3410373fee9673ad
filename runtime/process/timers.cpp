#include "runtime/process/timers.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <system_error>

namespace hornbeam::runtime {

timers::timers(bool by_hand) : by_hand_(by_hand) {
  if (!by_hand_)
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& e) {
      throw std::runtime_error("no thread can be started for timers: "
                               + e.code().message());
    }
}

ticks timers::now() const noexcept {
  if (by_hand_)
    return by_hand_now_.load(std::memory_order_relaxed);
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

ticks timers::in(std::int64_t ms) const noexcept {
  constexpr ticks ns = 1'000'000;
  auto from = now();
  if (ms > (never - from) / ns)
    return never;
  return from + std::max<std::int64_t>(ms, 0) * ns;
}

void timers::arm(process& p, ticks at) {
  bool first = false;
  {
    lock_scope guard{mutex_};
    auto old = p.armed_.load();
    if (old <= at || !p.alive())
      return;
    if (old != never)
      sleepers_.erase({old, &p});
    first = at < next();
    sleepers_.emplace(at, &p);
    p.armed_.store(at);
  }
  if (first)
    changed_.notify_one();
}

void timers::disarm(process& p) {
  if (p.armed_.load() == never)
    return;
  lock_scope guard{mutex_};
  if (auto old = p.armed_.exchange(never); old != never)
    sleepers_.erase({old, &p});
}

void timers::add(std::uint64_t id, ticks at, action f, process_ptr target) {
  bool first = false;
  {
    lock_scope guard{mutex_};
    first = at < next();
    actions_.emplace(std::pair{at, id}, std::move(f));
    ids_.emplace(id, std::pair{at, std::move(target)});
  }
  if (first)
    changed_.notify_one();
}

std::optional<timers::cancelled> timers::cancel(std::uint64_t id) {
  action gone; // its captures end without the lock
  lock_scope guard{mutex_};
  auto entry = ids_.extract(id);
  if (!entry)
    return std::nullopt;
  auto& [at, target] = entry.mapped();
  auto node = actions_.extract({at, id});
  gone = std::move(node.mapped());
  return cancelled{std::max<ticks>(at - now(), 0), std::move(target)};
}

std::optional<ticks> timers::left(std::uint64_t id) const {
  lock_scope guard{mutex_};
  auto i = ids_.find(id);
  if (i == ids_.end())
    return std::nullopt;
  return std::max<ticks>(i->second.first - now(), 0);
}

std::size_t timers::size() const {
  lock_scope guard{mutex_};
  return actions_.size();
}

void timers::advance(std::int64_t ms) {
  std::unique_lock lock{mutex_};
  auto until = by_hand_now_.load() + ms * 1'000'000;
  for (auto at = next(); at <= until; at = next()) {
    by_hand_now_.store(std::max(at, by_hand_now_.load()));
    fire(lock);
  }
  by_hand_now_.store(until);
}

void timers::stop() {
  {
    lock_scope guard{mutex_};
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable())
    thread_.join();
}

ticks timers::next() const {
  auto at = never;
  if (!sleepers_.empty())
    at = sleepers_.begin()->first;
  if (!actions_.empty())
    at = std::min(at, actions_.begin()->first.first);
  return at;
}

void timers::run() {
  std::unique_lock lock{mutex_};
  while (!stopping_) {
    auto at = next();
    if (at > now()) {
      if (at == never)
        changed_.wait(lock);
      else
        changed_.wait_until(lock, std::chrono::steady_clock::time_point{
                                    std::chrono::nanoseconds{at}});
      continue;
    }
    fire(lock);
  }
}

void timers::fire(std::unique_lock<mutex_type>& lock) {
  auto time = now();
  if (!sleepers_.empty() && sleepers_.begin()->first <= time) {
    // The process is alive or has yet to disarm, which waits for this lock.
    process_ptr p{sleepers_.begin()->second};
    sleepers_.erase(sleepers_.begin());
    p->armed_.store(never);
    // Whoever sets a deadline looks at `armed_` afterwards.
    auto at = p->deadline_.load();
    if (at == never)
      ;
    else if (at > time) {
      sleepers_.emplace(at, p.get());
      p->armed_.store(at);
    } else if (p->queue_.nudge())
      p->wake();
    lock.unlock(); // the last share may end here
    p = nullptr;
    lock.lock();
    return;
  }
  if (!actions_.empty() && actions_.begin()->first.first <= time) {
    auto node = actions_.extract(actions_.begin());
    auto entry = ids_.extract(node.key().second);
    lock.unlock(); // the last share of a process may end here
    node.mapped()();
    node.mapped() = nullptr;
    entry.mapped().second = nullptr;
    lock.lock();
  }
}

} // namespace hornbeam::runtime
