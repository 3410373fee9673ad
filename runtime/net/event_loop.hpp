#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "runtime/base/fork.hpp"
#include "runtime/call/reply.hpp"

namespace hornbeam::runtime {

/// The loop of a node's sockets and timers. Nearly all of a call to another
/// node is threads that wake each other, so the loop is not bound to one: it
/// has a thread of its own, but whoever is the only one that waits for an
/// answer waits for the sockets and reads the answer itself (it leads). The
/// loop's own thread stands aside meanwhile, and for a moment after, as the
/// next call may follow; it is called back at once when others wait.
///
/// What always holds: one thread at a time turns the loop, and all that runs in
/// it runs there; whoever leaves it with something undone, or while others
/// wait, has called the loop's own thread; and that thread stands aside for a
/// fraction of a millisecond at the most when nobody leads.
class event_loop : public wait_helper,
                   public std::enable_shared_from_this<event_loop> {
public:
  /// Raises `std::runtime_error` if there are no more descriptors or threads.
  static std::shared_ptr<event_loop> start();
  ~event_loop() override;

  /// Has `f` run in the loop by whoever turns it. Any thread. What is posted
  /// after the end is dropped.
  void post(std::function<void()> f);
  /// Whether this thread turns this loop now.
  bool inside() const noexcept;
  /// Room to read into, for a handler while it runs.
  std::span<char> scratch() noexcept { return {scratch_.get(), scratch_size}; }

  /// The loop whose own thread this is, or none.
  static event_loop* own() noexcept;
  /// Has the loop's own thread, which calls this, run `f` in a moment, and then
  /// again and again until it says false.
  void in_a_moment(std::function<bool()> f);

  /// Around work of a thread that is not the last of its kind, and so leaves it
  /// to another one to see to it that what it posts is sent.
  class batch_sends_scope {
  public:
    batch_sends_scope();
    ~batch_sends_scope();
    batch_sends_scope(const batch_sends_scope&) = delete;
    batch_sends_scope& operator=(const batch_sends_scope&) = delete;
  };
  /// Has `f` run by whoever turns the loop next, in a moment at the latest.
  /// False if this thread does not batch its sends, or the own one is not about
  /// to look.
  bool defer(std::function<void()> f);
  /// Runs what this thread has deferred, in any loop.
  static void flush_deferred();

  /// Around the answers of a thread that holds no lock, and so sends itself.
  class send_now_scope {
  public:
    send_now_scope();
    ~send_now_scope();
    send_now_scope(const send_now_scope&) = delete;
    send_now_scope& operator=(const send_now_scope&) = delete;
    static bool here() noexcept;
  };

  void wait(waitable& at, clock::time_point until) override;
  void wake() override;

  /// From here on the loop stands still, and what was posted is dropped. Not
  /// from inside.
  void stop();
  /// Around a fork: waits until no thread turns it, and keeps all out. False
  /// if that takes too long, or this thread does.
  bool hold(clock::time_point until);
  void let_go();
  /// Before a fork: what a child is to close.
  void note_descriptors();
  /// After a fork, in the child: closes all that the loop had in the parent.
  void close_descriptors_after_fork() noexcept;

private:
  friend class watched_descriptor;
  friend class loop_timer;
  class turning; ///< this thread turns the loop
  struct reactor;

  event_loop();

  void run();
  void run_soon();
  /// Sees to it that a wait inside ends when `soon_` is due: to the
  /// microsecond, where a wait itself ends to the millisecond.
  void wake_soon();
  void park();
  /// True if something may be left to do.
  bool lead(waitable& at, clock::time_point until);
  void look_for_descriptors();
  /// Waits until something is to be done, or `until` has passed, and does it.
  /// True if something may be left.
  bool turn(clock::time_point until);
  /// Runs one handler; waits for one until then. False: there was none.
  bool run_one(clock::time_point until);
  /// Brings back the thread that waits inside.
  void interrupt();
  /// Whether the own thread is going to look at what was deferred.
  bool looks() const noexcept { return looking_ || napping_; }
  void run_deferred();
  void unpark();

  const std::uint32_t created_in_ = fork_generation();
  static constexpr std::size_t scratch_size = std::size_t{128} << 10;

  const std::unique_ptr<reactor> reactor_;
  // Of whoever forks.
  std::set<int> own_descriptors_; ///< Asio's
  std::set<int> at_fork_;
  const std::unique_ptr<char[]> scratch_; ///< not touched before it is used
  std::thread thread_;
  std::mutex entrance_; ///< whoever wants to turn it passes here
  std::mutex running_;  ///< whoever holds it turns the loop
  std::atomic<bool> stopped_{false};
  std::atomic<int> waiting_{0}; ///< threads in `wait`
  std::atomic<bool> leading_{false};
  std::atomic<bool> own_inside_{false}; ///< the own thread is about to turn it
  std::atomic<bool> napping_{false};    ///< the own thread, while nobody leads
  std::atomic<int> contended_waits_{0}; ///< waits to come in which nobody leads

  /// Of the own thread.
  std::vector<std::function<bool()>> soon_;
  clock::time_point soon_at_ = clock::time_point::max();
  clock::time_point wakes_at_ = clock::time_point::max();
  std::atomic<bool> looking_{false}; ///< there is something in `soon_`
  bool hurries_ = false;             ///< it looks after `turns`

  std::mutex deferred_mutex_;
  std::vector<std::function<void()>> deferred_;
  std::atomic<bool> has_deferred_{false};
  std::atomic<bool> due_{false};       ///< and the moment has passed
  std::atomic<std::uint64_t> runs_{0}; ///< of what was deferred
  std::uint64_t seen_runs_ = 0;        ///< by the own thread

  std::mutex mutex_; ///< guards what follows
  std::condition_variable changed_;
  std::uint64_t led_ = 0;  ///< how often somebody has led
  std::uint64_t seen_ = 0; ///< of those, when the own thread last looked
  bool called_ = false;
  bool deep_ = false; ///< the own thread sleeps until it is called
};

/// A descriptor of a loop, which it closes at its end. To be used in the loop.
class watched_descriptor {
public:
  watched_descriptor(std::shared_ptr<event_loop> loop, int fd);
  ~watched_descriptor();
  watched_descriptor(const watched_descriptor&) = delete;
  watched_descriptor& operator=(const watched_descriptor&) = delete;

  /// -1 after `close`.
  int fd() const noexcept;
  /// Each handler runs once for each time that it is armed, never after
  /// `close`. It keeps what it refers to alive until then.
  void on_readable(std::function<void()> f);
  void on_writable(std::function<void()> f);
  void arm_readable();
  void arm_writable();
  void close();
  /// The same, but the descriptor stays open and is the caller's.
  int release();

private:
  friend class event_loop;
  struct state;
  std::shared_ptr<state> state_;
};

/// Runs something in a loop at its time. To be used in the loop.
class loop_timer {
public:
  explicit loop_timer(const std::shared_ptr<event_loop>& loop);
  ~loop_timer();
  loop_timer(const loop_timer&) = delete;
  loop_timer& operator=(const loop_timer&) = delete;

  /// Instead of what it was to run before.
  void after(std::chrono::milliseconds ms, std::function<void()> f);
  void cancel();

private:
  friend class event_loop;
  struct state;
  std::shared_ptr<state> state_;
};

} // namespace hornbeam::runtime
