#include "actors/tasks.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>

#include "runtime/base/log.hpp"

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
    } else if (op.name == "forget") {
      c.reply(term{tasks_.forget(std::string{op.arg(0).text()})});
    } else {
      throw bad_term("tasks know no operation '" + op.name + "'");
    }
  }

  static bool is_about_task(std::string_view name) {
    return name == "await" || name == "watch" || name == "status"
           || name == "cancel" || name == "forget" || name == "turn";
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

namespace {

/// So many dropped results are remembered.
constexpr std::size_t most_remembered = 10'000;

std::string how_to_raise(const char* setting) {
  return std::string{"; to keep results longer, raise "} + setting
         + " of that node (configure() or [python] in its file), or forget() "
           "those that nobody needs";
}

} // namespace

failure tasks::unknown(const std::string& id) const {
  using reason = records::reason;
  std::optional<reason> why;
  {
    lock_scope guard{records_->mutex};
    if (auto i = records_->dropped.find(id); i != records_->dropped.end())
      why = i->second;
  }
  auto& keep = records_->keep;
  auto gone = [&](const std::string& text) -> failure {
    return {error_code::not_found, "the result of the task '" + id + "' on "
                                     + net_.self()->name()
                                     + " is no longer kept: " + text};
  };
  if (why == reason::age)
    return gone("it is older than task_keep_ms = "
                + std::to_string(keep.keep_ms) + how_to_raise("task_keep_ms"));
  if (why == reason::count)
    return gone("as many as task_keep_count = "
                + std::to_string(keep.keep_count) + " have come after it"
                + how_to_raise("task_keep_count"));
  if (why == reason::bytes)
    return gone("with those that came after it, it takes more than "
                "task_keep_bytes = "
                + std::to_string(keep.keep_bytes)
                + how_to_raise("task_keep_bytes"));
  if (why == reason::forgotten)
    return gone("it was dropped by forget()");
  return {error_code::not_found,
          "no task '" + id + "' on " + net_.self()->name()
            + ": it was never submitted, its result is no longer kept, or "
              "the node has started anew"};
}

task_ptr tasks::start(const std::string& id, const std::string& hook,
                      const std::string& action) {
  auto t = std::make_shared<task>(id, hook, action);
  lock_scope guard{records_->mutex};
  return records_->all.emplace(id, records::record{std::move(t)})
    .first->second.task;
}

template <class F>
std::optional<bool> tasks::records::end(const std::string& id, std::size_t size,
                                        F how) {
  std::function<void()> tell;
  garbage gone;
  {
    lock_scope guard{mutex};
    auto i = all.find(id);
    if (i == all.end())
      return std::nullopt;
    auto& t = *i->second.task;
    tell = how(t);
    if (!tell)
      return false;
    size += t.progress_bytes();
    i->second.ended = ended.insert(ended.end(), {clock::now(), id, size});
    bytes += size;
    // Whoever is told finds the oldest results gone.
    if (i->second.forget)
      drop(i, reason::forgotten, gone);
    drop_old(gone);
  }
  tell();
  return true;
}

void tasks::finish(const std::string& id, task_result result) {
  auto bytes = result.bytes();
  records_->end(id, bytes, [&](task& t) { return t.end(std::move(result)); });
}

std::optional<bool> tasks::cancel(const std::string& id) {
  return records_->end(id, 0, [](task& t) { return t.cancel(); });
}

bool tasks::forget(const std::string& id) {
  records::garbage gone;
  lock_scope guard{records_->mutex};
  records_->drop_old(gone);
  auto i = records_->all.find(id);
  if (i == records_->all.end())
    return false;
  if (i->second.ended)
    records_->drop(i, records::reason::forgotten, gone);
  else
    i->second.forget = true;
  return true;
}

std::optional<tasks::records::reason> tasks::records::out_of_bounds() const {
  if (ended.empty())
    return std::nullopt;
  auto age = std::chrono::milliseconds(keep.keep_ms);
  if (ended.front().at <= clock::now() - age)
    return reason::age;
  if (ended.size() > keep.keep_count)
    return reason::count;
  // Else nobody could ever fetch one that takes more by itself.
  if (bytes > keep.keep_bytes && (ended.size() > 1 || keep.keep_bytes == 0))
    return reason::bytes;
  return std::nullopt;
}

void tasks::records::drop_old(garbage& out) {
  while (auto why = out_of_bounds()) {
    auto i = all.find(ended.front().id);
    if (why != reason::age && !i->second.task->fetched()) {
      bool by_count = why == reason::count;
      log::say_once_a_minute(log::level::warning, "tasks", {}, "dropped", [&] {
        return std::string{"results of tasks that nobody fetched are dropped: "
                           "there are more than "}
               + (by_count
                    ? "task_keep_count = " + std::to_string(keep.keep_count)
                    : "task_keep_bytes = " + std::to_string(keep.keep_bytes))
               + how_to_raise(by_count ? "task_keep_count" : "task_keep_bytes");
      });
    }
    drop(i, *why, out);
  }
}

void tasks::records::drop(by_id::iterator x, reason why, garbage& out) {
  auto at = *x->second.ended;
  bytes -= at->bytes;
  if (dropped.emplace(at->id, why).second)
    dropped_in_order.push_back(std::move(at->id));
  if (dropped_in_order.size() > most_remembered) {
    dropped.erase(dropped_in_order.front());
    dropped_in_order.pop_front();
  }
  ended.erase(at);
  out.push_back(std::move(x->second.task));
  all.erase(x);
}

task_ptr tasks::find(const std::string& id) {
  records::garbage gone;
  lock_scope guard{records_->mutex};
  records_->drop_old(gone);
  auto i = records_->all.find(id);
  return i != records_->all.end() ? i->second.task : nullptr;
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
  hooks_.invoke(std::move(x), responder{[to = records_, id](outcome r) {
                  task_result result{std::move(r), nullptr};
                  auto bytes = result.bytes();
                  to->end(id, bytes,
                          [&](task& t) { return t.end(std::move(result)); });
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
    records::garbage gone;
    lock_scope guard{records_->mutex};
    records_->drop_old(gone);
    for (auto& [id, x] : records_->all)
      all.push_back(x.task);
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
