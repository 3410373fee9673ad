#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// What the body of a process returns: a coroutine that starts when its
/// process first runs. Parameters are kept by value: a reference would
/// outlive what it refers to.
class process_body {
public:
  struct promise_type {
    std::exception_ptr error;

    process_body get_return_object() noexcept {
      return process_body{
        std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { error = std::current_exception(); }
  };
  using handle = std::coroutine_handle<promise_type>;

  explicit process_body(handle x) noexcept : handle_(x) {}
  process_body(process_body&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)) {}
  process_body& operator=(process_body&&) = delete;
  ~process_body() {
    if (handle_)
      handle_.destroy();
  }
  handle release() noexcept { return std::exchange(handle_, nullptr); }

private:
  handle handle_;
};

namespace detail {

struct task_promise_base {
  std::coroutine_handle<> continuation;
  std::exception_ptr error;

  struct resume_continuation {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(
      std::coroutine_handle<Promise> h) const noexcept {
      return h.promise().continuation;
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  resume_continuation final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct task_promise : task_promise_base {
  std::optional<T> value;
  template <class U>
  void return_value(U&& x) {
    value.emplace(std::forward<U>(x));
  }
  T result() { return *std::move(value); }
};

template <>
struct task_promise<void> : task_promise_base {
  void return_void() const noexcept {}
  void result() const noexcept {}
};

} // namespace detail

/// A part of a process's body, awaited once by the coroutine that called it:
/// it may receive, and its exceptions reach the caller.
template <class T = void>
class [[nodiscard]] task {
public:
  struct promise_type : detail::task_promise<T> {
    task get_return_object() noexcept {
      return task{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
  };
  using handle = std::coroutine_handle<promise_type>;

  explicit task(handle x) noexcept : handle_(x) {}
  task(task&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)) {}
  task& operator=(task&&) = delete;
  ~task() {
    if (handle_)
      handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) noexcept {
    handle_.promise().continuation = h;
    return handle_;
  }
  T await_resume() {
    if (auto e = std::exchange(handle_.promise().error, nullptr))
      std::rethrow_exception(e);
    return handle_.promise().result();
  }

private:
  handle handle_;
};

} // namespace hornbeam::runtime
