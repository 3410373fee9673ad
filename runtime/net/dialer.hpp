#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "runtime/net/address.hpp"
#include "runtime/net/event_loop.hpp"

namespace hornbeam::runtime {

/// Makes one connection to a host. Nothing blocks: names are looked up in a
/// thread of their own, and the addresses of a host are tried one after the
/// other, the next one after a quarter of a second or a refusal, until one
/// answers ("happy eyeballs"). To be used in the loop.
class dialer : public std::enable_shared_from_this<dialer> {
public:
  /// Called once, in the loop: a connected socket, or -1 and why not.
  using done = std::function<void(int fd, const std::string& why)>;

  static std::shared_ptr<dialer> start(std::shared_ptr<event_loop> loop,
                                       address to,
                                       std::chrono::milliseconds patience,
                                       done f);
  /// `done` is not called any more.
  void cancel();

private:
  dialer(std::shared_ptr<event_loop> loop, address to, done f);
  void resolved(std::vector<endpoint> found, const std::string& why);
  void try_next();
  void end(int fd, std::string why);

  const std::shared_ptr<event_loop> loop_;
  const address to_;
  done done_;
  loop_timer patience_;
  loop_timer next_;
  std::vector<endpoint> endpoints_;
  std::size_t tried_ = 0;
  std::list<watched_descriptor> sockets_; ///< under way
  std::string why_;
};

} // namespace hornbeam::runtime
