#include "actors/directory.hpp"

#include <mutex>
#include <utility>

#include "runtime/base/log.hpp"

namespace hornbeam::actors {

using runtime::make_op;
using runtime::term;

void directory::set_local(const std::string& name, std::int64_t count) {
  std::unique_lock lock{mutex_};
  if (count > 0)
    local_[name] = count;
  else
    local_.erase(name);
  if (offers_)
    announce(name, count);
}

void directory::announce(const std::string& name, std::int64_t count) {
  auto op = make_op("announce", term::string(name), count);
  for (auto& peer : peers_)
    net_.tell(peer, service_, op);
}

void directory::offer(bool on) {
  std::unique_lock lock{mutex_};
  if (std::exchange(offers_, on) != on)
    for (auto& [name, count] : local_)
      announce(name, on ? count : 0);
}

void directory::when_known(runtime::responder reply) {
  answer_ptr all{new runtime::responder(std::move(reply)),
                 [](runtime::responder* x) {
                   (*x)(term{true});
                   delete x;
                 }};
  auto now = runtime::clock::now();
  std::unique_lock lock{mutex_};
  for (auto& peer : peers_) {
    if (silent_->is_silent(peer, now))
      continue;
    auto number = ++last_question_;
    auto op = make_op("ask", static_cast<std::int64_t>(number));
    if (!net_.tell(peer, service_, op))
      continue; // it is about to be forgotten
    silent_->asked(peer, now);
    open_[number] = {peer, all};
  }
  lock.unlock(); // `all` may be the last
}

bool directory::has_peers() const {
  runtime::shared_lock_scope lock{mutex_};
  return !peers_.empty();
}

bool directory::handle(runtime::call& c, const runtime::operation& op) {
  if (op.name == "ask") { // behind what it has announced
    net_.tell(c.from, service_, make_op("known", op.arg(0)));
    return true;
  }
  if (op.name == "known") {
    answer_ptr answered; // goes without the lock
    silent_->owes_nothing(c.from);
    std::unique_lock lock{mutex_};
    auto i = open_.find(static_cast<std::uint64_t>(op.arg(0).as_int()));
    if (i != open_.end() && i->second.peer == c.from) {
      answered = std::move(i->second.answer);
      open_.erase(i);
    }
    lock.unlock();
    return true;
  }
  if (op.name == "announce") {
    std::unique_lock lock{mutex_};
    set_remote(c.from, std::string{op.arg(0).text()}, op.arg(1).as_int());
    return true;
  }
  if (op.name == "sync") {
    std::unique_lock lock{mutex_};
    forget(c.from);
    for (auto& [name, count] : op.arg(0).pairs())
      set_remote(c.from, std::string{name.text()}, count.as_int());
    return true;
  }
  return false;
}

void directory::peer(const runtime::peer_event& e) {
  std::vector<answer_ptr> answered; // go without the lock
  std::unique_lock lock{mutex_};
  if (!e.up) {
    peers_.erase(e.name);
    silent_->owes_nothing(e.name);
    std::erase_if(open_, [&](auto& x) {
      bool gone = x.second.peer == e.name;
      if (gone)
        answered.push_back(std::move(x.second.answer));
      return gone;
    });
    forget(e.name);
    lock.unlock();
    return;
  }
  // Under the lock: no announcement falls between this and the first one.
  peers_.insert(e.name);
  term::entries all;
  if (offers_)
    for (auto& [name, count] : local_)
      all.emplace_back(term::string(name), term{count});
  net_.tell(e.name, service_, make_op("sync", term::map(std::move(all))));
}

std::int64_t directory::local(const std::string& name) const {
  runtime::shared_lock_scope lock{mutex_};
  auto i = local_.find(name);
  return i != local_.end() ? i->second : 0;
}

std::vector<directory::member> directory::remote(
  const std::string& name) const {
  std::vector<member> out;
  runtime::shared_lock_scope lock{mutex_};
  auto i = remote_.find(name);
  if (i != remote_.end())
    for (auto& [node, count] : i->second)
      out.push_back({node, count});
  return out;
}

std::vector<std::string> directory::names() const {
  std::set<std::string> out;
  runtime::shared_lock_scope lock{mutex_};
  for (auto& [name, count] : local_)
    out.insert(name);
  for (auto& [name, nodes] : remote_)
    out.insert(name);
  return {out.begin(), out.end()};
}

std::vector<std::string> directory::local_names() const {
  std::vector<std::string> out;
  runtime::shared_lock_scope lock{mutex_};
  for (auto& [name, count] : local_)
    out.push_back(name);
  return out;
}

void directory::set_remote(const std::string& node, const std::string& name,
                           std::int64_t count) {
  auto i = remote_.find(name);
  bool there = i != remote_.end() && i->second.contains(node);
  if (count > 0) {
    auto& bytes = bytes_[node];
    if (!there && bytes + cost_of(name) > most_bytes_) {
      runtime::log::say_once_a_minute(runtime::log::level::warning, service_,
                                      net_.self()->name(), "names of " + node,
                                      [&] {
                                        return node + " has too many "
                                               + service_
                                               + ": more are not known here";
                                      });
      return;
    }
    if (!there)
      bytes += cost_of(name);
    remote_[name][node] = count;
    return;
  }
  if (!there)
    return;
  bytes_[node] -= cost_of(name);
  i->second.erase(node);
  if (i->second.empty())
    remote_.erase(i);
}

std::size_t directory::cost_of(const std::string& name) noexcept {
  constexpr std::size_t entry = 160; // of a map of maps, about
  return name.size() + entry;
}

void directory::forget(const std::string& node) {
  bytes_.erase(node);
  for (auto i = remote_.begin(); i != remote_.end();) {
    i->second.erase(node);
    i = i->second.empty() ? remote_.erase(i) : std::next(i);
  }
}

} // namespace hornbeam::actors
