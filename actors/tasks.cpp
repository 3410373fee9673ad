#include "actors/tasks.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>

namespace hornbeam::actors {

using namespace runtime;

class tasks_service : public service {
public:
  explicit tasks_service(tasks& t) : tasks_(t) {}

  void handle(call& c) override { handle(c, true); }

  void peer(const peer_event& e) override {
    if (e.up) {
      tasks_.submitters_[e.incarnation] = e.name;
      return;
    }
    tasks_.submitters_.erase(e.incarnation);
    std::vector<std::int64_t> lost;
    for (auto& [number, x] : tasks_.on_their_way_)
      if (x.first == e.name)
        lost.push_back(number);
    for (auto number : lost)
      look_again(number);
  }

private:
  /// `may_wait`: for the submitter of a task that is not known.
  void handle(call& c, bool may_wait) {
    operation op{c.op};
    if (op.name == "submit") {
      auto ttl = op.arg(5).as_int();
      c.until = ttl < 0 ? deadline{} : deadline::in(ttl);
      c.depth = static_cast<std::uint32_t>(op.arg(6).as_int());
      std::string id{op.arg(4).text()};
      try {
        tasks_.run(id, read_invocation(c, tasks_.node()));
      } catch (...) { // whoever awaits it is told
        tasks_.start(id, std::string{op.arg(0).text()},
                     std::string{op.arg(1).text()});
        tasks_.finish(id, {current_failure(), nullptr});
      }
    } else if (op.name == "look") { // behind what this node has submitted
      tasks_.net_.tell(c.from, "tasks", make_op("looked", op.arg(0)));
    } else if (op.name == "looked") {
      look_again(op.arg(0).as_int());
    } else if (may_wait && is_about_task(op.name)
               && wait_for_submitter(c, op)) {
      return;
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

  static bool is_about_task(std::string_view name) {
    return name == "await" || name == "watch" || name == "status"
           || name == "cancel" || name == "turn";
  }
  /// Whoever knows an id may be faster than the cast that submits it, which a
  /// large argument, or one before it, makes slow: its node says when all that
  /// it has submitted by now is here. False: the task is known, or nobody can
  /// say so.
  bool wait_for_submitter(call& c, const operation& op) {
    std::string id{op.arg(0).text()};
    if (tasks_.find(id))
      return false;
    auto from = tasks_.submitters_.find(tasks::submitter_of(id));
    if (from == tasks_.submitters_.end())
      return false;
    auto number = ++tasks_.last_look_;
    if (!tasks_.net_.tell(from->second, "tasks", make_op("look", number)))
      return false;
    tasks_.on_their_way_.emplace(
      number, std::pair{from->second, std::make_shared<call>(std::move(c))});
    return true;
  }
  void look_again(std::int64_t number) {
    auto node = tasks_.on_their_way_.extract(number);
    if (!node)
      return;
    auto& c = *node.mapped().second;
    if (c.until.expired()) { // nobody waits any more: cancel nothing
      c.reply(too_late());
      return;
    }
    try {
      handle(c, false);
    } catch (...) {
      refuse(c, "tasks", current_failure());
    }
  }
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

std::string tasks::make_id(const std::string& node) {
  auto me = net_.self();
  char mark[64];
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

std::uint64_t tasks::submitter_of(const std::string& id) {
  auto slash = id.rfind('/');
  std::uint64_t incarnation = 0;
  if (slash != std::string::npos)
    std::from_chars(id.data() + slash + 1, id.data() + id.size(), incarnation,
                    16);
  return incarnation;
}

failure tasks::unknown(const std::string& id) const {
  return {error_code::not_found,
          "no task '" + id + "' on " + net_.self()->name()
            + ": it was never submitted, its result is no longer kept, or "
              "the node has started anew"};
}

task_ptr tasks::start(const std::string& id, const std::string& hook,
                      const std::string& action) {
  auto t = std::make_shared<task>(id, hook, action);
  lock_scope guard{records_->mutex};
  return records_->all.emplace(id, std::move(t)).first->second;
}

template <class F>
std::optional<bool> tasks::records::end(const std::string& id, F how) {
  std::function<void()> tell;
  {
    lock_scope guard{mutex};
    auto i = all.find(id);
    if (i == all.end())
      return std::nullopt;
    tell = how(*i->second);
    if (!tell)
      return false;
    // Whoever is told finds the oldest results gone.
    ended.emplace_back(clock::now(), id);
    drop_old();
  }
  tell();
  return true;
}

void tasks::finish(const std::string& id, task_result result) {
  records_->end(id, [&](task& t) { return t.end(std::move(result)); });
}

std::optional<bool> tasks::cancel(const std::string& id) {
  return records_->end(id, [](task& t) { return t.cancel(); });
}

void tasks::records::drop_old() {
  auto too_old = clock::now() - std::chrono::milliseconds(keep.keep_ms);
  while (
    !ended.empty()
    && (ended.size() > keep.keep_count || ended.front().first <= too_old)) {
    all.erase(ended.front().second);
    ended.pop_front();
  }
}

task_ptr tasks::find(const std::string& id) {
  lock_scope guard{records_->mutex};
  records_->drop_old();
  auto i = records_->all.find(id);
  return i != records_->all.end() ? i->second : nullptr;
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
  net_.request(net_.self()->name(), "tasks", make_op("turn", term::string(id)),
               until, 0, responder{[this, id, shared, try_it](const outcome&) {
                 if (!try_it())
                   (*shared)({unknown(id), nullptr});
               }});
}

void tasks::run(const std::string& id, invocation x) {
  x.task = start(id, x.target, x.action);
  hooks_.invoke(
    std::move(x), responder{[to = records_, id](outcome r) {
      to->end(id, [&](task& t) { return t.end({std::move(r), nullptr}); });
    }});
}

void tasks::submit(const std::string& id, const invocation& x) {
  auto where = node_of(id);
  if (where == net_.self()->name()) {
    run(id, x);
    return;
  }
  auto items = write_invocation("submit", x).to_sequence();
  items.push_back(term::string(id));
  items.push_back(term{x.until.left_ms()});
  items.push_back(term{static_cast<std::int64_t>(x.depth)});
  if (!net_.cast(where, "tasks", term::tuple(std::move(items))))
    throw failed{net_.why_not(where)};
}

std::pair<std::size_t, std::size_t> tasks::count() const {
  lock_scope guard{records_->mutex};
  auto ended = records_->ended.size();
  return {records_->all.size() - ended, ended};
}

term tasks::list() {
  std::vector<task_ptr> all;
  {
    lock_scope guard{records_->mutex};
    records_->drop_old();
    for (auto& [id, t] : records_->all)
      all.push_back(t);
  }
  std::sort(all.begin(), all.end(),
            [](auto& a, auto& b) { return a->id() < b->id(); });
  term::sequence out;
  for (auto& t : all)
    out.push_back(t->status());
  return term::list(std::move(out));
}

std::unique_ptr<service> tasks::make_service() {
  return std::make_unique<tasks_service>(*this);
}

} // namespace hornbeam::actors
