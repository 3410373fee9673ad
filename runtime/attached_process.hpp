#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "runtime/outcome.hpp"
#include "runtime/processes.hpp"

namespace hornbeam::runtime {

/// A process whose code is not a coroutine of ours but a thread, a task of an
/// event loop or a call that is served: it has a pid, a mailbox, links and
/// monitors like any other, and ends with `normal` when this object goes.
///
/// Its calls belong to one thread at a time. When it has been ended by others,
/// they raise `process_killed`.
class attached_process {
public:
  explicit attached_process(processes& of);
  ~attached_process() { detach(); }
  attached_process(const attached_process&) = delete;
  attached_process& operator=(const attached_process&) = delete;

  self me() const noexcept { return self{*process_}; }
  const term& pid() const noexcept { return pid_; }
  bool alive() const noexcept { return process_->alive(); }

  /// The first message that `m` accepts, if it comes before `until`. Blocks
  /// the thread.
  template <class Match>
  std::optional<term> receive(Match m, deadline until = {}) {
    receiver<Match, true> r{*process_, std::move(m), process_->first_message(),
                            ticks_of(until)};
    wait(r);
    return r.await_resume();
  }
  std::optional<term> receive(deadline until = {}) {
    return receive(any, until);
  }
  /// Runs a coroutine of the runtime, such as `call`, in this thread.
  template <class T>
  T run(task<T> x) {
    // The body of a process that exists for this one answer.
    auto drive = [](task<T> t, std::optional<T>& out,
                    std::exception_ptr& error) -> process_body {
      try {
        out.emplace(co_await std::move(t));
      } catch (...) {
        error = std::current_exception();
      }
    };
    std::optional<T> out;
    std::exception_ptr error;
    drive_to_end(drive(std::move(x), out, error));
    if (error)
      std::rethrow_exception(error);
    return *std::move(out);
  }

  /// Calls `f` once: when something comes that no `receive` has looked at, at
  /// once if it has, or when the process ends. `f` must be short. A later
  /// `receive` takes it back.
  void notify_once(std::function<void()> f);
  /// Ends the process; nothing happens if it has ended.
  void detach(term reason = term::atom("normal"));

private:
  class impl;
  impl& code() const noexcept;
  static ticks ticks_of(deadline x) noexcept;
  void wait(receiver_base& r);
  void drive_to_end(process_body body);

  processes& owner_;
  process_ptr process_; ///< an `impl`
  term pid_;
};

} // namespace hornbeam::runtime
