#include "network.hpp"

#include <algorithm>

namespace hornbeam::simulation {

void timeline::at(time when, std::function<void()> f) {
  events_.emplace(std::pair{std::max(when, now_), ++last_}, std::move(f));
}

void timeline::run_until(time end) {
  while (!events_.empty() && events_.begin()->first.first <= end) {
    auto next = events_.extract(events_.begin());
    now_ = next.key().first;
    ++steps_;
    next.mapped()();
  }
  now_ = std::max(now_, end);
}

void end::send(std::string message) {
  if (!open_ || dead_)
    return;
  under_way_.push_back({std::move(message), false});
  net_->move(shared_from_this());
}

void end::close() {
  if (!open_ || dead_)
    return;
  open_ = false;
  under_way_.push_back({{}, true});
  net_->move(shared_from_this());
}

void network::listen(const std::string& address, int machine,
                     std::function<void(end_ptr)> f) {
  listeners_[address] = {machine, std::move(f)};
}

void network::stop_listening(const std::string& address) {
  listeners_.erase(address);
}

void network::dial(int from, const std::string& address, milliseconds patience,
                   std::function<void(end_ptr)> f) {
  time_.after(delay(), [=, this] {
    auto there = listeners_.find(address);
    bool reached = there != listeners_.end()
                   && !without_power_.contains(there->second.machine);
    if (reached && blocked(from, there->second.machine)) {
      time_.after(patience, [f] { f(nullptr); });
      return;
    }
    if (!reached) { // refused at once, or by nobody
      time_.after(one_in(dice_, 2) ? delay() : patience, [f] { f(nullptr); });
      return;
    }
    auto ours = std::make_shared<end>();
    auto theirs = std::make_shared<end>();
    ours->net_ = theirs->net_ = this;
    ours->machine_ = from;
    theirs->machine_ = there->second.machine;
    ours->other_ = theirs;
    theirs->other_ = ours;
    ends_.push_back(ours);
    ends_.push_back(theirs);
    there->second.f(theirs);
    f(ours);
  });
}

void network::move(const end_ptr& from) {
  if (std::exchange(from->moving_, true))
    return;
  time_.after(delay(), [this, from] { arrive(from); });
}

void network::arrive(const end_ptr& from) {
  from->moving_ = false;
  auto to = from->other_.lock();
  if (from->under_way_.empty() || !to)
    return;
  if (blocked(from->machine_, to->machine_)
      || without_power_.contains(to->machine_))
    return;        // until there is a way
  if (to->dead_) { // its machine was started again and knows of nothing
    reset(from);
    return;
  }
  // What was written together travels together.
  auto letters = std::exchange(from->under_way_, {});
  for (auto& x : letters) {
    if (!to->open_)
      return;
    if (x.last) {
      to->open_ = false;
      if (auto f = to->on_closed)
        f();
      return;
    }
    if (auto f = to->on_message)
      f(std::move(x.message));
  }
}

void network::reset(const end_ptr& x) {
  x->under_way_.clear();
  if (!std::exchange(x->open_, false) || x->dead_)
    return;
  if (auto f = x->on_closed)
    f();
}

void network::split(std::set<int> some) {
  heal();
  split_ = std::move(some);
}

void network::heal() {
  split_.clear();
  std::erase_if(ends_, [](auto& x) {
    auto other = x->other_.lock();
    return !x->open_ && x->under_way_.empty()
           && (!other || (!other->open_ && other->under_way_.empty()));
  });
  for (auto& x : std::vector{ends_})
    if (!x->under_way_.empty())
      move(x);
}

void network::cut(bool half) {
  std::vector<end_ptr> open;
  for (auto& x : ends_)
    if (auto other = x->other_.lock(); x->open_ && other && other->open_)
      open.push_back(x);
  if (open.empty())
    return;
  auto x = open[static_cast<std::size_t>(
    roll(dice_, 0, static_cast<std::int64_t>(open.size()) - 1))];
  auto other = x->other_.lock();
  time_.after(delay(), [this, x] { reset(x); });
  if (half) // it has to notice the silence
    other->other_.reset();
  else
    time_.after(delay(), [this, other] { reset(other); });
}

void network::lose_power(int machine) {
  without_power_.insert(machine);
  for (auto& x : ends_)
    if (x->machine_ == machine) {
      x->dead_ = true;
      x->under_way_.clear();
      x->on_message = nullptr;
      x->on_closed = nullptr;
    }
}

} // namespace hornbeam::simulation
