#include "runtime/net/event_loop.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/base/fork.hpp"
#include "runtime/base/log.hpp"
#include "runtime/call/caller.hpp"
#include "runtime/call/service.hpp"

namespace hornbeam::runtime {

namespace {

namespace asio = boost::asio;

/// How long the own thread stands aside at a time, and how often while one
/// caller leads.
constexpr std::chrono::microseconds nap{500};
constexpr int naps = 20;
/// How long casts wait for each other.
constexpr std::chrono::microseconds moment{150};
/// Handlers after which a thread that has something else to do leaves the rest
/// to the loop's own.
constexpr int helping_turns = 16;
/// Waits in which nobody leads after several threads have waited at once: with
/// many, the own thread reads for all of them.
constexpr int contended_waits = 100;
/// Nobody sleeps longer at a stretch: whoever closes the descriptors of this
/// process under us makes every wait end at once, and this much is the most
/// that it costs until it is seen.
constexpr std::chrono::seconds longest_sleep{1};

thread_local event_loop* turned = nullptr;    ///< by this thread
thread_local const event_loop* led = nullptr; ///< by this thread
thread_local int send_now_scopes = 0;         ///< scopes of this thread
thread_local int batch_sends_scopes = 0;      //
thread_local event_loop* own_loop = nullptr;
/// Where this thread has deferred something.
thread_local std::vector<std::weak_ptr<event_loop>> unsettled;

std::mutex loops_mutex;

/// With `loops_mutex`. Never destroyed: the threads of a node that was left
/// behind may ask while the program ends.
auto& loops() {
  static auto* all = new std::set<event_loop*>;
  return *all;
}

/// The loops that stand still until a fork is over.
std::vector<event_loop*>& held_at_fork() {
  static auto* all = new std::vector<event_loop*>;
  return *all;
}

// OpenSSL has locks of its own: a child in which a thread of the parent held
// one would wait for ever. So no loop is in the middle of something at a fork,
// unless that takes long: it may wait for what is locked already.
void hold_loops() {
  loops_mutex.lock();
  auto until = clock::now() + std::chrono::milliseconds(200);
  for (auto* loop : loops()) {
    if (loop->hold(until))
      held_at_fork().push_back(loop);
    loop->note_descriptors();
  }
}

void let_go_of_loops() {
  for (auto* loop : held_at_fork())
    loop->let_go();
  held_at_fork().clear();
  loops_mutex.unlock();
}

[[maybe_unused]] const int held_around_forks
  = at_fork(fork_stage::event_loops, {hold_loops, let_go_of_loops, [] {
                                        let_go_of_loops();
                                        loops().clear(); // the parent's
                                      }});

/// Runs what must not end the thread.
template <class F>
void fenced(F& f) noexcept {
  try {
    f();
  } catch (...) {
    log::say(log::level::error, "link", "",
             "in the loop of sockets: " + current_failure().message);
  }
}

/// What the epoll instance that watches `marker` watches, and itself.
std::set<int> watched_with(int marker) {
  std::error_code ignored;
  for (auto& entry :
       std::filesystem::directory_iterator("/proc/self/fdinfo", ignored)) {
    std::set<int> all;
    std::ifstream info{entry.path()};
    for (std::string word; info >> word;)
      if (int fd = -1; word == "tfd:" && info >> fd)
        all.insert(fd);
    if (!all.contains(marker))
      continue;
    all.insert(std::atoi(entry.path().filename().c_str()));
    return all;
  }
  return {};
}

} // namespace

/// All that is Asio's.
struct event_loop::reactor {
  reactor() : marker(context), moment(context) {
    auto fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
      throw std::system_error(errno, std::generic_category());
    marker.assign(fd);
  }

  asio::io_context context{1}; ///< threads take turns, never two at once
  asio::executor_work_guard<asio::io_context::executor_type> work{
    context.get_executor()};
  asio::posix::stream_descriptor marker; ///< by it the descriptors are found
  asio::steady_timer moment;
  std::mutex mutex; ///< guards what follows
  std::vector<std::function<void()>> posted;
  bool closed = false;
  // Those that live, for the end: they may go in any thread.
  std::set<watched_descriptor::state*> descriptors;
  std::set<loop_timer::state*> timers;

  template <class T>
  void add(std::set<T*>& to, T* x) {
    std::lock_guard guard{mutex};
    to.insert(x);
  }
  template <class T>
  void remove(std::set<T*>& from, T* x) {
    std::lock_guard guard{mutex};
    from.erase(x);
  }
  template <class T>
  std::vector<std::shared_ptr<T>> living(const std::set<T*>& all) {
    std::vector<std::shared_ptr<T>> out;
    std::lock_guard guard{mutex};
    for (auto* x : all)
      if (auto one = x->weak_from_this().lock())
        out.push_back(std::move(one));
    return out;
  }

