#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "pybridge/gil/engine.hpp"
#include "pybridge/gil/gil.hpp"
#include "runtime/process/attached_process.hpp"

namespace hornbeam::pybridge {

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

  python_mailbox();
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

  /// The first message of that kind, and of `topic` if one is given; none if
  /// it does not come in time, or the owner ends meanwhile. Raises if somebody
  /// else has ended the process.
  std::optional<runtime::term> receive(kind k, runtime::deadline until,
                                       const std::optional<std::string>& topic
                                       = {});
  /// See `attached_process::notify_once`.
  std::uint64_t notify_once(kind k, const std::optional<std::string>& topic,
                            std::function<void()> f);
  void forget_notice(std::uint64_t number);

  /// The owner has ended.
  void close();
  /// Ends all of this process, which is about to end itself.
  static void close_all();

private:
  bool ours() const noexcept { return created_in_ == fork_generation(); }
  /// The process, while it lives. Raises in a forked child, since it has
  /// stayed with the parent.
  runtime::attached_process& process();
  [[noreturn]] void raise_ended();

  std::uint32_t created_in_ = fork_generation();
  bool closed_ = false;
  bool told_ = false;
  actors::services& services_;
  runtime::attached_process process_;
};

/// The serial of whoever runs Python code in this thread, as `caller` wants
/// it; 0 if it is no process yet.
std::uint64_t calling_process();

} // namespace hornbeam::pybridge
