#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "runtime/outcome.hpp"
#include "runtime/term.hpp"

namespace hornbeam::runtime {

/// What a topic delivered.
struct topic_message {
  std::string topic;
  term body;
};

/// The address of whoever receives: a pid and what has arrived for it. A
/// thread, an asyncio task or a handler call owns one; the owner's end closes
/// it, and whatever comes later is dropped.
class mailbox {
public:
  using predicate = std::function<bool(const topic_message&)>;

  explicit mailbox(runtime::pid id) : id_(std::move(id)) {}

  const runtime::pid& id() const noexcept { return id_; }

  /// False if the mailbox is closed.
  bool push(topic_message x) {
    std::function<void()> notify;
    {
      std::lock_guard guard{mutex_};
      if (closed_)
        return false;
      messages_.push_back(std::move(x));
      notify = std::exchange(notify_, nullptr);
    }
    arrived_.notify_all();
    if (notify)
      notify();
    return true;
  }

  /// The first message in arrival order that `match` accepts, if it comes
  /// before `until`; the others keep their order.
  std::optional<topic_message> receive(clock::time_point until,
                                       const predicate& match = {}) {
    std::unique_lock lock{mutex_};
    std::size_t seen = 0;
    for (;;) {
      for (; seen < messages_.size(); ++seen) {
        if (match && !match(messages_[seen]))
          continue;
        auto out = std::move(messages_[seen]);
        messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(seen));
        return out;
      }
      auto more = [&] { return closed_ || messages_.size() > seen; };
      if (until == clock::time_point::max())
        arrived_.wait(lock, more);
      else if (!arrived_.wait_until(lock, until, more))
        return std::nullopt;
      if (closed_)
        return std::nullopt;
    }
  }

  /// Calls `f` once: at the next arrival, or now if something is waiting.
  void notify_once(std::function<void()> f) {
    {
      std::lock_guard guard{mutex_};
      if (messages_.empty() && !closed_) {
        notify_ = std::move(f);
        return;
      }
    }
    f();
  }

  void close() {
    std::function<void()> notify;
    {
      std::lock_guard guard{mutex_};
      closed_ = true;
      messages_.clear();
      notify = std::exchange(notify_, nullptr);
    }
    arrived_.notify_all();
    if (notify)
      notify();
  }

  bool closed() const {
    std::lock_guard guard{mutex_};
    return closed_;
  }
  std::size_t size() const {
    std::lock_guard guard{mutex_};
    return messages_.size();
  }

private:
  runtime::pid id_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<topic_message> messages_;
  std::function<void()> notify_;
  bool closed_ = false;
};
using mailbox_ptr = std::shared_ptr<mailbox>;

} // namespace hornbeam::runtime