  /// What was posted until now.
  void run_posted() {
    std::vector<std::function<void()>> now;
    {
      std::lock_guard guard{mutex};
      now.swap(posted);
    }
    for (auto& f : now)
      fenced(f);
  }
};

struct watched_descriptor::state
  : std::enable_shared_from_this<watched_descriptor::state> {
  state(std::shared_ptr<event_loop> l, int fd)
    : loop(std::move(l)), socket(loop->reactor_->context) {
    try {
      socket.assign(fd);
    } catch (...) {
      ::close(fd);
      throw;
    }
    loop->reactor_->add(loop->reactor_->descriptors, this);
  }
  ~state() { loop->reactor_->remove(loop->reactor_->descriptors, this); }

  void arm(asio::posix::stream_descriptor::wait_type what,
           std::function<void()>& f, bool& armed) {
    if (closed || std::exchange(armed, true))
      return;
    socket.async_wait(what, [self = shared_from_this(), &f,
                             &armed](const boost::system::error_code& e) {
      armed = false;
      if (self->closed || e == asio::error::operation_aborted)
        return;
      self->running = true;
      fenced(f);
      self->running = false;
      if (self->closed)
        self->readable = self->writable = nullptr;
    });
  }

  /// Returns the descriptor that it had if it is to stay open, else -1.
  int close(bool keep_open = false) {
    if (closed.exchange(true))
      return -1;
    int out = -1;
    boost::system::error_code ignored;
    if (keep_open)
      out = socket.release();
    else
      socket.close(ignored);
    if (!running)
      readable = writable = nullptr;
    return out;
  }

  const std::shared_ptr<event_loop> loop;
  asio::posix::stream_descriptor socket;
  std::function<void()> readable;
  std::function<void()> writable;
  bool reading = false; ///< armed
  bool writing = false; //
  bool running = false; ///< one of the handlers
  /// Once, also when a loop is stopped in one thread and its users go in
  /// another.
  std::atomic<bool> closed{false};
};

struct loop_timer::state : std::enable_shared_from_this<loop_timer::state> {
  explicit state(std::shared_ptr<event_loop> l)
    : loop(std::move(l)), timer(loop->reactor_->context) {
    loop->reactor_->add(loop->reactor_->timers, this);
  }
  ~state() { loop->reactor_->remove(loop->reactor_->timers, this); }

  void cancel() {
    ++number;
    auto self = shared_from_this(); // what is dropped may hold the last share
    auto dropped = std::exchange(f, nullptr);
    boost::system::error_code ignored;
    timer.cancel(ignored);
  }

