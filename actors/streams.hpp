#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/named_handlers.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::actors {

/// Streams: results of hooks that come chunk by chunk.
///
/// Protocol: the consumer chooses an id and, when the first chunk is wanted,
/// sends the request `open name action args kwargs id credit ttl depth` to the
/// provider, which runs the handler as far as there is credit. The request is
/// answered by the first word if that is a failure, else behind it. All other
/// words are casts, which keep their order: `chunk id x` for each chunk, at
/// last `end id` or `error id failure`. The consumer sends the casts `credit id
/// n` as it takes chunks, and `close id` when it wants no more. When a node
/// goes down, the other side fails its consumers and closes its sources.
///
/// As with a call, a stream whose node is lost before its first word goes to
/// the next one that has the hook, if its handler has not begun or may run
/// twice.
class streams {
public:
  streams(runtime::router& net, named_handlers& hooks)
    : net_(net), hooks_(hooks) {}
  /// Closes what it provides and fails what it consumes.
  ~streams();

  /// Makes a stream that does not run before it gets credit. A hook that is
  /// not there is told to the sink.
  std::shared_ptr<chunk_source> open(invocation x,
                                     std::shared_ptr<chunk_sink> to);
  /// Streams that this node consumes from and provides to others.
  std::pair<std::size_t, std::size_t> count() const;
  /// Takes what other nodes say in the thread that has read it: nothing here
  /// waits, and the order of the casts is kept. False if it is none of ours.
  bool answer_inline(const std::string& service, runtime::call& c);

  std::unique_ptr<runtime::service> make_service();

private:
  friend class remote_source;
  friend class remote_sink;
  friend class streams_service;
  struct opening;
  /// The consumer's node and its id.
  using session = std::pair<std::string, std::uint64_t>;
  struct consumer {
    std::string node; ///< the provider; empty: not asked yet
    std::shared_ptr<chunk_sink> sink;
    /// It has been answered. Until then its request says what becomes of it.
    bool begun = false;
  };
  struct provider {
    handler_ptr by;
    std::shared_ptr<chunk_source> source;
  };

  void handle(runtime::call& c);
  /// Asks the next node that has the hook.
  void ask(const std::shared_ptr<opening>& x);
  void answered(const std::shared_ptr<opening>& x,
                const named_handlers::provider& from,
                const runtime::outcome& y);
  void provide(const session& s, invocation x, std::uint64_t credit,
               const std::shared_ptr<chunk_sink>& to);
  void give_credit(const session& s, std::uint64_t n);
  /// What provides `s`, which is forgotten.
  std::shared_ptr<chunk_source> forget(const session& s);
  std::shared_ptr<chunk_sink> sink(std::uint64_t id, bool last);
  std::optional<consumer> forget(std::uint64_t id);
  /// Sends a cast to the provider of a stream.
  void tell_provider(std::uint64_t id, const runtime::term& op);
  /// Ends all streams with `node`; none: with every node.
  void drop(const std::string* node, const runtime::failure& why);

  runtime::router& net_;
  named_handlers& hooks_;
  mutable runtime::ranked_mutex<runtime::lock_rank::streams> mutex_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, consumer> consumed_;
  std::map<session, provider> provided_;
};

/// Takes the chunks of a stream one by one, and gives credit. The provider is
/// ahead by so many chunks as are worth it, but by no more bytes than
/// `window_bytes`, though always by one chunk; what `take` has returned last
/// counts until the next call.
class stream_reader : public chunk_sink, private runtime::waitable {
public:
  /// How many chunks the provider may be ahead: so many at first, while their
  /// size is not known, twice as many each time that it had to wait for credit,
  /// up to the largest.
  static constexpr std::uint64_t window = 4;
  static constexpr std::uint64_t largest_window = 512;
  static constexpr std::size_t window_bytes = 4 << 20;

  struct end_of_stream {};
  using item = std::variant<runtime::term, runtime::failure, end_of_stream>;

  ~stream_reader() override { close(); }

  /// Opens the stream; it starts at the first `next` or `start`.
  static std::shared_ptr<stream_reader> open(streams& from, invocation x);

  void start();
  /// All items that are there, at least one, unless none comes before `until`.
  /// Nothing else follows an end or a failure, which is the last of them. The
  /// caller holds no lock: it may be the one that sends and reads.
  std::vector<item> next(runtime::clock::time_point until);
  /// The same without a wait, nor a start.
  std::vector<item> take();
  /// Calls `f` once, when an item is there.
  void notify_once(std::function<void()> f);
  void close();

  void chunk(runtime::term x) override { push(std::move(x)); }
  void end() override { push(end_of_stream{}); }
  void fail(runtime::failure why) override { push(std::move(why)); }
  void helped_by(std::shared_ptr<runtime::wait_helper> x) override {
    waitable::helped_by(std::move(x));
  }

private:
  void push(item x);
  /// Gives what credit is due.
  void replenish();
  /// With the lock: how much that is.
  std::uint64_t due();

  // There is something while there are items, or once it is closed.
  std::deque<item> items_;
  std::function<void()> notify_;
  std::shared_ptr<chunk_source> source_;
  std::uint64_t window_ = window;
  std::size_t waiting_bytes_ = 0; ///< of `items_`
  std::size_t in_hand_bytes_ = 0; ///< of what `take` has returned last
  std::size_t chunk_bytes_ = 0;   ///< the largest of late
  std::uint64_t under_way_ = 0;   ///< credit for chunks that have not come
  bool started_ = false;
  bool closed_ = false;
};

} // namespace hornbeam::actors
