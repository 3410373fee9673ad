#include "runtime/caf/io_loop.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <caf/io/network/default_multiplexer.hpp>

#include "runtime/base/fork.hpp"
#include "runtime/caf/caf.hpp"
#include "runtime/call/caller.hpp"

namespace hornbeam::runtime {

namespace {

using multiplexer = caf::io::network::default_multiplexer;

/// How long the own thread stands aside at a time, and how often while one
/// caller leads.
constexpr std::chrono::microseconds nap{500};
constexpr int naps = 20;
/// How long casts wait for each other.
constexpr std::chrono::microseconds moment{150};
/// Turns after which a thread that has something else to do leaves the rest to
/// the loop's own.
constexpr int helping_turns = 16;

/// Waits in which nobody leads after several threads have waited at once: with
/// many, the own thread reads for all of them.
constexpr int contended_waits = 100;

thread_local bool inside = false;          ///< this thread turns a loop
thread_local const io_loop* led = nullptr; ///< by this thread
thread_local int may_run_loop_scopes = 0;  ///< scopes of this thread
thread_local int batch_sends_scopes = 0;   //
thread_local io_loop* own_loop = nullptr;
/// Where this thread has deferred something.
thread_local std::vector<std::weak_ptr<io_loop>> unsettled;

multiplexer& sockets_of(caf::actor_system& sys) {
  return dynamic_cast<multiplexer&>(sys.middleman().backend());
}

// CAF keeps its epoll instance, its pipe and what it has still to do to itself.
// An explicit instantiation may name private members: that opens just these.
using posted = std::vector<caf::intrusive_ptr<caf::resumable>>;
using changes = std::vector<multiplexer::event>;
int epoll_of(const multiplexer& x);
std::pair<int, int> pipe_of(const multiplexer& x);
posted& posted_in(multiplexer& x);
const changes& changes_in(const multiplexer& x);
template <auto Epoll, auto Pipe, auto Posted, auto Changes>
struct opened {
  friend int epoll_of(const multiplexer& x) { return x.*Epoll; }
  friend std::pair<int, int> pipe_of(const multiplexer& x) { return x.*Pipe; }
  friend posted& posted_in(multiplexer& x) { return x.*Posted; }
  friend const changes& changes_in(const multiplexer& x) { return x.*Changes; }
};
template struct opened<&multiplexer::epollfd_, &multiplexer::pipe_,
                       &multiplexer::internally_posted_, &multiplexer::events_>;

/// Runs what is posted inside, `turns` times at the most.
void run_posted(multiplexer& x, int turns) {
  posted now;
  for (int i = 0; i < turns && !posted_in(x).empty(); ++i) {
    now.swap(posted_in(x));
    for (auto& job : now)
      x.resume(std::move(job));
    now.clear();
  }
}

/// Writes at once what is to be written when a socket can be: nearly always it
/// can, and CAF asks the kernel three times before it tries.
void write_at_once(multiplexer& x) {
  namespace net = caf::io::network;
  auto wants_to_write = [](const multiplexer::event& e) {
    return e.ptr != nullptr && (e.mask & net::output_mask) != 0
           && (e.ptr->eventbf() & net::output_mask) == 0;
  };
  std::vector<net::event_handler*> tried;
  for (;;) {
    auto i = std::find_if(
      changes_in(x).begin(), changes_in(x).end(), [&](const auto& e) {
        return wants_to_write(e)
               && std::find(tried.begin(), tried.end(), e.ptr) == tried.end();
      });
    if (i == changes_in(x).end())
      return;
    auto* socket = i->ptr;
    tried.push_back(socket);
    socket->handle_event(net::operation::write);
    // Done, and so it never comes into the loop: it must hear that it is out.
    if (std::none_of(
          changes_in(x).begin(), changes_in(x).end(),
          [&](const auto& e) { return e.ptr == socket && wants_to_write(e); }))
      socket->removed_from_loop(net::operation::write);
  }
}

/// This thread is CAF's thread for a while. With `running_`.
class visit {
public:
  explicit visit(multiplexer& x) : x_(x), was_inside_(inside) {
    inside = true;
    x_.thread_id(std::this_thread::get_id());
  }
  ~visit() {
    x_.thread_id({});
    inside = was_inside_;
    // Whoever spawns gets a share in the logger of the system, which must not
    // outlive the visit: CAF ends only when nobody else has one.
    if (!had_logger_)
      caf::logger::set_current_actor_system(nullptr);
  }
  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;

private:
  multiplexer& x_;
  const bool was_inside_;
  const bool had_logger_ = caf::logger::current_logger() != nullptr;
};

std::mutex loops_mutex;

/// With `loops_mutex`. Never destroyed: the threads of a node that was left
/// behind may ask while the program ends.
auto& loops() {
  static auto* all
    = new std::map<const caf::actor_system*, std::weak_ptr<io_loop>>;
  return *all;
}

/// The loops that stand still until a fork is over.
std::vector<std::shared_ptr<io_loop>>& held_at_fork() {
  static auto* all = new std::vector<std::shared_ptr<io_loop>>;
  return *all;
}

// OpenSSL has locks of its own: a child in which a thread of the parent held
// one would wait for ever. So no loop is in the middle of something at a fork,
// unless that takes long: it may wait for what is locked already.
void hold_loops() {
  loops_mutex.lock();
  auto until = clock::now() + std::chrono::milliseconds(200);
  for (auto& [system, known] : loops())
    if (auto loop = known.lock(); loop && loop->hold(until))
      held_at_fork().push_back(std::move(loop));
}

void let_go_of_loops() {
  for (auto& loop : held_at_fork())
    loop->let_go();
  held_at_fork().clear();
  loops_mutex.unlock();
}

[[maybe_unused]] const int held_around_forks = at_fork(
  fork_stage::event_loops, {hold_loops, let_go_of_loops, let_go_of_loops});

void set_event(int fd) {
  std::uint64_t one = 1;
  static_cast<void>(!::write(fd, &one, sizeof one));
}

void clear_event(int fd) {
  std::uint64_t n = 0;
  static_cast<void>(!::read(fd, &n, sizeof n));
}

} // namespace

io_loop::io_loop(caf::actor_system& sys)
  : system_(sys),
    epoll_(epoll_of(sockets_of(sys))),
    pipe_(pipe_of(sockets_of(sys))),
    call_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
    lead_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (call_event_ < 0 || lead_event_ < 0)
    throw std::runtime_error("no more file descriptors for a node");
}