  const std::shared_ptr<event_loop> loop;
  asio::steady_timer timer;
  std::function<void()> f;
  std::uint64_t number = 0; ///< of what is to run
};

/// With `running_`.
class event_loop::turning {
public:
  explicit turning(event_loop& x) : x_(x) {
    std::lock_guard pass{x.entrance_};
    if (!x.running_.try_lock()) {
      x.interrupt();
      x.running_.lock();
    }
    turned = &x;
  }
  ~turning() {
    turned = nullptr;
    x_.running_.unlock();
  }
  turning(const turning&) = delete;
  turning& operator=(const turning&) = delete;

private:
  event_loop& x_;
};

event_loop::event_loop()
  : reactor_(std::make_unique<reactor>()),
    scratch_(std::make_unique_for_overwrite<char[]>(scratch_size)) {}

std::shared_ptr<event_loop> event_loop::start() {
  std::shared_ptr<event_loop> self;
  try {
    self.reset(new event_loop);
    self->thread_ = std::thread([x = self.get()] { x->run(); });
  } catch (const std::system_error& e) {
    throw std::runtime_error("a node can't start its loop of sockets: "
                             + e.code().message());
  }
  std::lock_guard guard{loops_mutex};
  loops().insert(self.get());
  return self;
}

event_loop::~event_loop() {
  {
    std::lock_guard guard{loops_mutex};
    loops().erase(this);
  }
  if (!thread_.joinable())
    return;
  if (created_in_ != fork_generation() || own_loop == this)
    thread_.detach(); // in a forked child it isn't there
  else
    stop();
}

void event_loop::post(std::function<void()> f) {
  auto& r = *reactor_;
  bool first = false;
  {
    std::lock_guard guard{r.mutex};
    if (r.closed)
      return;
    first = r.posted.empty();
    r.posted.push_back(std::move(f));
  }
  if (first)
    asio::post(r.context, [&r] { r.run_posted(); });
  if (napping_ && !leading_)
    unpark();
}

void event_loop::interrupt() {
  asio::post(reactor_->context, [] {});
}

bool event_loop::inside() const noexcept {
  return turned == this;
}

bool event_loop::run_one(clock::time_point until) {
  bool ran = false;
  auto one = [&] {
    auto& context = reactor_->context;
    ran = true; // also what raises
    ran
      = until == clock::time_point::min()
          ? context.poll_one() > 0
          : context.run_one_until(std::min(until, clock::now() + longest_sleep))
              > 0;
  };
  fenced(one);
  return ran;
}

bool event_loop::turn(clock::time_point until) {
  caller_scope nobody{{}}; // what comes in is not the caller's doing
  // The own thread leaves it to those who have their turn, for a moment.
  if (own_loop != this || due_ || !wakeup_baton::get().active())
    run_deferred();
  for (int i = 0; i < helping_turns; ++i)
    if (!run_one(i == 0 ? until : clock::time_point::min()))
      return false;
  return true;
}

event_loop::send_now_scope::send_now_scope() {
  ++send_now_scopes;
}

event_loop::send_now_scope::~send_now_scope() {
  --send_now_scopes;
}

bool event_loop::send_now_scope::here() noexcept {
  return send_now_scopes > 0;
}

void event_loop::look_for_descriptors() {
  if (::fcntl(reactor_->marker.native_handle(), F_GETFD) < 0)
    stopped_ = true; // somebody has closed all: no wait would wait any more
}

void event_loop::run() {
  own_loop = this;
  while (!stopped_) {
    park();
    own_inside_ = true; // before the look: who leads looks the other way round
    if (!leading_ && !stopped_) {
      batch_waker many;
      turning here{*this};
      wake_soon();
      if (!stopped_)
        turn(clock::time_point::max());
      look_for_descriptors();
    }
    own_inside_ = false;
    if (due_)
      run_deferred();
    if (clock::now() >= soon_at_)
      run_soon();
    if (!hurries_ && wakeup_baton::get().active()) {
      hurries_ = true;
      in_a_moment(
        [this] { return hurries_ = wakeup_baton::get().revoke_if_overdue(); });
    }
  }
}

bool event_loop::hold(clock::time_point until) {
  if (inside() || led == this) // this thread runs it
    return false;
  auto lock = [until](std::mutex& x) {
    while (!x.try_lock()) {
      if (clock::now() >= until)
        return false;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    return true;
  };
  if (!lock(entrance_))
    return false;
  interrupt();
  if (lock(running_))
    return true;
  entrance_.unlock();
  return false;
}

void event_loop::let_go() {
  running_.unlock();
  entrance_.unlock();
}

event_loop* event_loop::own() noexcept {
  return own_loop;
}

void event_loop::in_a_moment(std::function<bool()> f) {
  if (soon_.empty()) {
    soon_at_ = clock::now() + moment;
    if (inside())
      wake_soon();
  }
  soon_.push_back(std::move(f));
  looking_ = true;
}

void event_loop::wake_soon() {
  if (soon_at_ == clock::time_point::max() || soon_at_ == wakes_at_)
    return;
  wakes_at_ = soon_at_;
  reactor_->moment.expires_at(soon_at_);
  reactor_->moment.async_wait([](const boost::system::error_code&) {});
}

void event_loop::run_soon() {
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
  if (due_)
    run_deferred();
}

event_loop::batch_sends_scope::batch_sends_scope() {
  ++batch_sends_scopes;
}

event_loop::batch_sends_scope::~batch_sends_scope() {
  --batch_sends_scopes;
}

bool event_loop::defer(std::function<void()> f) {
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
    // This thread may hold locks that those take.
    due_ = true;
    unpark();
  } else if (std::none_of(unsettled.begin(), unsettled.end(),
                          [&](auto& x) { return x.lock().get() == this; })) {
    unsettled.push_back(weak_from_this());
  }
  return true;
}

void event_loop::run_deferred() {
  due_ = false;
  if (!has_deferred_)
    return;
  std::unique_lock lock{deferred_mutex_};
  has_deferred_ = false;
  ++runs_;
  auto all = std::exchange(deferred_, {});
  lock.unlock();
  for (auto& f : all)
    fenced(f);
}

void event_loop::flush_deferred() {
  for (auto& x : std::exchange(unsettled, {}))
    if (auto loop = x.lock())
      loop->run_deferred();
}

void event_loop::park() {
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

void event_loop::unpark() {
  {
    std::lock_guard guard{mutex_};
    called_ = true;
  }
  changed_.notify_one();
  if (own_inside_)
    interrupt();
}

void event_loop::wait(waitable& at, clock::time_point until) {
  if (waiting_.fetch_add(1) > 0)
    contended_waits_ = contended_waits;
  bool crowded = contended_waits_ > 0;
  if (crowded)
    --contended_waits_;
  bool in_turn = crowded && baton_waiter::here();
  if (!in_turn || !wakeup_baton::get().has_waiting())
    run_deferred(); // nobody else does it next
  if (!crowded && turned == nullptr && !stopped_ && !leading_.exchange(true)) {
    bool call = lead(at, until);
    {
      std::lock_guard guard{mutex_};
      leading_ = false;
      ++led_;
      call |= deep_;
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

bool event_loop::lead(waitable& at, clock::time_point until) {
  led = this;
  wakeup_baton::pass();
  at.watch(true);
  bool more = false;
  while (!at.ready() && !stopped_) {
    turning here{*this};
    if (at.ready() || stopped_)
      break;
    more = turn(until);
    if (clock::now() >= until)
      break;
    if (!more && !at.ready())
      look_for_descriptors();
  }
  at.watch(false);
  led = nullptr;
  return more;
}

void event_loop::wake() {
  if (led != this) // else it looks by itself
    interrupt();
}

void event_loop::stop() {
  stopped_ = true;
  unpark();
  interrupt();
  if (thread_.joinable())
    thread_.join();
  while (leading_) {
    interrupt();
    std::this_thread::yield();
  }
  turning here{*this};
  {
    std::lock_guard guard{deferred_mutex_};
    deferred_.clear();
  }
  auto& r = *reactor_;
  std::vector<std::function<void()>> dropped;
  {
    std::lock_guard guard{r.mutex};
    r.closed = true;
    dropped.swap(r.posted);
  }
  dropped.clear();
  for (auto& x : r.living(r.timers))
    x->cancel();
  for (auto& x : r.living(r.descriptors))
    x->close();
  // Asio still has to hand over that they are cancelled.
  while (run_one(clock::time_point::min())) {
  }
}

void event_loop::note_descriptors() {
  std::set<int> sockets;
  {
    std::lock_guard guard{reactor_->mutex};
    for (auto* x : reactor_->descriptors)
      if (auto fd = x->closed ? -1 : x->socket.native_handle(); fd >= 0)
        sockets.insert(fd);
  }
  // Asio's own are found once, before a child can hold what is closed here.
  if (own_descriptors_.empty()) {
    auto marker = reactor_->marker.native_handle();
    own_descriptors_ = watched_with(marker);
    own_descriptors_.insert(marker);
    for (auto fd : sockets)
      own_descriptors_.erase(fd);
  }
  at_fork_ = std::move(sockets);
  at_fork_.insert(own_descriptors_.begin(), own_descriptors_.end());
}

void event_loop::close_descriptors_after_fork() noexcept {
  if (stopped_) // the numbers may be somebody else's by now
    return;
  // As they were at the fork: the two share what epoll tells, and the parent
  // opens others, of numbers that are something else here.
  for (auto fd : at_fork_)
    ::close(fd);
}

watched_descriptor::watched_descriptor(std::shared_ptr<event_loop> loop, int fd)
  : state_(std::make_shared<state>(std::move(loop), fd)) {}

watched_descriptor::~watched_descriptor() {
  state_->close();
}

int watched_descriptor::fd() const noexcept {
  return state_->closed ? -1 : state_->socket.native_handle();
}

void watched_descriptor::on_readable(std::function<void()> f) {
  state_->readable = std::move(f);
}

void watched_descriptor::on_writable(std::function<void()> f) {
  state_->writable = std::move(f);
}

void watched_descriptor::arm_readable() {
  state_->arm(asio::posix::stream_descriptor::wait_read, state_->readable,
              state_->reading);
}

void watched_descriptor::arm_writable() {
  state_->arm(asio::posix::stream_descriptor::wait_write, state_->writable,
              state_->writing);
}

void watched_descriptor::close() {
  state_->close();
}

int watched_descriptor::release() {
  return state_->close(true);
}

loop_timer::loop_timer(const std::shared_ptr<event_loop>& loop)
  : state_(std::make_shared<state>(loop)) {}

loop_timer::~loop_timer() {
  if (state_->loop->inside())
    state_->cancel();
  else // whose it was may go in any thread
    state_->loop->post([s = state_] { s->cancel(); });
}

void loop_timer::after(std::chrono::milliseconds ms, std::function<void()> f) {
  state_->cancel();
  state_->f = std::move(f);
  state_->timer.expires_after(ms);
  state_->timer.async_wait(
    [s = state_, number = state_->number](const boost::system::error_code& e) {
      if (e || number != s->number)
        return;
      auto run = std::exchange(s->f, nullptr);
      fenced(run);
    });
}

void loop_timer::cancel() {
  state_->cancel();
}

} // namespace hornbeam::runtime
