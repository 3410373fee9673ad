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
      tasks_.run(std::string{op.arg(4).text()}, read_invocation(c));
    } else if (op.name == "turn") {
      c.reply(term{});
    } else if (op.name == "list") {
      c.reply(tasks_.list());
    } else if (op.name == "await") {
      auto t = known(op);
      t->await(c.until, [reply = share(c)](const task_result& r) {
        if (r.local)
          r.local->as_term(std::move(*reply));
        else
          (*reply)(r.value);
      });
    } else if (op.name == "watch") {
      auto t = known(op);
      auto seen = op.arg(1).as_int();
      t->watch(seen, c.until,
               [reply = share(c)](outcome x) { (*reply)(std::move(x)); });
    } else if (op.name == "status") {
      c.reply(known(op)->status());
    } else if (op.name == "cancel") {
      c.reply(term{tasks_.cancel(known(op)->id()) == true});
    } else {
      throw bad_term("tasks know no operation '" + op.name + "'");
    }
  }

private:
  task_ptr known(const operation& op) {
    std::string id{op.arg(0).text()};
    if (auto t = tasks_.find(id))
      return t;
    throw failed{tasks_.unknown(id)};
  }
  static std::shared_ptr<responder> share(call& c) {
    return std::make_shared<responder>(std::move(c.reply));
  }

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

task_ptr tasks::start(const std::string& id, const std::string& hook,
                      const std::string& action) {
  auto t = std::make_shared<task>(id, hook, action);
  std::lock_guard guard{mutex_};
  return tasks_.emplace(id, std::move(t)).first->second;
}

template <class F>
std::optional<bool> tasks::end(const std::string& id, F how) {
  std::function<void()> tell;
  {
    std::lock_guard guard{mutex_};
    auto i = tasks_.find(id);
    if (i == tasks_.end())
      return std::nullopt;
    tell = how(*i->second);
    if (!tell)
      return false;
    // Whoever is told finds the oldest results gone.
    ended_.emplace_back(clock::now(), id);
    drop_old();
  }
  tell();
  return true;
}

void tasks::finish(const std::string& id, task_result result) {
  end(id, [&](task& t) { return t.end(std::move(result)); });
}

std::optional<bool> tasks::cancel(const std::string& id) {
  return end(id, [](task& t) { return t.cancel(); });
}

void tasks::drop_old() {
  auto too_old = clock::now() - std::chrono::milliseconds(keep_.keep_ms);
  while (
    !ended_.empty()
    && (ended_.size() > keep_.keep_count || ended_.front().first <= too_old)) {
    tasks_.erase(ended_.front().second);
    ended_.pop_front();
  }
}

task_ptr tasks::find(const std::string& id) {
  std::lock_guard guard{mutex_};
  drop_old();
  auto i = tasks_.find(id);
  return i != tasks_.end() ? i->second : nullptr;
}

bool tasks::await(const std::string& id, deadline until, task::callback f) {
  auto t = find(id);
  if (t)
    t->await(until, std::move(f));
  return t != nullptr;
}

void tasks::await_here(const std::string& id, deadline until,
                       task::callback f) {
  auto shared = std::make_shared<task::callback>(std::move(f));
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
  x.task = start(id, x.target, x.action);
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

term tasks::list() {
  std::vector<task_ptr> all;
  {
    std::lock_guard guard{mutex_};
    drop_old();
    for (auto& [id, t] : tasks_)
      all.push_back(t);
  }
  term::sequence out;
  for (auto& t : all)
    out.push_back(t->status());
  return term::list(std::move(out));
}

std::unique_ptr<service> tasks::make_service() {
  return std::make_unique<tasks_service>(*this);
}

} // namespace hornbeam::actors