std::shared_ptr<io_loop> io_loop::start(caf::actor_system& sys) {
  std::shared_ptr<io_loop> self{new io_loop(sys)};
  {
    std::lock_guard guard{loops_mutex};
    loops()[&sys] = self;
  }
  self->thread_ = std::thread([x = self.get()] { x->run(); });
  return self;
}

std::shared_ptr<io_loop> io_loop::of(const caf::actor_system& sys) {
  std::lock_guard guard{loops_mutex};
  auto i = loops().find(&sys);
  return i != loops().end() ? i->second.lock() : nullptr;
}

io_loop::~io_loop() {
  ::close(call_event_);
  ::close(lead_event_);
}

bool io_loop::turn(int turns, bool look) {
  caller_scope nobody{{}}; // what comes in is not the caller's doing
  auto& x = sockets_of(system_);
  visit here{x};
  // The own thread leaves it to those who have their turn, for a moment.
  if (own_loop != this || due_ || !wakeup_baton::get().active())
    run_deferred();
  run_posted(x, turns);
  write_at_once(x);
  x.handle_internal_events();
  if (look && posted_in(x).empty() && x.poll_once(false)) {
    run_posted(x, turns);
    write_at_once(x);
    x.handle_internal_events();
  }
  // What is left in the sockets wakes whoever waits for them; what is posted
  // inside wakes nobody.
  bool more = !posted_in(x).empty();
  undone_ = more;
  return more;
}

