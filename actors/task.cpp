#include "actors/task.hpp"

#include <algorithm>
#include <chrono>

#include "actors/tasks.hpp"
#include "runtime/term/term_size.hpp"

namespace hornbeam::actors {

using namespace runtime;

namespace {

double now() {
  std::chrono::duration<double> x
    = std::chrono::system_clock::now().time_since_epoch();
  return x.count();
}

/// Adds a waiter, and drops those that have waited in vain.
template <class Waiters, class F>
void add(Waiters& to, deadline until, F f) {
  std::erase_if(to, [](auto& x) { return x.until.expired(); });
  to.push_back({until, std::move(f)});
}

} // namespace

std::size_t task_result::bytes() const noexcept {
  if (local)
    return local->bytes();
  if (value.ok())
    return bytes_of(*value);
  auto& why = value.error();
  return why.message.size() + why.traceback.size();
}

task::task(std::string id, std::string hook, std::string action)
  : id_(std::move(id)),
    hook_(std::move(hook)),
    action_(std::move(action)),
    submitted_(now()) {}

bool task::begin() {
  lock_scope guard{mutex_};
  if (result_)
    return false;
  if (std::exchange(state_, state::running) == state::waiting)
    started_ = now();
  return true;
}

void task::on_cancel(std::function<void()> f) {
  {
    lock_scope guard{mutex_};
    if (!cancelled_) {
      if (!result_)
        on_cancel_.push_back(std::move(f));
      return;
    }
  }
  f();
}

void task::progress(term x) {
  std::vector<waiter<answer>> watchers;
  term news;
  {
    lock_scope guard{mutex_};
    if (result_)
      return; // its code runs on after the end
    progress_ = std::move(x);
    news = term::tuple_of(term{++reports_}, progress_);
    watchers.swap(watchers_);
  }
  for (auto& w : watchers)
    w.f(news);
}

std::function<void()> task::end(task_result x) {
  bool failed = x.local ? x.local_failed : !x.value.ok();
  return end_as(failed ? state::failed : state::done, std::move(x));
}

std::function<void()> task::cancel() {
  failure why{error_code::internal,
              "the task '" + id_ + "' was cancelled",
              {},
              task_cancelled};
  return end_as(state::cancelled, {std::move(why), nullptr});
}

std::function<void()> task::end_as(state how, task_result x) {
  lock_scope guard{mutex_};
  if (result_)
    return nullptr;
  state_ = how;
  cancelled_ = how == state::cancelled;
  ended_ = now();
  result_ = std::move(x);
  if (!cancelled_)
    on_cancel_.clear();
  fetched_ = std::any_of(waiters_.begin(), waiters_.end(),
                         [](auto& w) { return !w.until.expired(); });
  return [result = *result_, waiters = std::exchange(waiters_, {}),
          watchers = std::exchange(watchers_, {}),
          on_cancel = std::exchange(on_cancel_, {})] {
    for (auto& f : on_cancel)
      f();
    for (auto& w : waiters)
      w.f(result);
    for (auto& w : watchers)
      w.f(term{});
  };
}

void task::await(deadline until, callback f) {
  std::unique_lock lock{mutex_};
  if (!result_) {
    add(waiters_, until, std::move(f));
    return;
  }
  auto result = *result_;
  fetched_ = true;
  lock.unlock();
  f(result);
}

void task::watch(std::int64_t seen, deadline until, answer f) {
  std::unique_lock lock{mutex_};
  if (reports_ == seen && !result_) {
    add(watchers_, until, std::move(f));
    return;
  }
  auto news = reports_ == seen ? term{}
                               : term::tuple_of(term{reports_}, progress_);
  lock.unlock();
  f(std::move(news));
}

std::size_t task::progress_bytes() const {
  lock_scope guard{mutex_};
  return bytes_of(progress_);
}

term task::status() const {
  auto text = [](const std::string& x) { return term::string(x); };
  auto time = [](double x) { return x == 0 ? term{} : term{x}; };
  constexpr const char* names[] = {"waiting", "running", "done", "failed",
                                   "cancelled"};
  lock_scope guard{mutex_};
  return term::map({
    {text("id"), text(id_)},
    {text("state"), text(names[static_cast<int>(state_)])},
    {text("hook"), text(hook_)},
    {text("action"), text(action_)},
    {text("node"), text(tasks::node_of(id_))},
    {text("submitted"), time(submitted_)},
    {text("started"), time(started_)},
    {text("ended"), time(ended_)},
    {text("progress"), progress_},
  });
}

} // namespace hornbeam::actors
