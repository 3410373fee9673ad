#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/log.hpp"
#include "runtime/base/small_mutex.hpp"
#include "runtime/link/node_core.hpp"
#include "runtime/net/connection.hpp"
#include "runtime/net/listener.hpp"

namespace hornbeam::runtime {

/// What a connection to another node carries: first the hellos, then a link.
///
/// Whoever dialled says hello first. The other node's peering actor decides
/// about it; then that node says hello too, or why it refuses. From there on
/// each side has a link, and an actor that looks after it.
class session : public connection::user,
                public link::sink,
                public std::enable_shared_from_this<session> {
public:
  /// Says hello through `fd`, where the node of `x` is to answer. Tells the
  /// peering actor how it went.
  static std::weak_ptr<session> dial(core_ptr core, int fd, peering::dial x,
                                     std::chrono::milliseconds patience);
  /// Waits for the hello of whoever has connected, and gives it to the peering
  /// actor.
  static void greet(core_ptr core, int fd, std::shared_ptr<half_open> g);

  session(core_ptr core, std::optional<peering::dial> x);

  // -- in the loop -----------------------------------------------------------

  /// Whether there is a link, which has not ended.
  bool linked() const noexcept { return linked_ && !over_; }
  /// The address that the other end has, without its port. In the loop.
  std::string peer_host() const;
  /// What the peer said of itself.
  const hello& peer_hello() const noexcept { return hello_; }
  /// Takes the peer in, or refuses it if the node can't.
  void accept();
  void refuse(const refusal& why);
  /// Ends it before there is a link, and tells nobody.
  void abandon();
  /// Ends the link if the peer's certificate is not among those of `x`.
  void require_trust(const tls_context& x);
  /// Ends the link.
  void end(const std::string& why, log::level how = log::level::warning);
  /// Ends it unless something is heard of the peer by then; then calls `f`.
  void prove_alive(std::chrono::milliseconds by, std::function<void()> f);

  // -- connection::user ------------------------------------------------------

  void opened() override;
  std::size_t received(std::string_view frames) override;
  std::string next_batch() override;
  void closed(const std::string& why) override;

  // -- link::sink ------------------------------------------------------------

  void on_request(std::uint64_t id, const std::string& service, deadline until,
                  std::uint32_t depth, std::string_view body) override;
  void on_cast(const std::string& service, std::string_view body) override;
  void on_bye() override;
  void on_bye_seen() override { bye_seen_ = true; }
  void on_announced() override;
  void apart(std::function<void()> f) override;

private:
  void open(int fd, tls_session::role role, std::chrono::milliseconds patience);
  void flush();
  void say(const std::string& frame);
  void take_hello(std::string_view body);
  void take_answer(std::string_view body);
  /// Asks the peering actor what to answer, and answers.
  void decide(const peering& p);
  void tell_linked();
  /// Makes the link; or says why not.
  std::optional<refusal> connect();
  /// The attempt to connect has failed.
  void give_up(failure why, bool again);
  /// Reads no more as long as too much is taken apart.
  void stall_if_behind();
  /// Looks whether the peer still lives, shows it the same, and again after a
  /// while.
  void beat();
  void go_on();
  /// Ends the link unless something was heard since `asked`, after a while.
  void look_for_proof(std::chrono::milliseconds by, clock::time_point asked);
  bool goodbye_said() const noexcept { return leaving_ || bye_seen_; }
  /// Goodbyes are said: ends when what was sent before them has gone.
  void leave();
  /// The node is told of the link's end.
  void drop(const failure& why);
  bool dialled() const noexcept { return dial_.has_value(); }

  const core_ptr core_;
  const std::optional<peering::dial> dial_; ///< ours; else they have dialled
  std::weak_ptr<connection> connection_;
  std::shared_ptr<half_open> half_open_; ///< until it is greeted
  loop_timer timer_;
  loop_timer beat_timer_;
  hello hello_;
  std::shared_ptr<link> link_;
  std::atomic<bool> linked_{false}; ///< there is a link
  caf::actor actor_;                ///< of the link
  caf::actor reader_; ///< of what comes in pieces, once there was any
  bool heard_hello_ = false;
  bool receiving_ = false; ///< what is answered meanwhile is sent afterwards
  std::vector<std::function<void()>> when_proved_; ///< that it lives, or not
  bool met_ = false;                 ///< the peer has used the link
  bool told_linked_ = false;         ///< to the peering actor
  bool gently_ = false;              ///< the connection closes by itself
  bool bye_seen_ = false;            ///< behind what has come in pieces
  std::atomic<bool> stalled_{false}; ///< nothing is read
  clock::time_point went_on_{};
  /// Set when goodbyes are said: how long what was sent before them may take.
  std::optional<clock::time_point> leaving_;
  std::atomic<bool> over_{false};

  small_mutex mutex_;
  std::string to_say_; ///< before what the link has to send
  bool sent_ = false;  ///< something, since there was nothing to send
};

} // namespace hornbeam::runtime