io_loop::may_run_loop_scope::may_run_loop_scope() {
  ++may_run_loop_scopes;
}

io_loop::may_run_loop_scope::~may_run_loop_scope() {
  --may_run_loop_scopes;
}

bool io_loop::may_run_loop_scope::here() noexcept {
  return may_run_loop_scopes > 0;
}

bool io_loop::try_run(const std::function<void()>& f) {
  if (inside || !running_.try_lock())
    return false;
  std::unique_lock lock{running_, std::adopt_lock};
  if (stopped_)
    return false;
  bool more = false;
  {
    visit here{sockets_of(system_)};
    f();
    more = turn(helping_turns, false);
  }
  lock.unlock();
  if (more)
    unpark();
  return true;
}

void io_loop::watch(int event, clock::time_point until) {
  pollfd fds[2] = {{epoll_, POLLIN, 0}, {event, POLLIN, 0}};
  if (until == clock::time_point::max()) {
    ::ppoll(fds, 2, nullptr, nullptr);
  } else {
    auto left = std::max(until - clock::now(), clock::duration::zero());
    auto s = std::chrono::duration_cast<std::chrono::seconds>(left);
    timespec at{s.count(), (left - s).count()};
    ::ppoll(fds, 2, &at, nullptr);
  }
  if (fds[1].revents != 0)
    clear_event(event);
  // A child that is about to run another program closes what it finds.
  if ((fds[0].revents & POLLNVAL) != 0)
    stopped_ = true;
}

void io_loop::run() {
  own_loop = this;
  while (!stopped_) {
    // Else the leader sees to it; but what is undone does not wake it.
    if (!leading_ || undone_ || due_) {
      batch_waker many;
      std::lock_guard lock{running_};
      while (!stopped_ && turn(helping_turns, true)) {
      }
    }
    if (!hurries_ && wakeup_baton::get().active()) {
      hurries_ = true;
      in_a_moment(
        [this] { return hurries_ = wakeup_baton::get().revoke_if_overdue(); });
    }
    park();
    if (due_)
      continue;
    watch(call_event_, soon_at_);
    if (clock::now() >= soon_at_)
      run_soon();
  }
}

