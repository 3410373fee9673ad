#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"

// What the engine has to say to whoever runs it: what it has dropped, refused,
// lost or tried again, and what has failed where nobody looks.

namespace hornbeam::runtime::log {

enum class level : std::uint8_t { debug, info, warning, error };

const char* name_of(level x) noexcept;
/// The level that is called so, if one is.
std::optional<level> level_of(std::string_view name) noexcept;

/// One thing that is said.
struct record {
  log::level level = log::level::warning;
  std::string part; ///< of the engine: "link", "tables", "lmdb", "pool", ...
  std::string node; ///< whose node says it, where that is known
  std::string text; ///< its first line can be read alone
  std::chrono::system_clock::time_point at{};
};

/// Where records go. A sink waits for nobody, and least for Python: whoever
/// says something may hold any lock. It logs nothing itself.
class sink {
public:
  virtual ~sink() = default;
  /// One at a time, from any thread.
  virtual void write(const record& x) = 0;
};
using sink_ptr = std::shared_ptr<sink>;

/// Writes a line: `hornbeam: warning (link, web@127.0.0.1): TEXT`.
sink_ptr stderr_sink();

/// Gives what is said to the sinks. Safe from any thread, with any lock held,
/// and in a forked child.
class logger {
public:
  using clock = std::chrono::steady_clock;
  /// What is said once a minute is told apart by so many keys; those beyond
  /// count as one.
  static constexpr std::size_t max_keys = 1000;

  explicit logger(std::function<clock::time_point()> now = clock::now);

  /// That of this process. It begins with `stderr_sink` and the level that
  /// HORNBEAM_LOG says, else with warnings.
  static logger& get();

  bool on(log::level x) const noexcept {
    return x >= level_.load(std::memory_order_relaxed);
  }
  void set_level(log::level x) noexcept { level_ = x; }
  /// The same for what a configuration says: HORNBEAM_LOG goes before it.
  void configure(log::level x) noexcept;

  /// Those there were hear no more once this returns.
  void set_sinks(std::vector<sink_ptr> xs);

  /// Whether `x` is on is the caller's question.
  void write(log::level x, std::string_view part, std::string_view node,
             std::string_view text);

  /// For what may repeat: how many of this key were left out since it was said
  /// last, or nothing if that is less than a minute ago.
  std::optional<std::uint64_t> due(const std::string& key);

  // -- around a fork ---------------------------------------------------------

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  void after_fork_in_child();

private:
  struct repeated {
    std::optional<clock::time_point> said;
    std::uint64_t left_out = 0;
  };
  repeated& find(const std::string& key, clock::time_point now);
  void forget_old(clock::time_point now);

  std::function<clock::time_point()> now_;
  std::atomic<log::level> level_{log::level::warning};
  bool level_is_fixed_ = false;

  ranked_mutex<lock_rank::log> mutex_;
  std::vector<sink_ptr> sinks_;
  std::unordered_map<std::string, repeated> keys_;
  repeated rest_; ///< of all keys beyond
  clock::time_point forget_again_{};
};

/// `text` with how many like it were left out.
std::string with_left_out(std::string text, std::uint64_t n);

/// Says `text`, a string or a function that makes one and is called only if
/// the level is on.
template <class Text>
void say(level x, std::string_view part, std::string_view node, Text&& text) {
  auto& to = logger::get();
  if (!to.on(x))
    return;
  if constexpr (std::is_invocable_v<Text>)
    to.write(x, part, node, text());
  else
    to.write(x, part, node, text);
}

/// The same for what may repeat: of each part, node and `key` it says one a
/// minute, and how many it has left out.
template <class Text>
void say_once_a_minute(level x, std::string_view part, std::string_view node,
                       std::string_view key, Text&& text) {
  auto& to = logger::get();
  if (!to.on(x))
    return;
  std::string full{part};
  full.append(1, ' ').append(node).append(1, ' ').append(key);
  auto left_out = to.due(full);
  if (!left_out)
    return;
  if constexpr (std::is_invocable_v<Text>)
    to.write(x, part, node, with_left_out(text(), *left_out));
  else
    to.write(x, part, node, with_left_out(std::string{text}, *left_out));
}

} // namespace hornbeam::runtime::log
