#include "actors/streams.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <set>

#include "runtime/net/event_loop.hpp"
#include "runtime/term/term_size.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::actors {

using namespace runtime;

namespace {

term failure_to_term(const failure& f) {
  std::string bytes;
  wire_writer{bytes} << f;
  return term::bytes(std::move(bytes));
}

failure term_to_failure(const term& x) {
  failure f;
  wire_reader in{x.text()};
  in >> f;
  return f;
}

term number(std::uint64_t n) {
  return term{static_cast<std::int64_t>(n)};
}

} // namespace

/// A stream on its way to a provider.
struct streams::opening {
  const std::uint64_t id;
  const invocation call;
  std::uint64_t credit = 0;
  failure why; ///< of the last node that was lost
  std::set<std::string> tried;
  std::atomic<bool> closed{false}; ///< before it was answered
};

/// The consumer's view of a stream on another node.
class remote_source : public chunk_source {
public:
  remote_source(streams& s, std::shared_ptr<streams::opening> x)
    : streams_(s), opening_(std::move(x)) {}

  void credit(std::uint64_t n) override {
    if (asked_.exchange(true)) {
      streams_.tell_provider(
        opening_->id, make_op("credit", number(opening_->id), number(n)));
      return;
    }
    opening_->credit = n;
    streams_.ask(opening_);
  }

  void close() override {
    auto gone = streams_.forget(opening_->id);
    if (!gone || gone->node.empty())
      return;
    opening_->closed = !gone->begun;
    streams_.net_.tell(gone->node, "streams",
                       make_op("close", number(opening_->id)));
  }

private:
  streams& streams_;
  const std::shared_ptr<streams::opening> opening_;
  std::atomic<bool> asked_{false};
};

/// A stream that was asked for before the node has joined those that may have
/// its hook: it is opened when it has.
class late_source : public chunk_source {
public:
  late_source(streams& s, invocation x, std::shared_ptr<chunk_sink> to)
    : streams_(s), call_(std::move(x)), to_(std::move(to)) {}

  void open() {
    std::unique_lock lock{mutex_};
    if (closed_)
      return;
    lock.unlock();
    std::shared_ptr<chunk_source> from;
    try {
      from = streams_.open(std::move(call_), to_);
    } catch (...) {
      to_->fail(current_failure());
      return;
    }
    lock.lock();
    from_ = from;
    auto n = std::exchange(credit_, 0);
    bool closed = closed_;
    lock.unlock();
    if (from && closed)
      from->close();
    else if (from && n > 0)
      from->credit(n);
  }
  void credit(std::uint64_t n) override {
    std::unique_lock lock{mutex_};
    if (!from_) {
      credit_ += n;
      return;
    }
    auto from = from_;
    lock.unlock();
    from->credit(n);
  }
  void close() override {
    std::unique_lock lock{mutex_};
    closed_ = true;
    auto from = from_;
    lock.unlock();
    if (from)
      from->close();
  }

private:
  streams& streams_;
  invocation call_;
  const std::shared_ptr<chunk_sink> to_;
  ranked_mutex<lock_rank::generator> mutex_; ///< guards what follows
  std::shared_ptr<chunk_source> from_;
  std::uint64_t credit_ = 0;
  bool closed_ = false;
};

/// The provider's view of a consumer on another node. `opened` is answered
/// behind the first word, with the second one: nobody waits for it then.
class remote_sink : public chunk_sink {
public:
  remote_sink(streams& s, streams::session to, responder opened)
    : streams_(s), to_(std::move(to)), opened_(std::move(opened)) {}

  void chunk(term x) override {
    if (spoken_.exchange(true))
      answer(term{});
    send(make_op("chunk", number(to_.second), std::move(x)));
  }
  void end() override {
    answer(term{});
    send(make_op("end", number(to_.second)));
    streams_.forget(to_);
  }
  void fail(failure why) override {
    bool first = !spoken_.exchange(true);
    if (!answer(first ? outcome{why} : outcome{term{}}) || !first)
      send(make_op("error", number(to_.second), failure_to_term(why)));
    streams_.forget(to_);
  }

private:
  void send(const term& op) { streams_.net_.tell(to_.first, "streams", op); }
  /// False if it was a cast, or has been answered.
  bool answer(outcome x) {
    if (answered_.exchange(true) || !opened_)
      return false;
    opened_(std::move(x));
    return true;
  }

