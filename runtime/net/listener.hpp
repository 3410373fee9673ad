#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "runtime/net/event_loop.hpp"

namespace hornbeam::runtime {

/// A connection that has not yet shown who it is. Whoever greets it drops this
/// when it has, or when it is closed.
struct half_open {
  std::string host;
  clock::time_point since;
  std::function<void()> turn_away; ///< closes the connection; in the loop
};

/// Takes connections at a port. Whoever connects and says nothing takes a place
/// among few for a few seconds, and nothing else.
class listener : public std::enable_shared_from_this<listener> {
public:
  /// Strangers that are greeted at once, from all hosts and from one. This host
  /// is exempt from the latter, and so are those of connected members.
  static constexpr std::size_t most_half_open = 64;
  static constexpr std::size_t most_half_open_of_a_host = 16;
  /// Over that a new one is turned away, unless the oldest has had so long.
  static constexpr std::chrono::seconds least_time{1};

  /// Takes over a connected socket. Called in the loop.
  using accept_handler
    = std::function<void(int fd, std::shared_ptr<half_open> x)>;

  /// Whether a member that is connected is at a host. Called in the loop.
  using member_test = std::function<bool(const std::string& host)>;

  /// Listens from here on. Any thread. Raises `std::runtime_error` with the
  /// address and the system's reason.
  static std::shared_ptr<listener> open(std::shared_ptr<event_loop> loop,
                                        const std::string& host,
                                        std::uint16_t port, std::string node,
                                        accept_handler f,
                                        member_test is_member);
  ~listener();

  /// `host:port`, with the port that it got.
  const std::string& address() const noexcept { return address_; }
  /// In the loop, or when that has stopped.
  void close();
  /// After a fork, in the child, when the loop has closed what it knows.
  void close_after_fork() noexcept;

private:
  listener(std::shared_ptr<event_loop> loop, int fd, std::string host,
           std::string node, accept_handler f, member_test is_member);
  void take();
  void admit(int fd);

  const std::shared_ptr<event_loop> loop_;
  const std::string node_;
  std::string address_;
  std::atomic<int> fd_; ///< until the loop knows it
  accept_handler on_accept_;
  member_test is_member_;
  // In the loop.
  std::optional<watched_descriptor> socket_;
  std::optional<loop_timer> pause_;
  std::list<std::weak_ptr<half_open>> half_open_; ///< the oldest first
};

} // namespace hornbeam::runtime
