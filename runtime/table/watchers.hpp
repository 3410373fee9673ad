#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

class table_host;

/// What is watched: one key, or all string keys with a prefix (an empty one:
/// all keys, whatever they are).
struct table_interest {
  std::optional<term> key = {};
  std::string prefix = {};

  static table_interest in_key(term key) { return {std::move(key), {}}; }
  static table_interest in_prefix(std::string prefix) {
    return {std::nullopt, std::move(prefix)};
  }
  bool covers(const term& key) const;
};

/// A change of a table.
struct table_event {
  enum class kind : std::uint8_t {
    set,
    erased,
    expired, ///< its time to live was over
    evicted, ///< it was used least recently, and the table is full
    ended,   ///< the table itself; the key is none
  };
  kind what = kind::set;
  term key;
  std::optional<term> before;
  std::optional<term> after;
};
using table_listener = std::function<void(const table_event&)>;

/// `'set'`, `'delete'`, `'expire'`, `'evict'` or `'end'`.
const char* name_of(table_event::kind x) noexcept;

/// Who watches a table, and the changes that they have not heard of yet.
///
/// An engine notes a change while it holds the lock of that key, so that
/// changes of one key are in order here, and calls `deliver` when it holds no
/// lock. Costs one load when nobody watches.
class table_watchers {
public:
  /// Whether there is anybody to note changes for.
  bool any() const noexcept { return any_.load(std::memory_order_relaxed); }
  void note(const table_event& x);
  /// Calls the listeners. One thread at a time delivers; the others leave
  /// their changes to it.
  void deliver();

  std::uint64_t add(table_interest what, table_listener f);
  /// `pid` gets a message, see `table::watch`, until it ends.
  std::uint64_t add(table_interest what, const term& pid,
                    const std::string& table, table_host* host);
  bool remove(std::uint64_t number);
  std::size_t size() const;

  void before_fork() const { mutex_.lock(); }
  void after_fork_in_parent() const { mutex_.unlock(); }
  /// Forgets the processes, which are the parent's.
  void after_fork_in_child();

private:
  struct watch {
    table_interest what;
    std::shared_ptr<const table_listener> listener;
    term pid;                   ///< none for a listener that is no process
    table_host* host = nullptr; ///< lives as long as the table
  };
  struct delivery {
    std::shared_ptr<const table_listener> listener;
    std::shared_ptr<const table_event> event;
  };

  std::uint64_t add(watch x, std::uint64_t number);
  void forget_dead();

  mutable ranked_mutex<lock_rank::table_watchers> mutex_;
  std::atomic<bool> any_{false};
  std::map<std::uint64_t, watch> watches_;
  std::deque<delivery> waiting_;
  bool delivering_ = false;
  std::uint64_t next_number_ = 1;
  std::size_t look_for_dead_at_ = 16; ///< watches
};

} // namespace hornbeam::runtime