  streams& streams_;
  streams::session to_;
  responder opened_;
  std::atomic<bool> spoken_{false};
  std::atomic<bool> answered_{false};
};

class streams_service : public service {
public:
  explicit streams_service(streams& s) : streams_(s) {}

  void handle(call& c) override { streams_.handle(c); }
  void peer(const peer_event& e) override {
    if (!e.up)
      streams_.drop(&e.name, node_down(e.name));
  }

private:
  streams& streams_;
};

void streams::handle(call& c) {
  operation op{c.op};
  auto id_at = [&](std::size_t i) {
    return static_cast<std::uint64_t>(op.arg(i).as_int());
  };
  if (op.name == "chunk") {
    if (auto to = sink(id_at(0), false))
      to->chunk(op.arg(1));
  } else if (op.name == "end") {
    if (auto to = sink(id_at(0), true))
      to->end();
  } else if (op.name == "error") {
    if (auto to = sink(id_at(0), true))
      to->fail(term_to_failure(op.arg(1)));
  } else if (op.name == "credit") {
    give_credit({c.from, id_at(0)}, id_at(1));
  } else if (op.name == "close") {
    if (auto from = forget({c.from, id_at(0)}))
      from->close();
  } else if (op.name == "open") {
    auto ttl = op.arg(6).as_int();
    c.until = ttl < 0 ? deadline{} : deadline::in(ttl);
    c.depth = static_cast<std::uint32_t>(op.arg(7).as_int());
    session consumer{c.from, id_at(4)};
    auto to = std::make_shared<remote_sink>(*this, consumer,
                                            std::move(c.reply));
    try {
      provide(consumer, read_invocation(c, net_.self()->name()), id_at(5), to);
    } catch (...) {
      to->fail(current_failure());
    }
  } else {
    throw bad_term("streams know no operation '" + op.name + "'");
  }
  if (c.reply)
    c.reply(term{});
}

bool streams::answer_inline(const std::string& service, call& c) {
  if (service != "streams")
    return false;
  try {
    handle(c);
  } catch (...) {
    refuse(c, service, current_failure());
  }
  return true;
}

std::shared_ptr<chunk_source> streams::open(invocation x,
                                            std::shared_ptr<chunk_sink> to) {
  if (auto h = hooks_.local(x.target))
    return h->open_stream(std::move(x), std::move(to));
  if (!hooks_.pick_elsewhere(x.target)) {
    auto late = std::make_shared<late_source>(*this, x, to);
    if (net_.when_joined([late] { late->open(); }))
      return late;
    to->fail(not_there(hooks_.scope(), x.target, "any connected node"));
    return nullptr;
  }
  std::unique_lock lock{mutex_};
  auto id = next_++;
  consumed_.emplace(id, consumer{{}, std::move(to)});
  lock.unlock();
  auto why = not_there(hooks_.scope(), x.target, "any connected node");
  return std::make_shared<remote_source>(
    *this, std::shared_ptr<opening>{
             new opening{id, std::move(x), 0, std::move(why), {}, {}}});
}

void streams::ask(const std::shared_ptr<opening>& x) {
  auto to = hooks_.pick_elsewhere(x->call.target, x->tried);
  if (!to) {
    if (!net_.when_joined([this, x] { ask(x); }))
      if (auto gone = forget(x->id))
        gone->sink->fail(x->why);
    return;
  }
  {
    lock_scope guard{mutex_};
    auto i = consumed_.find(x->id);
    if (i == consumed_.end())
      return; // closed meanwhile
    i->second.node = to->node;
    i->second.sink->helped_by(net_.helper_for(to->node));
  }
  auto items = write_invocation("open", x->call).to_sequence();
  items.push_back(number(x->id));
  items.push_back(number(x->credit));
  items.push_back(term{x->call.until.left_ms()});
  items.push_back(number(x->call.depth));
  net_.request(
    to->node, "streams", term::tuple(std::move(items)), x->call.until,
    x->call.depth,
    responder{[this, x, to = *to](const outcome& y) { answered(x, to, y); }});
}

