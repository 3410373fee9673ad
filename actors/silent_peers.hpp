#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "runtime/base/small_mutex.hpp"
#include "runtime/call/outcome.hpp"

namespace hornbeam::actors {

/// The peers that owe an answer to a directory of this node, and since when.
/// All its directories share one of these: of a peer that stands still each
/// would wait for as long as all together may.
class silent_peers {
public:
  /// A peer that has not answered for so long is not waited for until it does.
  static constexpr auto patience = std::chrono::milliseconds(1000);

  bool is_silent(const std::string& peer, runtime::clock::time_point now) {
    runtime::lock_scope guard{mutex_};
    auto i = since_.find(peer);
    // Whoever waits began to do so a moment before its question.
    return i != since_.end() && now - i->second > patience - margin;
  }
  void asked(const std::string& peer, runtime::clock::time_point now) {
    runtime::lock_scope guard{mutex_};
    since_.try_emplace(peer, now);
  }
  /// It has answered, or has gone.
  void owes_nothing(const std::string& peer) {
    runtime::lock_scope guard{mutex_};
    since_.erase(peer);
  }

private:
  static constexpr auto margin = std::chrono::milliseconds(100);

  runtime::small_mutex mutex_;
  std::map<std::string, runtime::clock::time_point> since_;
};

} // namespace hornbeam::actors
