#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/call/outcome.hpp"
#include "runtime/process/processes.hpp"

namespace hornbeam::runtime {

/// A process whose code is not a coroutine of ours but a thread, a task of an
/// event loop or a call that is served: it has a pid, a mailbox, links and
/// monitors like any other, and ends with `normal` when this object goes.
///
/// Its members are safe from any thread, so that one can end it while another
/// waits for a message; what `me()` does belongs to one thread at a time. When
/// it has been ended, by others or by `detach`, calls raise `process_killed`.
class attached_process {
public:
  /// Where the codes of many processes take turns in one thread.
  class turns {
  public:
    turns() = default;
    turns(const turns&) = delete;
    turns& operator=(const turns&) = delete;
    virtual ~turns() = default;
    /// `p` may have something to do; called once until `begin_turn`. In any
    /// thread, perhaps with locks held, so it must be short.
    virtual void add(process_ptr p) noexcept = 0;
  };

  explicit attached_process(processes& of);
  /// One whose code has its turns in `t`; `code` is for whoever runs it.
  attached_process(processes& of, std::shared_ptr<turns> t, void* code);
  ~attached_process() { detach(); }
  attached_process(const attached_process&) = delete;
  attached_process& operator=(const attached_process&) = delete;

  self me() const noexcept { return self{*process_}; }
  const term& pid() const noexcept { return pid_; }
  bool alive() const noexcept { return process_->alive(); }
  /// Whether its end gives tables away or drops them.
  bool owns_tables() const;
  /// How many messages wait.
  std::size_t queue_length() const noexcept { return process_->queue_length(); }

  /// The first message that `m` accepts, if it comes before `until`. Blocks
  /// the thread. Of several threads that wait for a message one gets it.
  template <class Match>
  std::optional<term> receive(Match m, deadline until = {}) {
    return take_first(matcher{m}, until);
  }
  std::optional<term> receive(deadline until = {}) {
    return receive(any, until);
  }
  /// Runs a coroutine of the runtime, such as `call`, in this thread; others
  /// that want messages wait meanwhile.
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

  /// Calls `f` once: at the next message, at once if one waits that `m`
  /// accepts, or when the process ends; perhaps for nothing. `f` must be short.
  /// Returns a number for `forget_notice`.
  template <class Match>
  std::uint64_t notify_once(Match m, std::function<void()> f) {
    return add_notice(matcher{m}, std::move(f));
  }
  std::uint64_t notify_once(std::function<void()> f) {
    return notify_once(any, std::move(f));
  }
  // -- looking before taking, for patterns that must not be tried under a lock
  // --

  /// Messages of the queue that a pattern has accepted, each with its place.
  struct view {
    std::vector<std::pair<std::size_t, term>> messages;
    std::size_t end = 0;       ///< the place behind the last message
    std::uint64_t version = 0; ///< changes when a message leaves the queue
  };
  /// Some of what waits from `before.end` on, or from the first message on if
  /// some have left since; none only if nothing waits.
  template <class Match>
  view look(Match m, const view& before) {
    return look_from(matcher{m}, before);
  }
  /// None if a message has left the queue since `version`.
  std::optional<term> take_at(std::size_t place, std::uint64_t version);
  /// Waits until there is more to see than `seen`; false if nothing has come
  /// before `until`.
  bool wait_for_more(const view& seen, deadline until);
  /// As `notify_once`, for when there is more to see.
  std::uint64_t notify_of_more(const view& seen, std::function<void()> f);

  // -- for code that has turns --

  /// Where a receive has looked; a new one has looked at nothing.
  struct place {
    signal** at = nullptr;
    std::uint64_t version = 0;
  };
  /// The first message from `from` on that `m` accepts; if there is none, the
  /// next one or the end adds the process to its turns.
  template <class Match>
  std::optional<term> take_or_sleep(Match m, place& from) {
    return take_or_sleep(matcher{m}, from);
  }
  /// False if there is more to see than `seen`; else the next message or the
  /// end adds the process to its turns.
  bool sleep_unless_more(const view& seen);
  /// It does not wait for a message any more, though none has come.
  void give_up_sleep() noexcept;
  /// Adds the process to its turns.
  void ask_for_turn() noexcept;
  /// What was given as `code`; null once it is gone. From here on `add` is
  /// called again.
  static void* begin_turn(process& p) noexcept;
  /// The code is gone: there are no more turns.
  void forget_code() noexcept;
  /// With what it was ended, once that is through.
  std::optional<term> end_reason() const;

  /// Calls `f` while no other thread looks into the queue: around what the code
  /// of a process does with aliases and with what waits.
  void alone(const std::function<void(self)>& f);

  /// `f` is not called any more, unless that is happening just now.
  void forget_notice(std::uint64_t number);
  /// Ends the process; nothing happens if it has ended.
  void detach(term reason = term::atom("normal"));

private:
  class impl;
  /// A pattern of the caller's, without its type.
  class matcher {
  public:
    template <class Match>
    explicit matcher(Match& m) noexcept
      : pattern_(&m), accepts_([](void* p, const term& x) -> bool {
          return (*static_cast<Match*>(p))(x);
        }) {}
    bool operator()(const term& x) const { return accepts_(pattern_, x); }

  private:
    void* pattern_;
    bool (*accepts_)(void*, const term&);
  };

  impl& code() const noexcept;
  std::optional<term> take_first(const matcher& m, deadline until);
  std::optional<term> take_or_sleep(const matcher& m, place& from);
  std::uint64_t add_notice(const matcher& m, std::function<void()> f);
  view look_from(const matcher& m, const view& before);
  void drive_to_end(process_body body);

  processes& owner_;
  process_ptr process_; ///< an `impl`
  term pid_;
};

} // namespace hornbeam::runtime
