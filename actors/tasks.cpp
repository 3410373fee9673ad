#include "actors/tasks.hpp"

#include <cstdio>

namespace hornbeam::actors {

using namespace runtime;

namespace {

class tasks_service : public service {
public:
  explicit tasks_service(tasks& t) : tasks_(t) {}

  void handle(call& c) override {
    operation op{c.op};
    if (op.name == "submit") {
      std::string id{op.arg(4).text()};
      tasks_.run(id, read_invocation(c));
    } else if (op.name == "await") {
      std::string id{op.arg(0).text()};
      auto reply = std::make_shared<responder>(std::move(c.reply));
      auto done = [reply](const task_result& r) {
        if (r.local)
          r.local->as_term(std::move(*reply));
        else
          (*reply)(r.value);
      };
      if (!tasks_.await(id, c.until, std::move(done)))
        (*reply)(tasks_.unknown(id));
    } else if (op.name == "turn") {
      c.reply(term{});
    } else {
      throw bad_term("tasks know no operation '" + op.name + "'");
    }
  }

private:
  tasks& tasks_;
};

} // namespace

std::string tasks::make_id(const std::string& node) {
  auto me = net_.self();
  char mark[64];
  std::unique_lock lock{mutex_};
  std::snprintf(mark, sizeof mark, "/%016llx-%llx",
                static_cast<unsigned long long>(me->incarnation),
                static_cast<unsigned long long>(next_++));
  return node + mark;
}

std::string tasks::node_of(const std::string& id) {
  auto slash = id.rfind('/');
  if (slash == std::string::npos || id.find('@') == std::string::npos)
    throw bad_term("not a task id: '" + id
                   + "'; task ids come from execute_async");
  return id.substr(0, slash);
}

failure tasks::unknown(const std::string& id) const {
  return {error_code::not_found,
          "no task '" + id + "' on " + net_.self()->name()
            + ": it was never submitted, its result is no longer kept, or "
              "the node has started anew",
          {},
          {},
          {}};
}

void tasks::start(const std::string& id) {
  std::lock_guard guard{mutex_};
  tasks_.try_emplace(id);
}

void tasks::finish(const std::string& id, task_result result) {
  std::vector<std::pair<deadline, callback>> waiters;
  {
    std::lock_guard guard{mutex_};
    auto i = tasks_.find(id);
    if (i == tasks_.end() || i->second.result)
      return;
    i->second.result = result;
    i->second.ended = clock::now();
    waiters.swap(i->second.waiters);
    ended_.push_back(id);
    drop_old();
  }
  for (auto& [until, f] : waiters)
    f(result);
}

void tasks::drop_old() {
  auto too_old = clock::now() - std::chrono::milliseconds(keep_.keep_ms);
  while (!ended_.empty()) {
    auto i = tasks_.find(ended_.front());
    if (i != tasks_.end()) {
      if (ended_.size() <= keep_.keep_count && i->second.ended > too_old)
        return;
      tasks_.erase(i);
    }
    ended_.pop_front();
  }
}

bool tasks::await(const std::string& id, deadline until, callback f) {
  std::unique_lock lock{mutex_};
  drop_old();
  auto i = tasks_.find(id);
  if (i == tasks_.end())
    return false;
  if (!i->second.result) {
    // Whoever waits in vain is dropped when the next one comes.
    std::erase_if(i->second.waiters, [](auto& w) { return w.first.expired(); });
    i->second.waiters.emplace_back(until, std::move(f));
    return true;
  }
  auto result = *i->second.result;
  lock.unlock();
  f(result);
  return true;
}

void tasks::await_here(const std::string& id, deadline until, callback f) {
  auto shared = std::make_shared<callback>(std::move(f));
  auto try_it = [this, id, until, shared] {
    return await(id, until, [shared](const task_result& r) { (*shared)(r); });
  };
  if (try_it())
    return;
  net_.request(net_.self()->name(), "tasks", make_op("turn"), until, 0,
               responder{[this, id, shared, try_it](const outcome&) {
                 if (!try_it())
                   (*shared)({unknown(id), nullptr});
               }});
}

void tasks::run(const std::string& id, invocation x) {
  start(id);
  hooks_.invoke(std::move(x), responder{[this, id](outcome r) {
                  finish(id, {std::move(r), nullptr});
                }});
}

void tasks::submit(const std::string& id, const invocation& x) {
  auto op = write_invocation("submit", x);
  auto items = op.to_sequence();
  items.push_back(term::string(id));
  auto where = node_of(id);
  if (where == net_.self()->name())
    run(id, x);
  else
    net_.cast(where, "tasks", term::tuple(std::move(items)));
}

std::pair<std::size_t, std::size_t> tasks::count() const {
  std::lock_guard guard{mutex_};
  return {tasks_.size() - ended_.size(), ended_.size()};
}

std::unique_ptr<service> tasks::make_service() {
  return std::make_unique<tasks_service>(*this);
}

} // namespace hornbeam::actors