void streams::answered(const std::shared_ptr<opening>& x,
                       const named_handlers::provider& from, const outcome& y) {
  auto close = [&] {
    net_.tell(from.node, "streams", make_op("close", number(x->id)));
  };
  std::unique_lock lock{mutex_};
  auto i = consumed_.find(x->id);
  if (i == consumed_.end()) {
    lock.unlock();
    if (x->closed) // that may have overtaken a large request
      close();
    return;
  }
  if (y || i->second.begun) { // what has begun hears of a loss otherwise
    i->second.begun = true;
    return;
  }
  lock.unlock();
  auto& why = y.error();
  if (named_handlers::may_go_on(why, from.retry) && !x->call.until.expired()) {
    x->why = why;
    x->tried.insert(from.node);
    ask(x);
    return;
  }
  if (auto gone = forget(x->id)) {
    if (why.code == error_code::timeout) // it may still run there
      close();
    gone->sink->fail(why);
  }
}

std::shared_ptr<chunk_sink> streams::sink(std::uint64_t id, bool last) {
  lock_scope guard{mutex_};
  auto i = consumed_.find(id);
  if (i == consumed_.end())
    return nullptr;
  auto out = i->second.sink;
  i->second.begun = true;
  if (last)
    consumed_.erase(i);
  return out;
}

std::optional<streams::consumer> streams::forget(std::uint64_t id) {
  lock_scope guard{mutex_};
  auto gone = consumed_.extract(id);
  return gone ? std::optional{std::move(gone.mapped())} : std::nullopt;
}

void streams::tell_provider(std::uint64_t id, const term& op) {
  std::unique_lock lock{mutex_};
  auto i = consumed_.find(id);
  if (i == consumed_.end())
    return;
  auto node = i->second.node;
  lock.unlock();
  net_.tell(node, "streams", op);
}

void streams::provide(const session& s, invocation x, std::uint64_t credit,
                      const std::shared_ptr<chunk_sink>& to) {
  auto h = hooks_.local(x.target);
  if (!h) {
    to->fail(not_there(hooks_.scope(), x.target, net_.self()->name()));
    return;
  }
  {
    lock_scope guard{mutex_};
    provided_[s] = {h, nullptr};
  }
  std::shared_ptr<chunk_source> from;
  try {
    from = h->open_stream(std::move(x), to);
  } catch (...) {
    to->fail(current_failure());
    return;
  }
  {
    // Who refuses the stream has ended it by now: then it is forgotten.
    lock_scope guard{mutex_};
    if (auto i = provided_.find(s); i != provided_.end())
      i->second.source = std::move(from);
  }
  give_credit(s, credit);
}

void streams::give_credit(const session& s, std::uint64_t n) {
  provider p;
  {
    lock_scope guard{mutex_};
    auto i = provided_.find(s);
    if (i == provided_.end() || !i->second.source)
      return;
    p = i->second;
  }
  hooks_.run(*p.by, [source = std::move(p.source), n] { source->credit(n); });
}

std::shared_ptr<chunk_source> streams::forget(const session& s) {
  lock_scope guard{mutex_};
  auto gone = provided_.extract(s);
  return gone ? std::move(gone.mapped().source) : nullptr;
}

void streams::drop(const std::string* node, const failure& why) {
  std::vector<std::shared_ptr<chunk_sink>> sinks;
  std::vector<std::shared_ptr<chunk_source>> sources;
  {
    lock_scope guard{mutex_};
    std::erase_if(consumed_, [&](auto& x) {
      if (node && (x.second.node != *node || !x.second.begun))
        return false;
      sinks.push_back(x.second.sink);
      return true;
    });
    std::erase_if(provided_, [&](auto& x) {
      if (node && x.first.first != *node)
        return false;
      if (x.second.source)
        sources.push_back(x.second.source);
      return true;
    });
  }
  for (auto& s : sinks)
    s->fail(why);
  for (auto& s : sources)
    s->close();
}

streams::~streams() {
  drop(nullptr, node_ended());
}

std::pair<std::size_t, std::size_t> streams::count() const {
  lock_scope guard{mutex_};
  return {consumed_.size(), provided_.size()};
}

std::unique_ptr<service> streams::make_service() {
  return std::make_unique<streams_service>(*this);
}

namespace {

/// Lets a stream be owned by its reader alone: the sink that the services
/// know does not keep the reader alive, so dropping the reader closes it.
class weak_sink : public chunk_sink {
public:
  explicit weak_sink(std::weak_ptr<stream_reader> to) : to_(std::move(to)) {}
  void chunk(term x) override {
    if (auto to = to_.lock())
      to->chunk(std::move(x));
  }
  void end() override {
    if (auto to = to_.lock())
      to->end();
  }
  void fail(failure why) override {
    if (auto to = to_.lock())
      to->fail(std::move(why));
  }
  void helped_by(std::shared_ptr<wait_helper> x) override {
    if (auto to = to_.lock())
      to->helped_by(std::move(x));
  }

private:
  std::weak_ptr<stream_reader> to_;
};

} // namespace

