#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace hornbeam::actors {

/// Bounds how many calls of one handler run at once, and how many wait for
/// that; whatever is beyond is refused at once.
class gate : public std::enable_shared_from_this<gate> {
public:
  /// The right to run, given back when it goes. While whoever has it waits for
  /// a call of its own, it can lend it to others: so calls that are nested do
  /// not wait for each other. Any thread, one at a time.
  class place {
  public:
    place() = default;
    explicit place(std::shared_ptr<gate> x) : gate_(std::move(x)) {}
    place(place&&) noexcept = default;
    place& operator=(place&& other) noexcept;
    ~place() { leave(); }

    void leave();
    void lend();
    /// Takes it back, even if one too many runs then for a moment.
    void resume();

  private:
    std::shared_ptr<gate> gate_;
    bool lent_ = false;
  };
  using start = std::function<void(place)>;

  gate(std::size_t running, std::size_t waiting)
    : limit_(running), queue_(waiting) {}

  std::size_t limit() const noexcept { return limit_; }

  /// Calls `f`, now or when its turn comes. 0: it was refused. Else a number
  /// that `give_up` takes.
  std::uint64_t enter(start f);
  /// Whoever waits under `number` waits no longer; false if it has begun.
  bool give_up(std::uint64_t number);
  std::size_t waiting() const;

private:
  struct entry {
    std::uint64_t number;
    start begin;
  };

  void leave();
  void take() { // without a limit
    std::lock_guard guard{mutex_};
    ++running_;
  }

  const std::size_t limit_;
  const std::size_t queue_;
  mutable std::mutex mutex_;
  std::size_t running_ = 0;
  std::uint64_t next_ = 1;
  std::deque<entry> waiting_;
};

} // namespace hornbeam::actors
