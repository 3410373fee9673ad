#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// Why something could not be done. Python shows each as an exception class
/// of its own, see docs/errors.md.
enum class error_code : std::uint8_t {
  internal = 0,
  timeout,       ///< the deadline passed first
  no_connection, ///< the node can't be reached or went down
  not_found,     ///< unknown hook, function, task, module
  remote,        ///< the code that was called raised
  bad_type,      ///< an argument of the wrong kind
  bad_value,     ///< an argument of the right kind that can't be used
  overloaded,    ///< a queue is at its bound
  refused,       ///< not allowed, as by a wrong secret
  ended,         ///< this node has ended
};

/// An error as a value: it crosses nodes like a result does.
struct failure {
  failure() = default;
  /// What is left out is not known, or there is none.
  failure(error_code c, std::string text, std::string from = {},
          std::string of_type = {}, std::string trace = {})
    : code(c),
      message(std::move(text)),
      node(std::move(from)),
      type(std::move(of_type)),
      traceback(std::move(trace)) {}

  error_code code = error_code::internal;
  std::string message;
  std::string node;      ///< the node it came from, if another
  std::string type;      ///< class name of the exception behind it
  std::string traceback; ///< its text, where there is one
  /// The call has never left this node, or never begun on the other: it may be
  /// sent to another one.
  bool unsent = false;

  template <class Archive>
  void serialize(Archive& ar, unsigned) {
    ar& code& message& node& type& traceback;
  }
};

/// A failure as an exception, for operations that return something else.
struct failed : std::runtime_error {
  explicit failed(failure x)
    : std::runtime_error(x.message), why(std::move(x)) {}
  failed(error_code code, const std::string& message)
    : failed(failure{code, message}) {}
  failure why;
};

/// The result of a call: a term or a failure.
class outcome {
public:
  outcome() = default;
  outcome(term x) : value_(std::move(x)) {}
  outcome(failure x) : value_(std::move(x)) {}

  bool ok() const noexcept { return value_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  const term& operator*() const { return std::get<term>(value_); }
  const term* operator->() const { return &std::get<term>(value_); }
  const failure& error() const { return std::get<failure>(value_); }
  failure& error() { return std::get<failure>(value_); }

private:
  std::variant<term, failure> value_;
};

using clock = std::chrono::steady_clock;

/// A moment after which nobody waits any more; by default there is none.
struct deadline {
  clock::time_point at = clock::time_point::max();

  /// Milliseconds from now; negative counts as zero, and what the clock
  /// can't hold as none.
  static deadline in(std::int64_t ms, clock::time_point now = clock::now()) {
    constexpr std::int64_t century = 100ll * 365 * 24 * 3600 * 1000;
    if (ms >= century)
      return {};
    return {now + std::chrono::milliseconds(ms < 0 ? 0 : ms)};
  }
  bool infinite() const { return at == clock::time_point::max(); }
  bool expired() const { return !infinite() && expired(clock::now()); }
  bool expired(clock::time_point now) const { return now >= at; }
  /// What is left, rounded up; -1 without a deadline.
  std::int64_t left_ms() const {
    return infinite() ? -1 : left_ms(clock::now());
  }
  std::int64_t left_ms(clock::time_point now) const {
    if (infinite())
      return -1;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(at - now);
    return left.count() < 0 ? 0 : left.count();
  }
  deadline sooner(const deadline& other) const {
    return {at < other.at ? at : other.at};
  }
};

} // namespace hornbeam::runtime