std::shared_ptr<stream_reader> stream_reader::open(streams& from,
                                                   invocation x) {
  auto out = std::make_shared<stream_reader>();
  out->source_ = from.open(std::move(x), std::make_shared<weak_sink>(out));
  return out;
}

void stream_reader::start() {
  std::unique_lock lock{mutex_};
  if (std::exchange(started_, true) || closed_ || !source_)
    return;
  auto s = source_;
  under_way_ = window_;
  lock.unlock();
  s->credit(window);
}

std::vector<stream_reader::item> stream_reader::next(clock::time_point until) {
  {
    event_loop::send_now_scope here; // who waits sends its request itself
    start();
    replenish();
  }
  return wait_until(until) ? take() : std::vector<item>{};
}

std::vector<stream_reader::item> stream_reader::take() {
  std::vector<item> out;
  std::shared_ptr<chunk_source> over; // ends without the lock
  std::unique_lock lock{mutex_};
  if (!ready())
    return out;
  in_hand_bytes_ = std::exchange(waiting_bytes_, 0);
  out.assign(std::make_move_iterator(items_.begin()),
             std::make_move_iterator(items_.end()));
  items_.clear();
  if (!closed_)
    taken();
  if (out.empty()) {
    out.emplace_back(end_of_stream{});
    return out;
  }
  if (out.back().index() != 0) {
    over.swap(source_);
    closed_ = true; // nothing follows
    make_ready(std::move(lock));
    return out;
  }
  auto n = due();
  auto s = source_;
  lock.unlock();
  if (n > 0)
    s->credit(n);
  return out;
}

void stream_reader::replenish() {
  std::unique_lock lock{mutex_};
  in_hand_bytes_ = 0;
  auto n = due();
  auto s = source_;
  lock.unlock();
  if (n > 0)
    s->credit(n);
}

std::uint64_t stream_reader::due() {
  if (!started_ || closed_ || !source_)
    return 0;
  auto ahead = under_way_ + items_.size();
  if (under_way_ == 0 && chunk_bytes_ > 0 && window_ < largest_window)
    window_ *= 2;
  auto size = std::max<std::size_t>(chunk_bytes_, 1);
  auto kept = waiting_bytes_ + in_hand_bytes_;
  auto room = kept < window_bytes ? (window_bytes - kept) / size : 0;
  auto by_bytes = room > under_way_ ? room - under_way_ : 0;
  auto by_count = window_ > ahead ? window_ - ahead : 0;
  auto n = std::min<std::uint64_t>(by_bytes, by_count);
  if (ahead == 0 && n == 0 && in_hand_bytes_ == 0)
    n = 1;
  // Credit goes in large pieces: each is a message.
  auto whole = std::min<std::uint64_t>(window_, window_bytes / size);
  if (ahead > 0 && n < whole / 2)
    return 0;
  under_way_ += n;
  return n;
}

void stream_reader::notify_once(std::function<void()> f) {
  replenish();
  {
    lock_scope guard{mutex_};
    if (!ready()) {
      notify_ = std::move(f);
      return;
    }
  }
  f();
}

void stream_reader::push(item x) {
  std::function<void()> notify;
  auto* chunk = std::get_if<term>(&x);
  auto bytes = chunk != nullptr ? bytes_of(*chunk) : 0;
  {
    std::unique_lock lock{mutex_};
    if (closed_)
      return;
    if (chunk != nullptr) {
      under_way_ -= std::min<std::uint64_t>(under_way_, 1);
      waiting_bytes_ += bytes;
      chunk_bytes_ = std::max(bytes, chunk_bytes_ - chunk_bytes_ / 8);
    }
    items_.push_back(std::move(x));
    notify = std::exchange(notify_, nullptr);
    make_ready(std::move(lock));
  }
  if (notify)
    notify();
}

void stream_reader::close() {
  std::shared_ptr<chunk_source> s;
  std::function<void()> notify;
  {
    std::unique_lock lock{mutex_};
    closed_ = true;
    items_.clear();
    s = std::exchange(source_, nullptr);
    notify = std::exchange(notify_, nullptr);
    make_ready(std::move(lock));
  }
  if (notify)
    notify();
  if (s)
    s->close();
}

} // namespace hornbeam::actors
