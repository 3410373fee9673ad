#include "actors/topics.hpp"

#include <algorithm>
#include <mutex>

namespace hornbeam::actors {

using namespace runtime;

namespace {

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

std::shared_ptr<const topics::subscribers> topics::find(
  const std::string& topic) const {
  std::shared_lock lock{mutex_};
  auto i = local_.find(topic);
  return i != local_.end() ? i->second : nullptr;
}

bool topics::subscribe(const std::string& topic, mailbox_ptr who) {
  std::unique_lock lock{mutex_};
  auto& list = local_[topic];
  subscribers next = list ? *list : subscribers{};
  if (std::find(next.begin(), next.end(), who) != next.end())
    return false;
  next.push_back(std::move(who));
  list = std::make_shared<const subscribers>(std::move(next));
  // Under the lock, so that the directory hears of changes in their order.
  directory_.set_local(topic, static_cast<std::int64_t>(list->size()));
  return true;
}

bool topics::remove(const std::string& topic, const mailbox_ptr& who) {
  auto i = local_.find(topic);
  if (i == local_.end())
    return false;
  subscribers next = *i->second;
  if (std::erase(next, who) == 0)
    return false;
  auto n = static_cast<std::int64_t>(next.size());
  if (n == 0)
    local_.erase(i);
  else
    i->second = std::make_shared<const subscribers>(std::move(next));
  directory_.set_local(topic, n);
  return true;
}

bool topics::unsubscribe(const std::string& topic, const mailbox_ptr& who) {
  std::unique_lock lock{mutex_};
  return remove(topic, who);
}

void topics::leave_all(const mailbox_ptr& who) {
  std::unique_lock lock{mutex_};
  std::vector<std::string> names;
  for (auto& [topic, list] : local_)
    if (std::find(list->begin(), list->end(), who) != list->end())
      names.push_back(topic);
  for (auto& topic : names)
    remove(topic, who);
}

std::int64_t topics::deliver(const std::string& topic, const term& body) {
  auto list = find(topic);
  if (!list)
    return 0;
  std::int64_t taken = 0;
  for (auto& who : *list)
    taken += who->push({topic, body});
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
