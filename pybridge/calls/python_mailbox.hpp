#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pybridge/gil/engine.hpp"
#include "pybridge/gil/gil.hpp"
#include "runtime/process/attached_process.hpp"

namespace hornbeam::pybridge {

/// Raises what Python has for a mistake in a call of the runtime.
[[noreturn]] void raise_mistake(const runtime::erlang_error& e);

/// Whoever runs Python code, as a process of the node: a thread, an asyncio
/// task or its loop, the call of a handler or a block (`hornbeam.process` says
/// who that is). When this object goes, its owner has ended, and so does the
/// process.
///
/// Topics and processes send to the same mailbox; each kind of message has its
/// own way to be received, and leaves the other where it is.
///
/// Python may end it in another thread than the one that waits for a message,
/// which then gets none. The members are called with Python's lock.
class python_mailbox {
public:
  enum class kind { of_topics, of_processes };
  /// Which messages somebody waits for.
  struct selection {
    kind of = kind::of_processes;
    std::optional<std::string> topic = {}; ///< this one alone
    runtime::term ref = {}; ///< answers alone: tuples that begin with it, and
                            ///< the down message of its monitor
  };
  /// `spawned`: whoever has been started as a process, and so reads what topics
  /// send as any other message.
  /// Which messages those are.
  struct accepts {
    const python_mailbox& by;
    const selection& of;
    bool operator()(const runtime::term& x) const;
  };

  explicit python_mailbox(bool spawned = false);
  /// One that was spawned and whose code has its turns in `t`.
  python_mailbox(std::shared_ptr<runtime::attached_process::turns> t,
                 void* code);
  ~python_mailbox() { close(); }
  python_mailbox(const python_mailbox&) = delete;
  python_mailbox& operator=(const python_mailbox&) = delete;

  const runtime::term& pid() const noexcept { return process_.pid(); }
  /// Whether the owner has ended, here or in the process that forked.
  bool closed() const noexcept { return closed_ || !ours(); }
  /// False: the owner has ended, or another process has ended this one.
  bool alive() const noexcept { return !closed() && process_.alive(); }
  /// Whether a call has raised since another process has ended this one.
  bool told() const noexcept { return told_; }
  /// Raises if another process has ended this one.
  void check();
  std::size_t size() const noexcept { return process_.queue_length(); }

  bool subscribe(const std::string& topic);
  bool unsubscribe(const std::string& topic);

  /// The first message of those; none if it does not come in time, or the owner
  /// ends meanwhile. Raises if somebody else has ended the process.
  std::optional<runtime::term> receive(const selection& of,
                                       runtime::deadline until);
  using view = runtime::attached_process::view;
  // For code that has turns. They throw `process_killed` if somebody else has
  // ended the process.

  /// The first message of those; none if it has to wait, for its turn.
  std::optional<runtime::term> take_or_sleep(
    const selection& of, runtime::attached_process::place& from) {
    return process_.take_or_sleep(accepts{*this, of}, from);
  }
  view look_here(const selection& of, const view& before) {
    return process_.look(accepts{*this, of}, before);
  }
  std::optional<runtime::term> take_here(std::size_t place,
                                         std::uint64_t version) {
    return process_.take_at(place, version);
  }
  bool sleep_unless_more(const view& seen) {
    return process_.sleep_unless_more(seen);
  }
  void give_up_sleep() noexcept { process_.give_up_sleep(); }
  void ask_for_turn() noexcept { process_.ask_for_turn(); }
  void forget_code() noexcept { process_.forget_code(); }
  /// See `attached_process::notify_once`.
  std::uint64_t notify_once(const selection& of, std::function<void()> f);
  void forget_notice(std::uint64_t number);

  /// See `attached_process`.
  view look(const selection& of, const view& before);
  std::optional<runtime::term> take_at(std::size_t place,
                                       std::uint64_t version);
  bool wait_for_more(const view& seen, runtime::deadline until);
  std::uint64_t notify_of_more(const view& seen, std::function<void()> f);

  /// Calls `f(self)` as the code of the process. What it raises in Erlang is
  /// raised in Python. `alone`: see `attached_process`.
  template <class F>
  auto act(F f) {
    auto& p = process();
    return guarded([&] { return f(p.me()); });
  }
  template <class F>
  auto act_alone(F f) {
    auto& p = process();
    std::optional<decltype(f(p.me()))> out;
    guarded([&] {
      p.alone([&](runtime::self me) { out.emplace(f(me)); });
      return true;
    });
    return *std::move(out);
  }

  /// As the code of the process. Throws what the runtime throws.
  void send(const runtime::term& to, runtime::term message) {
    process_.me().send(to, std::move(message));
  }

  /// With which the process has ended.
  std::optional<runtime::term> end_reason() const;

  /// The owner has ended.
  void close(runtime::term reason = runtime::term::atom("normal"));
  /// Ends all of this process, which is about to end itself.
  static void close_all();

private:
  bool ours() const noexcept { return created_in_ == fork_generation(); }
  /// The process, while it lives. Raises in a forked child, since it has
  /// stayed with the parent.
  runtime::attached_process& process();
  [[noreturn]] void raise_ended();
  template <class F>
  auto guarded(F f) {
    try {
      return f();
    } catch (const runtime::process_killed&) {
      raise_ended();
    } catch (const runtime::erlang_error& e) {
      raise_mistake(e);
    }
  }

  std::uint32_t created_in_ = fork_generation();
  const bool spawned_;
  bool closed_ = false;
  bool told_ = false;
  actors::services& services_;
  runtime::attached_process process_;
};

template <class... Ts>
std::shared_ptr<python_mailbox> make_mailbox(Ts&&... xs) {
  return {new python_mailbox{std::forward<Ts>(xs)...},
          leak_after_fork<python_mailbox>{}};
}

/// A message as Python has it.
py::object to_message(const runtime::term& x);

/// The serial of whoever runs Python code in this thread, as `caller` wants
/// it; 0 if it is no process yet.
std::uint64_t calling_process();

} // namespace hornbeam::pybridge
