#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/reply.hpp"
#include "runtime/call/service.hpp"

namespace hornbeam::runtime {

/// The protocol between two connected nodes, without threads or sockets: a
/// test drives two of these against each other step by step.
///
/// Whoever has something for the peer appends a frame to the outbox (any
/// thread) and wakes the link's session, which takes everything that waits as
/// one batch and sends it. Frames:
///
///   request  id service ttl depth body    wants a reply
///   cast     service body                 one-way
///   reply    id body
///   fragment number total bytes           a piece of a frame over 256 KiB
///   credit   n                            the peer has taken n fragments
///   ping, bye, bye_ok
///   probe                         wants a sign of life at once: alive
///   announced                     all that the sender has is announced
///
/// A frame of a tag that is not known is skipped: a newer node may send it.
///
/// Small frames overtake large ones: those go out in fragments, at most
/// `window` of them unacknowledged, one a batch. Casts never overtake casts.
/// What is large may take long to decode: another thread does that, and the
/// casts behind it wait for it. The link knows each open request and
/// fails it when the link closes.
class link : public inbound_quota, public std::enable_shared_from_this<link> {
public:
  /// Whoever takes what the peer sent. Called by the link's session only, or in
  /// `apart`.
  struct sink {
    virtual ~sink() = default;
    virtual void on_request(std::uint64_t id, const std::string& service,
                            deadline until, std::uint32_t depth,
                            std::string_view body)
      = 0;
    virtual void on_cast(const std::string& service, std::string_view body) = 0;
    virtual void on_bye() = 0;
    /// A goodbye has come, which is told of behind what came before it.
    virtual void on_bye_seen() {}
    /// The peer has announced all that it has.
    virtual void on_announced() = 0;
    /// Runs `f`, which may take long and raise `decode_error`, behind all that
    /// was given here before; in another thread if there is one for it.
    virtual void apart(std::function<void()> f) { f(); }
  };

  static constexpr std::size_t fragment_size = std::size_t{256} << 10;
  static constexpr std::size_t window = 8;
  static constexpr std::size_t batch_size = std::size_t{1} << 20;
  /// Requests and casts are refused while so many bytes wait for the peer, not
  /// counting the one large message that is under way in pieces.
  /// Replies and all that ends a wait are always taken, or two nodes could wait
  /// for each other; but what the peer asks while twice as much waits for it
  /// is refused. So is what would have to wait here while as much of the peer's
  /// does.
  static constexpr std::size_t default_buffer = std::size_t{64} << 20;
  /// The largest message, and so many bytes of a peer, and messages, may be
  /// half received: it sends one at a time.
  static constexpr std::uint64_t message_limit = std::uint64_t{2} << 30;
  static constexpr std::size_t most_half_received = 4;
  /// So many refusals in a row that the peer does not read end the link.
  static constexpr std::size_t most_unread_refusals = 100'000;

  /// `wake` is called (by any thread, without locks held) when the outbox
  /// was idle and no longer is; `urgent` if somebody waits for what is in it.
  using waker = std::function<void(bool urgent)>;
  /// Threads that wait for an answer wait at `answers`, if it is given.
  link(std::string peer, std::uint64_t incarnation, waker wake,
       std::shared_ptr<wait_helper> answers = nullptr,
       std::size_t buffer = default_buffer);

  const std::string& peer() const noexcept { return peer_; }
  std::uint64_t incarnation() const noexcept { return incarnation_; }
  const std::shared_ptr<wait_helper>& answers() const noexcept {
    return answers_;
  }

  /// None: now, by the clock, which is read where it is needed only.
  using moment = std::optional<clock::time_point>;

  // -- any thread ------------------------------------------------------------

  /// False if the link is closed, its outbox is full or the body is too long.
  bool cast(const std::string& service, std::string_view body);
  /// A cast that is taken however much waits; false if the link is closed.
  bool tell(const std::string& service, std::string_view body);
  /// Answers `reply` in every case. The return value can be given to
  /// `forget` by a caller that waits no longer.
  std::uint64_t request(const std::string& service, std::string_view body,
                        deadline until, std::uint32_t depth, responder reply,
                        moment now = {});
  void forget(std::uint64_t id);
  void reply(std::uint64_t id, const outcome& x);
  void bye();
  /// Says, behind all casts, that the announcements are complete.
  void announced();
  /// Fails every open request with `why`, and marks those that were never sent.
  /// Later calls fail at once. Returns how many casts were never sent.
  std::size_t close(const failure& why);
  /// Nothing more is taken, until `close` follows.
  void shut();
  bool open() const noexcept { return open_.load(); }
  /// Whether nothing waits to be sent.
  bool drained() const;
  std::size_t pending() const;
  std::uint64_t refused() const noexcept { return refused_.load(); }
  std::shared_ptr<void> charge(std::size_t bytes) override;
  bool full() const noexcept override { return held_.load() >= buffer_; }
  /// Whether no more is to be received until some of what is taken apart is
  /// done: then `sink::apart` has run something.
  bool behind_with_reading() const noexcept {
    return apart_bytes_.load() >= 2 * buffer_;
  }

