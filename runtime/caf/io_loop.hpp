#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <caf/fwd.hpp>

#include "runtime/call/reply.hpp"

namespace hornbeam::runtime {

/// Turns the event loop of a CAF system's middleman. Nearly all of a call to
/// another node is threads that wake each other, so the loop is not bound to
/// one: it has a thread of its own, but a caller sends its request itself if
/// nobody else is at it (`try_run`), and the only one that waits for an answer
/// waits for the sockets and reads the answer itself (it leads). The loop's own
/// thread stands aside meanwhile, and for a moment after, as the next call may
/// follow; it is called back at once when others wait.
///
/// What always holds: one thread at a time is inside CAF's loop; whoever leaves
/// it with something undone, or while others wait, has called the loop's own
/// thread; and that thread stands aside for a fraction of a millisecond at the
/// most when nobody leads.
class io_loop : public wait_helper,
                public std::enable_shared_from_this<io_loop> {
public:
  /// The loop of `sys`, which must be set to be turned by hand.
  static std::shared_ptr<io_loop> start(caf::actor_system& sys);
  /// The loop that was started for `sys`; none after its end.
  static std::shared_ptr<io_loop> of(const caf::actor_system& sys);
  ~io_loop() override;

  /// Runs `f` in the loop, and what follows from it, in this thread. False, and
  /// nothing was done, if some thread is in the loop, perhaps this one.
  bool try_run(const std::function<void()>& f);

  /// The loop whose own thread this is, or none.
  static io_loop* own() noexcept;
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
  /// Has `f` run in the loop by whoever turns it next, in a moment at the
  /// latest. False if this thread isn't patient, or if the own thread is not
  /// about to look.
  bool defer(std::function<void()> f);
  /// Turns every loop to which this thread has deferred something.
  static void flush_deferred();

  /// Something was posted from outside: if nobody waits for it, the loop's own
  /// thread does from now on.
  void ensure_polling() {
    if (napping_ && !leading_)
      unpark();
  }

  /// Around the answers of a thread that holds no lock, and so may run a loop.
  class may_run_loop_scope {
  public:
    may_run_loop_scope();
    ~may_run_loop_scope();
    may_run_loop_scope(const may_run_loop_scope&) = delete;
    may_run_loop_scope& operator=(const may_run_loop_scope&) = delete;
    static bool here() noexcept;
  };

  void wait(waitable& at, clock::time_point until) override;
  void wake() override;

  /// From here on the loop stands still; what remains is left to CAF's end,
  /// which must come from this thread.
  void stop();
  /// Around a fork: waits until no thread is in the middle of its work, and
  /// keeps all out. False if that takes too long, or this thread is.
  bool hold(clock::time_point until);
  void let_go();
  /// After a fork, in the child: closes all that the loop has in the parent.
  void close_descriptors_after_fork() noexcept;

private:
  explicit io_loop(caf::actor_system& sys);

  void run();
  void run_soon();
  void park();
  /// Waits for the sockets or one of our events.
  void watch(int event, clock::time_point until);
  void lead(waitable& at, clock::time_point until);
  /// Runs what is posted inside, and if `look` what the sockets have, then what
  /// that has posted. True if something is left inside. With `running_`.
  bool turn(int turns, bool look);
  /// Whether the own thread is going to look at what was deferred.
  bool looks() const noexcept { return looking_ || napping_; }
  void run_deferred();
  void turn_deferred();
  void unpark();

  caf::actor_system& system_;
  const int epoll_;
  const std::pair<int, int> pipe_;
  int call_event_ = -1; ///< wakes the loop's own thread
  int lead_event_ = -1; ///< wakes the leader
  std::thread thread_;
  std::mutex running_; ///< whoever holds it is the loop's thread
  std::atomic<bool> stopped_{false};
  std::atomic<int> waiting_{0}; ///< threads in `wait`
  std::atomic<bool> leading_{false};
  std::atomic<bool> undone_{false};     ///< something posted is left inside
  std::atomic<bool> napping_{false};    ///< the own thread, while nobody leads
  std::atomic<int> contended_waits_{0}; ///< waits to come in which nobody leads

  /// Of the own thread.
  std::vector<std::function<bool()>> soon_;
  clock::time_point soon_at_ = clock::time_point::max();
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

} // namespace hornbeam::runtime
