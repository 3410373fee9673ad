#include "actors/directory.hpp"

#include <mutex>
#include <set>

namespace hornbeam::actors {

using runtime::make_op;
using runtime::term;

class directory_service : public runtime::service {
public:
  explicit directory_service(directory& d) : directory_(d) {}

  void handle(runtime::call& c) override {
    runtime::operation op{c.op};
    if (op.name == "changed") {
      directory::key k{op.arg(0).text(), op.arg(1).text()};
      auto announcement
        = make_op("announce", op.arg(0), op.arg(1),
                  std::int64_t{directory_.local(k.first, k.second)});
      for (auto& peer : peers_)
        directory_.net_.cast(peer, "directory", announcement);
    } else if (op.name == "announce") {
      directory_.set_remote(c.from, {op.arg(0).text(), op.arg(1).text()},
                            op.arg(2).as_int());
    } else if (op.name == "sync") {
      directory_.forget(c.from);
      for (auto& x : op.arg(0).items())
        directory_.set_remote(c.from,
                              {x.items().at(0).text(), x.items().at(1).text()},
                              x.items().at(2).as_int());
    } else {
      throw runtime::bad_term("the directory knows no operation '" + op.name
                              + "'");
    }
    if (c.reply)
      c.reply(term{});
  }

  void peer(const runtime::peer_event& e) override {
    if (!e.up) {
      peers_.erase(e.name);
      directory_.forget(e.name);
      return;
    }
    peers_.insert(e.name);
    term::sequence all;
    for (auto& [k, count] : directory_.all_local())
      all.push_back(term::tuple(
        {term::string(k.first), term::string(k.second), term{count}}));
    directory_.net_.cast(e.name, "directory",
                         make_op("sync", term::list(std::move(all))));
  }

private:
  directory& directory_;
  std::set<std::string> peers_; ///< those that have been sent a sync
};

void directory::set_local(const std::string& scope, const std::string& name,
                          std::int64_t count) {
  {
    std::unique_lock lock{mutex_};
    if (count > 0)
      local_[{scope, name}] = count;
    else
      local_.erase({scope, name});
  }
  net_.cast(net_.self()->name, "directory",
            make_op("changed", term::string(scope), term::string(name)));
}

std::int64_t directory::local(const std::string& scope,
                              const std::string& name) const {
  std::shared_lock lock{mutex_};
  auto i = local_.find({scope, name});
  return i != local_.end() ? i->second : 0;
}

std::vector<directory::member>
directory::remote(const std::string& scope, const std::string& name) const {
  std::vector<member> out;
  std::shared_lock lock{mutex_};
  auto i = remote_.find({scope, name});
  if (i != remote_.end())
    for (auto& [node, count] : i->second)
      out.push_back({node, count});
  return out;
}

std::vector<std::string> directory::names(const std::string& scope) const {
  std::set<std::string> out;
  std::shared_lock lock{mutex_};
  for (auto& [k, count] : local_)
    if (k.first == scope)
      out.insert(k.second);
  for (auto& [k, nodes] : remote_)
    if (k.first == scope)
      out.insert(k.second);
  return {out.begin(), out.end()};
}

std::vector<std::string>
directory::local_names(const std::string& scope) const {
  std::vector<std::string> out;
  std::shared_lock lock{mutex_};
  for (auto& [k, count] : local_)
    if (k.first == scope)
      out.push_back(k.second);
  return out;
}

std::unique_ptr<runtime::service> directory::make_service() {
  return std::make_unique<directory_service>(*this);
}

void directory::set_remote(const std::string& node, const key& k,
                           std::int64_t count) {
  std::unique_lock lock{mutex_};
  if (count > 0) {
    remote_[k][node] = count;
    return;
  }
  auto i = remote_.find(k);
  if (i == remote_.end())
    return;
  i->second.erase(node);
  if (i->second.empty())
    remote_.erase(i);
}

void directory::forget(const std::string& node) {
  std::unique_lock lock{mutex_};
  for (auto i = remote_.begin(); i != remote_.end();) {
    i->second.erase(node);
    i = i->second.empty() ? remote_.erase(i) : std::next(i);
  }
}

std::map<directory::key, std::int64_t> directory::all_local() const {
  std::shared_lock lock{mutex_};
  return local_;
}

} // namespace hornbeam::actors
