#include "runtime/base/log_queue.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace hornbeam::runtime::log {

void queue::write(const log::record& x) {
  if (size_.fetch_add(1) >= max_records) {
    --size_;
    ++left_out_;
    return;
  }
  auto* fresh = new node{x, last_.load()};
  while (!last_.compare_exchange_weak(fresh->before, fresh))
    ;
  ready_.set();
}

void queue::close() noexcept {
  closed_ = true;
  ready_.set();
}

std::vector<log::record> queue::wait() {
  for (;;) {
    ready_.clear();
    auto out = take();
    if (!out.empty() || closed_)
      return out;
    ready_.wait_until(flag::clock::time_point::max());
  }
}

std::vector<log::record> queue::take() {
  std::vector<log::record> out;
  for (auto* x = last_.exchange(nullptr); x != nullptr;) {
    out.push_back(std::move(x->record));
    delete std::exchange(x, x->before);
    --size_;
  }
  std::reverse(out.begin(), out.end());
  if (auto n = left_out_.exchange(0); n > 0)
    out.push_back(
      {level::warning,
       "log",
       {},
       std::to_string(n) + " more were left out: they were not taken in time",
       std::chrono::system_clock::now()});
  return out;
}

void queue::after_fork_in_child() {
  take();
  size_ = 0; // a thread of the parent may have been about to add one
  closed_ = true;
  new (&ready_) flag; // a thread of the parent waits at it
}

} // namespace hornbeam::runtime::log
