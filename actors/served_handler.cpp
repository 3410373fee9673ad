#include "actors/served_handler.hpp"

#include <mutex>
#include <utility>

#include "runtime/base/log.hpp"
#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::actors {

using namespace runtime;

namespace {

/// A stream between its consumer and the handler's source, from the moment it
/// is asked for: what the consumer says before it has a permit is kept.
class served_stream : public chunk_source,
                      public chunk_sink,
                      public std::enable_shared_from_this<served_stream> {
public:
  served_stream(std::shared_ptr<call_stats> stats,
                std::shared_ptr<chunk_sink> to)
    : stats_(std::move(stats)), to_(std::move(to)) {
    stats_->begin();
  }
  ~served_stream() override { finish(true); }

  /// `p`: none if the handler is not bounded.
  void begin(handler& h, invocation x, std::shared_ptr<run_permit> p) {
    {
      lock_scope guard{mutex_};
      if (ended_)
        return; // `p` goes back
      x.permit = permit_ = std::move(p);
    }
    auto source = h.open_stream(std::move(x), shared_from_this());
    std::uint64_t n = 0;
    bool closed = false;
    {
      lock_scope guard{mutex_};
      closed = ended_;
      n = std::exchange(credit_, 0);
      if (!closed)
        source_ = source;
    }
    if (closed)
      source->close();
    else if (n > 0)
      source->credit(n);
  }

  void credit(std::uint64_t n) override {
    if (auto s = source(n))
      s->credit(n);
  }
  void close() override {
    auto s = source(0);
    finish(true);
    if (s)
      s->close();
  }

  void chunk(term x) override { to_->chunk(std::move(x)); }
  void end() override {
    finish(true);
    to_->end();
  }
  void fail(failure why) override {
    finish(false);
    to_->fail(std::move(why));
  }

private:
  /// Keeps the credit if there is no source yet.
  std::shared_ptr<chunk_source> source(std::uint64_t n) {
    lock_scope guard{mutex_};
    if (!source_)
      credit_ += n;
    return source_;
  }
  void finish(bool ok) {
    std::shared_ptr<chunk_source> gone;
    std::shared_ptr<run_permit> given_back;
    {
      lock_scope guard{mutex_};
      if (std::exchange(ended_, true))
        return;
      gone.swap(source_);
      given_back.swap(permit_);
    }
    stats_->end(ok, clock::now() - began_);
    if (given_back)
      given_back->end();
  }

  const std::shared_ptr<call_stats> stats_;
  const std::shared_ptr<chunk_sink> to_;
  const clock::time_point began_ = clock::now();
  runtime::ranked_mutex<runtime::lock_rank::served_stream> mutex_;
  std::shared_ptr<chunk_source> source_;
  std::shared_ptr<run_permit> permit_;
  std::uint64_t credit_ = 0;
  bool ended_ = false;
};

} // namespace

served_handler::served_handler(std::string what, handler_ptr inner,
                               const handler_options& options)
  : what_(std::move(what)),
    inner_(std::move(inner)),
    options_(options),
    limiter_(options.concurrency > 0 ? std::make_shared<concurrency_limiter>(
               options.concurrency, options.queue)
                                     : nullptr) {}

failure served_handler::overloaded() const {
  return {error_code::overloaded,
          what_ + " runs " + std::to_string(options_.concurrency)
            + " calls, and its queue of " + std::to_string(options_.queue)
            + " is full"};
}

void served_handler::run(invocation x, responder reply, run_permit p) {
  if (x.until.expired()) { // nobody waits any more
    reply(too_late());
    return;
  }
  if (limiter_)
    x.permit = std::make_shared<run_permit>(std::move(p));
  stats_->begin();
  auto slot = reply.slot();
  auto done = [stats = stats_, began = clock::now(), permit = x.permit,
               to = std::make_shared<responder>(std::move(reply))](outcome y) {
    stats->end(y.ok(), clock::now() - began);
    if (permit)
      permit->end();
    (*to)(std::move(y));
  };
  inner_->invoke(std::move(x), responder{std::move(done), std::move(slot)});
}

/// Tells the log what nobody else hears.
responder served_handler::unheard() {
  return responder{[self = shared_from_this()](const outcome& y) {
    if (y || y.error().code == error_code::ended)
      return;
    auto& why = y.error();
    log::say_once_a_minute(
      log::level::error, "hooks", {}, self->what_ + why.type, [&] {
        auto text = self->what_ + " failed in a cast: "
                    + (why.type.empty() ? "" : why.type + ": ") + why.message;
        if (!why.traceback.empty())
          text += '\n' + why.traceback;
        if (text.back() == '\n')
          text.pop_back();
        return text;
      });
  }};
}

void served_handler::invoke(invocation x, responder reply) {
  if (!reply)
    reply = unheard();
  if (!limiter_) {
    run(std::move(x), std::move(reply), {});
    return;
  }
  auto call = std::make_shared<std::pair<invocation, responder>>(
    std::move(x), std::move(reply));
  auto begin = [self = shared_from_this(), call](run_permit p) {
    self->run(std::move(call->first), std::move(call->second), std::move(p));
  };
  if (limiter_->acquire(std::move(begin)) == 0)
    call->second(overloaded());
}

std::optional<outcome> served_handler::call(const invocation& x) {
  if (!options_.quick || limiter_)
    return std::nullopt;
  auto timing = stats_->to_be_timed();
  auto began = timing ? clock::now() : clock::time_point{};
  auto y = inner_->call(x);
  if (y) {
    stats_->count(y->ok());
    if (timing)
      stats_->add(clock::now() - began);
  }
  return y;
}

std::shared_ptr<chunk_source> served_handler::open_stream(
  invocation x, std::shared_ptr<chunk_sink> to) {
  auto stream = std::make_shared<served_stream>(stats_, to);
  if (!limiter_) {
    stream->begin(*inner_, std::move(x), nullptr);
    return stream;
  }
  auto begin = [self = shared_from_this(), stream, x](run_permit p) {
    if (x.until.expired())
      stream->fail(too_late());
    else
      stream->begin(*self->inner_, x,
                    std::make_shared<run_permit>(std::move(p)));
  };
  if (limiter_->acquire(std::move(begin)) == 0)
    stream->fail(overloaded());
  return stream;
}

} // namespace hornbeam::actors