  // -- the link's session ----------------------------------------------------

  /// What to send next, or an empty string. Call it again until it is empty:
  /// that is what wakes depend on. With `lingering` the caller looks again in a
  /// moment even if there is nothing now, if `lingers` says so: casts have been
  /// sent. Until then casts, for which nobody waits, wake nobody, and so they
  /// travel together.
  std::string next_batch(bool lingering = false);
  bool lingers() const;
  /// Raises `decode_error` for what no link wrote.
  void receive(std::string_view batch, sink& to, moment now = {});
  void ping();
  /// Asks the peer for a sign of life.
  void probe();
  /// Fails the requests whose deadline has passed: their callers wait no
  /// longer, and a peer that never answers must not fill this table.
  void expire(moment now = {});

private:
  /// What is behind casts, or an answer, is never refused.
  enum class kind : std::uint8_t { request, cast, behind_casts, answer };
  static bool in_order(kind x) noexcept {
    return x == kind::cast || x == kind::behind_casts;
  }
  struct small_frame {
    std::string bytes;
    std::uint64_t request = 0; ///< its id, if it is one
    kind is = kind::answer;
    /// What it takes here, of which its bytes may be the least.
    std::size_t cost() const noexcept { return bytes.size() + sizeof *this; }
  };
  struct large_frame {
    std::string bytes;
    std::size_t sent = 0;
    std::uint64_t number = 0;
    kind is = kind::answer;
    std::uint64_t request = 0;
  };

  /// Appends a frame. False if the link is closed, and for what may be refused
  /// also if it is full.
  bool push(std::string frame, kind is, bool urgent = false,
            std::uint64_t request = 0);
  /// Whether the peer reads too little of what it has asked for.
  bool behind() const;
  /// It asks for more all the same: that ends the link after a while.
  void count_unread();
  /// `in_pieces`: it came in fragments, and so can be none itself.
  void take_frame(std::string_view frame, sink& to, moment now,
                  bool in_pieces = false);
  /// What has come of a message in fragments, in parts that can be set aside
  /// before the next bytes are there.
  struct half_received {
    std::vector<std::string> parts;
    std::uint64_t size = 0;
    void append(std::string_view x, std::uint64_t total);
    std::string whole() &&;
    std::uint64_t tag() const; ///< 0: it has none
  };
  struct under_way; ///< of what is taken apart
  /// What a message of the peer counts as: one that is large keeps no small
  /// ones out.
  std::size_t counted(std::size_t bytes) const;
  void take_apart(half_received x, sink& to, moment now);
  /// Gives the peer what was kept of its credit while too much was taken apart.
  void pay_credit();

  const std::string peer_;
  const std::uint64_t incarnation_;
  const waker wake_;
  const std::shared_ptr<wait_helper> answers_;
  const std::size_t buffer_;
  std::atomic<bool> open_{true};
  std::atomic<std::uint64_t> refused_{0};

  mutable ranked_mutex<lock_rank::link_out> out_mutex_;
  std::deque<small_frame> small_;
  std::deque<large_frame> large_;
  std::size_t waiting_bytes_ = 0;
  std::size_t large_casts_ = 0;
  std::size_t small_casts_ = 0;
  std::size_t in_flight_ = 0;
  std::uint64_t next_number_ = 1;
  bool awake_ = false;
  bool lingering_ = false;
  bool sent_casts_ = false; ///< since there was nothing to send

  mutable ranked_mutex<lock_rank::link_pending> pending_mutex_;
  struct open_request {
    responder reply;
    deadline until;
  };
  std::unordered_map<std::uint64_t, open_request> pending_;
  std::uint64_t next_id_ = 1;
  failure closed_with_;

  std::map<std::uint64_t, half_received> partial_; ///< session only
  std::uint64_t partial_bytes_ = 0;                ///< session only
  std::atomic<std::size_t> unread_refusals_{0};
  std::atomic<std::size_t> held_{0};        ///< of the peer's, that waits here
  std::atomic<std::size_t> apart_bytes_{0}; ///< of what is taken apart
  std::atomic<std::size_t> casts_apart_{0}; ///< of that, for which casts wait
  std::atomic<std::uint64_t> owed_credit_{0};
};

} // namespace hornbeam::runtime
