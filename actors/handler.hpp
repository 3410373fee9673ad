#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>

#include "runtime/outcome.hpp"
#include "runtime/service.hpp"
#include "runtime/term.hpp"

namespace hornbeam::actors {

/// How many calls may be open around a call; more is an error, not a stack
/// overflow.
inline constexpr std::uint32_t max_call_depth = 100;

/// What a handler is asked to do.
struct invocation {
  std::string target; ///< the hook, function or module
  std::string action; ///< of a hook or module; empty for a function
  runtime::term::sequence args;
  runtime::term::entries kwargs;
  std::string from; ///< the asking node; empty: this one
  runtime::deadline until;
  std::uint32_t depth = 0;
};

/// Takes the chunks of one stream. Any thread may call it; `end` and `fail`
/// are the last calls.
class chunk_sink {
public:
  virtual ~chunk_sink() = default;
  virtual void chunk(runtime::term x) = 0;
  virtual void end() = 0;
  virtual void fail(runtime::failure why) = 0;
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
  /// Starts the work and returns at once; `reply` is answered later.
  virtual void invoke(invocation x, runtime::responder reply) = 0;
  /// Starts a stream without credit. By default the result of `invoke` is
  /// its only chunk.
  virtual std::shared_ptr<chunk_source> open_stream(
    invocation x, std::shared_ptr<chunk_sink> to);
};
using handler_ptr = std::shared_ptr<handler>;

/// A handler in C++. It runs in the actor that asks, so it must be short.
class function_handler : public handler {
public:
  using function = std::function<runtime::outcome(const invocation&)>;

  explicit function_handler(function f) : f_(std::move(f)) {}
  void invoke(invocation x, runtime::responder reply) override;

private:
  function f_;
};

/// Handlers of this node by name; any thread reads and writes.
class handler_table {
public:
  /// False if it replaced another.
  bool set(const std::string& name, handler_ptr x);
  bool erase(const std::string& name);
  handler_ptr find(const std::string& name) const;

private:
  mutable std::shared_mutex mutex_;
  std::map<std::string, handler_ptr> handlers_;
};

/// Reads `(name, action, args, kwargs)` behind an operation's name.
invocation read_invocation(const runtime::call& c);
/// Its counterpart.
runtime::term write_invocation(const char* op, const invocation& x);

runtime::failure not_found(const std::string& what, const std::string& name,
                           const std::string& node);

} // namespace hornbeam::actors
