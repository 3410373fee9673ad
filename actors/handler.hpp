#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>

#include "actors/concurrency_limiter.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/reply.hpp"
#include "runtime/call/service.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::actors {

/// How many calls may be open around a call; more is an error, not a stack
/// overflow.
inline constexpr std::uint32_t max_call_depth = 100;

class task;

/// What a handler is asked to do.
struct invocation {
  std::string target; ///< the hook, function or module
  std::string action; ///< of a hook or module; empty for a function
  runtime::term::sequence args;
  runtime::term::entries kwargs;
  std::string from; ///< the asking node; empty: this one
  runtime::deadline until;
  std::uint32_t depth = 0;
  /// Of a bounded handler: the permit to run. Code that waits for another call
  /// releases it meanwhile.
  std::shared_ptr<run_permit> permit = {};
  /// The task that the call works on, see task.hpp; null: a plain call.
  std::shared_ptr<actors::task> task = nullptr;
  /// See `call`; goes when the handler begins.
  std::shared_ptr<void> charge = nullptr;
};

/// Takes the chunks of one stream. Any thread may call it; `end` and `fail`
/// are the last calls.
class chunk_sink {
public:
  virtual ~chunk_sink() = default;
  virtual void chunk(runtime::term x) = 0;
  virtual void end() = 0;
  virtual void fail(runtime::failure why) = 0;
  /// Whoever waits for the chunks may help to bring them.
  virtual void helped_by(std::shared_ptr<runtime::wait_helper>) {}
};

/// A stream as its provider runs it.
class chunk_source {
public:
  virtual ~chunk_source() = default;
  /// The consumer can take `n` more chunks.
  virtual void credit(std::uint64_t n) = 0;
  /// The consumer wants no more: the handler's generator is closed.
  virtual void close() = 0;
};

/// Code that answers by name: a hook, a function, the functions of a module.
class handler {
public:
  virtual ~handler() = default;
  /// Does the work, or starts it; then `reply` is answered later.
  virtual void invoke(invocation x, runtime::responder reply) = 0;
  /// Does the work in this thread, if that is how it is done; else none.
  virtual std::optional<runtime::outcome> call(const invocation&) {
    return std::nullopt;
  }
  /// Whether `invoke` and `open_stream` only start it, and return at once. A
  /// call from another node is then handed over by the thread that reads it.
  virtual bool never_blocks() const noexcept { return false; }
  /// Starts a stream without credit. By default the result of `invoke` is
  /// its only chunk.
  virtual std::shared_ptr<chunk_source> open_stream(
    invocation x, std::shared_ptr<chunk_sink> to);
};
using handler_ptr = std::shared_ptr<handler>;

/// A handler in C++. It runs in the thread of a caller in this node, and in a
/// process of its own for others.
class function_handler : public handler {
public:
  using function = std::function<runtime::outcome(const invocation&)>;

  explicit function_handler(function f) : f_(std::move(f)) {}
  void invoke(invocation x, runtime::responder reply) override;
  std::optional<runtime::outcome> call(const invocation& x) override;

private:
  function f_;
};

/// What is said of a handler when it is registered.
struct handler_options {
  /// How many of its calls run at once; 0: as many as there are.
  std::size_t concurrency = 0;
  /// How many more may wait; the next one is refused.
  std::size_t queue = 1000;
  /// It may run twice: a call whose node goes down is sent to another.
  bool retry = false;
  /// It takes microseconds and waits for nothing: callers in this process do
  /// not let go of what others may want meanwhile, as Python's lock.
  bool quick = false;
};

/// Handlers of this node by name; any thread reads and writes.
class handler_table {
public:
  /// False if it replaced another.
  bool set(const std::string& name, handler_ptr x);
  bool erase(const std::string& name);
  handler_ptr find(const std::string& name) const;

private:
  mutable runtime::ranked_shared_mutex<runtime::lock_rank::handlers> mutex_;
  std::map<std::string, handler_ptr> handlers_;
};

/// Raises what is answered to a call with too many calls around it.
void require_depth(const runtime::call& c);
/// The same of one that would have to wait on this node, `here`, and may not.
void require_room(runtime::call& c, const std::string& here);
/// Reads `(name, action, args, kwargs)` behind an operation's name. Raises as
/// both.
invocation read_invocation(runtime::call& c, const std::string& here);
/// Its counterpart.
runtime::term write_invocation(const char* op, const invocation& x);

} // namespace hornbeam::actors
