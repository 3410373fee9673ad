#include "runtime/table/watchers.hpp"

#include "runtime/base/log.hpp"
#include "runtime/table/host.hpp"

namespace hornbeam::runtime {

namespace {

term message_of(std::uint64_t number, const term& table, const table_event& x) {
  static const auto tag = term::constant("table_event");
  static const auto before = term::constant("old");
  static const auto after = term::constant("new");
  term::entries values;
  if (x.before)
    values.emplace_back(before, *x.before);
  if (x.after)
    values.emplace_back(after, *x.after);
  return term::tuple({tag, term{static_cast<std::int64_t>(number)}, table,
                      term::atom(name_of(x.what)), x.key,
                      term::map(std::move(values))});
}

} // namespace

bool table_interest::covers(const term& x) const {
  if (key)
    return *key == x;
  return prefix.empty()
         || (x.is(term::kind::string) && x.text().starts_with(prefix));
}

const char* name_of(table_event::kind x) noexcept {
  switch (x) {
    case table_event::kind::erased:
      return "delete";
    case table_event::kind::expired:
      return "expire";
    case table_event::kind::evicted:
      return "evict";
    case table_event::kind::ended:
      return "end";
    default:
      return "set";
  }
}

void table_watchers::note(const table_event& x) {
  std::shared_ptr<const table_event> event;
  bool all = x.what == table_event::kind::ended;
  lock_scope guard{mutex_};
  for (auto& [number, w] : watches_) {
    if (!all && !w.what.covers(x.key))
      continue;
    if (!event)
      event = std::make_shared<const table_event>(x);
    waiting_.push_back({w.listener, event});
  }
}

void table_watchers::deliver() {
  std::unique_lock lock{mutex_};
  if (delivering_)
    return;
  delivering_ = true;
  while (!waiting_.empty()) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    try {
      (*next.listener)(*next.event);
    } catch (const std::exception& e) {
      log::say_once_a_minute(log::level::error, "tables", {}, "listener", [&] {
        return std::string{"a listener of a table raised: "} + e.what();
      });
    } catch (...) {
      log::say_once_a_minute(log::level::error, "tables", {}, "listener",
                             "a listener of a table raised something that is "
                             "no std::exception");
    }
    next = {};
    lock.lock();
  }
  delivering_ = false;
}

std::uint64_t table_watchers::add(watch x, std::uint64_t number) {
  watches_.emplace(number, std::move(x));
  any_.store(true);
  return number;
}

std::uint64_t table_watchers::add(table_interest what, table_listener f) {
  lock_scope guard{mutex_};
  return add({std::move(what),
              std::make_shared<const table_listener>(std::move(f)),
              {},
              nullptr},
             next_number_++);
}

std::uint64_t table_watchers::add(table_interest what, const term& pid,
                                  const std::string& table, table_host* host) {
  lock_scope guard{mutex_};
  if (watches_.size() >= look_for_dead_at_) {
    forget_dead();
    look_for_dead_at_ = 2 * watches_.size() + 16;
  }
  auto number = next_number_++;
  auto tell = [number, pid, host, name = term::atom(table)](const auto& x) {
    if (host)
      host->send(pid, message_of(number, name, x));
  };
  return add({std::move(what),
              std::make_shared<const table_listener>(std::move(tell)), pid,
              host},
             number);
}

void table_watchers::forget_dead() {
  std::erase_if(watches_, [](const auto& x) {
    auto& w = x.second;
    return !w.pid.is_none() && w.host && !w.host->alive(w.pid);
  });
}

void table_watchers::after_fork_in_child() {
  std::erase_if(watches_, [](auto& x) { return !x.second.pid.is_none(); });
  waiting_.clear(); // the parent delivers them
  delivering_ = false;
  any_ = !watches_.empty();
  mutex_.unlock();
}

bool table_watchers::remove(std::uint64_t number) {
  lock_scope guard{mutex_};
  bool was = watches_.erase(number) != 0;
  any_.store(!watches_.empty());
  return was;
}

std::size_t table_watchers::size() const {
  lock_scope guard{mutex_};
  return watches_.size();
}

} // namespace hornbeam::runtime
