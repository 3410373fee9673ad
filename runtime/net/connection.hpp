#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/net/event_loop.hpp"
#include "runtime/net/tls.hpp"

namespace hornbeam::runtime {

/// A connection to another node: a socket, TLS, and frames, each a length and
/// so many bytes. It knows nothing of what is in the frames.
class connection : public std::enable_shared_from_this<connection> {
public:
  /// Whoever uses a connection. It is called in the loop, but for `next_batch`.
  struct user {
    virtual ~user() = default;
    /// TLS is established.
    virtual void opened() = 0;
    /// Whole frames with their lengths, in a row. Returns how many bytes of
    /// them it has taken; the rest comes again. Raises what ends the
    /// connection.
    virtual std::size_t received(std::string_view frames) = 0;
    /// Whole frames to send next, or nothing. Any thread, one at a time, with
    /// the connection locked.
    virtual std::string next_batch() = 0;
    /// The connection is over, and why; called once, unless it was closed from
    /// here.
    virtual void closed(const std::string& why) = 0;
  };

  /// A frame is not longer. What is longer comes in pieces.
  static constexpr std::size_t longest_frame = (std::size_t{256} << 10) + 64;

  /// Takes over `fd`, which is connected and does not block. To be called in
  /// the loop.
  static std::shared_ptr<connection> open(
    const std::shared_ptr<event_loop>& loop, int fd, tls_session::role role,
    std::shared_ptr<const tls_context> tls, std::shared_ptr<user> u);
  ~connection();

  // -- any thread ------------------------------------------------------------

  /// Sends what the user has to send, in this thread, unless another one is at
  /// it: then that one looks again.
  void flush();
  /// When the peer was last heard of: any byte counts.
  clock::time_point heard() const noexcept {
    return clock::time_point{clock::duration{heard_.load()}};
  }

  /// Whether the peer's certificate is one of those that `x` accepts.
  bool trusted_by(const tls_context& x);

  // -- in the loop -----------------------------------------------------------

  /// No more is read until `resume`.
  void pause() { paused_ = true; }
  void resume();
  /// Closes it at once; the user hears nothing more.
  void close();
  /// Closes it behind what is still to be sent; what comes is not read any
  /// more.
  void close_gently();
  /// The other side, as `127.0.0.1:4370`.
  const std::string& peer() const noexcept { return peer_; }

private:
  connection(std::shared_ptr<event_loop> loop, int fd, tls_session::role role,
             std::shared_ptr<const tls_context> tls, std::shared_ptr<user> u);

  void on_readable();
  /// Takes the frames that are whole.
  void take_frames();
  /// Ends it, and tells the user.
  void fail(const std::string& why);
  /// With `mutex_`: sends until the socket takes no more or nothing is left.
  void write();
  /// With `mutex_`. False: the socket takes no more for now.
  bool write_output();

  const std::shared_ptr<event_loop> loop_;
  watched_descriptor socket_;
  loop_timer timer_; ///< of a gentle end
  const std::string peer_;

  // In the loop.
  std::string plain_; ///< what is not a whole frame yet
  bool paused_ = false;
  bool established_ = false;
  bool leaving_ = false; ///< gently
  std::atomic<bool> closed_{false};
  std::atomic<clock::rep> heard_;

  enum class flushing : std::uint8_t { idle, busy, again };
  std::atomic<flushing> flushing_{flushing::idle};

  friend void hold_connections();
  friend void let_go_of_connections();
  using mutex_type = ranked_mutex<lock_rank::connection>;
  mutex_type mutex_;           ///< guards what follows
  std::shared_ptr<user> user_; ///< none once it is closed
  tls_session tls_;
  std::size_t sent_ = 0;   ///< of the output
  bool blocked_ = false;   ///< until the socket takes more
  bool broken_ = false;    ///< reading tells why, when it has read all
  bool finishing_ = false; ///< what is sent now is the last
  bool finished_ = false;  ///< and the peer was told
};

} // namespace hornbeam::runtime