bool io_loop::hold(clock::time_point until) {
  if (inside || led == this) // this thread runs it
    return false;
  while (!running_.try_lock()) {
    if (clock::now() >= until)
      return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

void io_loop::let_go() {
  running_.unlock();
}

io_loop* io_loop::own() noexcept {
  return own_loop;
}

void io_loop::in_a_moment(std::function<bool()> f) {
  if (soon_.empty())
    soon_at_ = clock::now() + moment;
  soon_.push_back(std::move(f));
  looking_ = true;
}

void io_loop::run_soon() {
  // What nobody has run since the last time.
  due_ = has_deferred_ && runs_ == seen_runs_;
  seen_runs_ = runs_;
  soon_at_ = clock::time_point::max();
  for (auto& f : std::exchange(soon_, {}))
    if (f())
      in_a_moment(std::move(f));
  // Whoever defers something asks whether it looks before and afterwards.
  looking_ = !soon_.empty();
  if (!looking_ && has_deferred_)
    due_ = true;
}

io_loop::batch_sends_scope::batch_sends_scope() {
  ++batch_sends_scopes;
}

io_loop::batch_sends_scope::~batch_sends_scope() {
  --batch_sends_scopes;
}

bool io_loop::defer(std::function<void()> f) {
  if (batch_sends_scopes == 0 || !looks())
    return false;
  {
    std::lock_guard guard{deferred_mutex_};
    if (stopped_)
      return false;
    deferred_.push_back(std::move(f));
    has_deferred_ = true;
  }
  if (!looks()) {
    // This thread may hold locks that the loop would take.
    due_ = true;
    unpark();
  } else if (std::none_of(unsettled.begin(), unsettled.end(),
                          [&](auto& x) { return x.lock().get() == this; })) {
    unsettled.push_back(weak_from_this());
  }
  return true;
}

void io_loop::run_deferred() {
  due_ = false;
  if (!has_deferred_)
    return;
  std::unique_lock lock{deferred_mutex_};
  has_deferred_ = false;
  ++runs_;
  auto all = std::exchange(deferred_, {});
  lock.unlock();
  for (auto& f : all)
    f();
}

void io_loop::turn_deferred() {
  if (has_deferred_ && !try_run([] {})) {
    due_ = true;
    unpark();
  }
}

void io_loop::flush_deferred() {
  for (auto& x : std::exchange(unsettled, {}))
    if (auto loop = x.lock())
      loop->turn_deferred();
}

void io_loop::park() {
  std::unique_lock lock{mutex_};
  auto called = [&] { return called_ || stopped_ || clock::now() >= soon_at_; };
  for (int i = 0; !called() && (leading_ || led_ != seen_); ++i) {
    if (led_ != seen_)
      i = 0;
    seen_ = led_;
    if (i < naps || looking_) {
      napping_ = true;
      changed_.wait_until(lock, std::min(soon_at_, clock::now() + nap), called);
      napping_ = false;
      if (has_deferred_) {
        due_ = true;
        break;
      }
    } else {
      deep_ = true;
      changed_.wait(lock, called);
    }
  }
  deep_ = false;
  called_ = false;
}

void io_loop::unpark() {
  {
    std::lock_guard guard{mutex_};
    called_ = true;
  }
  changed_.notify_one();
  set_event(call_event_);
}

void io_loop::wait(waitable& at, clock::time_point until) {
  if (waiting_.fetch_add(1) > 0)
    contended_waits_ = contended_waits;
  bool crowded = contended_waits_ > 0;
  if (crowded)
    --contended_waits_;
  bool in_turn = crowded && baton_waiter::here();
  if (!in_turn || !wakeup_baton::get().has_waiting())
    turn_deferred(); // nobody else does it next
  if (!crowded && !inside && !stopped_ && !leading_.exchange(true)) {
    lead(at, until);
    bool call = false;
    {
      std::lock_guard guard{mutex_};
      leading_ = false;
      ++led_;
      call = deep_;
    }
    if (call || waiting_ > 1)
      unpark();
  }
  if (in_turn)
    at.wait_for_baton(until);
  else
    at.wait_alone(until);
  --waiting_;
}

void io_loop::lead(waitable& at, clock::time_point until) {
  led = this;
  wakeup_baton::pass();
  at.watch(true);
  bool more = false;
  while (!at.ready() && !stopped_) {
    if (!more)
      watch(lead_event_, until);
    std::lock_guard lock{running_};
    if (!stopped_)
      more = turn(helping_turns, true);
    if (clock::now() >= until)
      break;
  }
  at.watch(false);
  led = nullptr;
  if (more)
    unpark();
}

void io_loop::wake() {
  if (led != this) // else it looks by itself
    set_event(lead_event_);
}

void io_loop::stop() {
  stopped_ = true;
  unpark();
  set_event(lead_event_);
  thread_.join();
  while (leading_)
    std::this_thread::yield();
  std::lock_guard lock{running_};
  {
    std::lock_guard guard{deferred_mutex_};
    deferred_.clear();
  }
  sockets_of(system_).thread_id(std::this_thread::get_id());
  std::lock_guard guard{loops_mutex};
  loops().erase(&system_);
}

void io_loop::close_descriptors_after_fork() noexcept {
  if (stopped_) // the numbers may be somebody else's by now
    return;
  // CAF's sockets, and the reading end of its pipe, are what its epoll
  // instance watches.
  std::ifstream info{"/proc/self/fdinfo/" + std::to_string(epoll_)};
  std::set<int> all{epoll_, pipe_.first, pipe_.second, call_event_,
                    lead_event_};
  for (std::string word; info >> word;)
    if (int fd = -1; word == "tfd:" && info >> fd)
      all.insert(fd);
  info.close();
  for (auto fd : all)
    ::close(fd);
  call_event_ = lead_event_ = -1;
}

} // namespace hornbeam::runtime
