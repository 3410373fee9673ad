#include "actors/topics.hpp"

#include <algorithm>
#include <mutex>

namespace hornbeam::actors {

using namespace runtime;

namespace {

const term topic_mark = term::constant("$topic");

class topics_service : public service {
public:
  explicit topics_service(topics& t) : topics_(t) {}

  void handle(call& c) override {
    operation op{c.op};
    if (topics_.directory().handle(c, op))
      return;
    std::int64_t n = 0;
    if (op.name == "publish")
      n = topics_.deliver(std::string{op.arg(0).text()}, op.arg(1));
    else if (op.name == "count")
      n = topics_.count(std::string{op.arg(0).text()});
    else
      throw bad_term("topics know no operation '" + op.name + "'");
    if (c.reply)
      c.reply(term{n});
  }

  void peer(const peer_event& e) override { topics_.directory().peer(e); }

private:
  topics& topics_;
};

} // namespace

term topic_message(term topic, term body) {
  return term::tuple_of(topic_mark, std::move(topic), std::move(body));
}

bool is_topic_message(const term& x) noexcept {
  if (!x.is(term::kind::tuple))
    return false;
  auto items = x.items();
  return items.size() == 3 && items[0] == topic_mark
         && items[1].is(term::kind::string);
}

std::shared_ptr<const topics::subscribers> topics::find(
  const std::string& topic) const {
  shared_lock_scope lock{mutex_};
  auto i = local_.find(topic);
  return i != local_.end() ? i->second : nullptr;
}

bool topics::subscribe(const std::string& topic, const term& pid) {
  auto who = processes_.local(pid.as_pid());
  if (!who || !who->alive())
    throw failed{error_code::ended,
                 to_string(pid) + " can't subscribe to the topic '" + topic
                   + "': it is no living process of this node"};
  bool first = false;
  {
    std::unique_lock lock{mutex_};
    auto& list = local_[topic];
    auto next = list ? *list : subscribers{term::string(topic), {}};
    if (std::find(next.members.begin(), next.members.end(), who)
        != next.members.end())
      return false;
    auto [mine, is_new] = of_.try_emplace(who.get());
    mine->second.push_back(topic);
    first = is_new;
    next.members.push_back(who);
    // Under the lock, so that the directory hears of changes in their order.
    directory_.set_local(topic, static_cast<std::int64_t>(next.members.size()));
    list = std::make_shared<const subscribers>(std::move(next));
  }
  if (first) // at once, if it has ended meanwhile
    processes_.on_exit(pid, [this, x = who.get()](auto&) { leave_all(x); });
  return true;
}

bool topics::remove(const std::string& topic, const process* who) {
  auto i = local_.find(topic);
  if (i == local_.end())
    return false;
  auto next = *i->second;
  if (std::erase(next.members, who) == 0)
    return false;
  auto n = static_cast<std::int64_t>(next.members.size());
  if (n == 0)
    local_.erase(i);
  else
    i->second = std::make_shared<const subscribers>(std::move(next));
  directory_.set_local(topic, n);
  return true;
}

bool topics::unsubscribe(const std::string& topic, const term& pid) {
  auto who = processes_.local(pid.as_pid());
  std::unique_lock lock{mutex_};
  if (!who || !remove(topic, who.get()))
    return false;
  std::erase(of_.at(who.get()), topic);
  return true;
}

void topics::leave_all(const process* who) {
  std::unique_lock lock{mutex_};
  if (auto mine = of_.extract(who))
    for (auto& topic : mine.mapped())
      remove(topic, who);
}

std::int64_t topics::deliver(const std::string& topic, const term& body) {
  auto list = find(topic);
  if (!list)
    return 0;
  auto message = topic_message(list->topic, body);
  std::int64_t taken = 0;
  for (auto& who : list->members)
    taken += who->push(new signal(message));
  return taken;
}

std::int64_t topics::publish(const std::string& topic, const term& body) {
  auto sent = deliver(topic, body);
  auto others = directory_.remote(topic);
  if (others.empty())
    return sent;
  auto op = make_op("publish", term::string(topic), body);
  for (auto& m : others)
    if (net_.cast(m.node, "topics", op))
      sent += m.count;
  return sent;
}

std::int64_t topics::count(const std::string& topic) const {
  auto n = directory_.local(topic);
  for (auto& m : directory_.remote(topic))
    n += m.count;
  return n;
}

std::unique_ptr<service> topics::make_service() {
  return std::make_unique<topics_service>(*this);
}

} // namespace hornbeam::actors
