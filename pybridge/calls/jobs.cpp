#include "pybridge/calls/jobs.hpp"

#include <utility>

#include "runtime/net/event_loop.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

/// Jobs that wake a thread each after one has had to wait for another.
constexpr int eager_jobs = 100;

thread_local bool runs_a_job = false;
thread_local bool answering = false; ///< on the way to its next job
/// What this thread has still to answer.
thread_local std::vector<std::function<void()>> answers;
/// The permits with which this thread runs something, the innermost last.
thread_local std::vector<std::shared_ptr<actors::run_permit>> held;

} // namespace

job_queue& job_queue::get() {
  static auto* one = new job_queue;
  return *one;
}

job_queue::waiter_ptr& job_queue::this_thread() {
  thread_local auto one = std::make_shared<waiter>();
  return one;
}

bool job_queue::has_one() const {
  return !jobs_.empty() && running_ < limit_;
}

namespace {

/// Answers a job that is not going to run.
void refuse(const job& x) {
  if (x.reply)
    (*x.reply)(not_begun());
  if (x.source && x.source->fresh())
    x.source->sink().fail(not_begun());
}

} // namespace

job job_queue::take() {
  auto x = std::move(jobs_.front());
  jobs_.pop_front();
  ++running_;
  ++begun_;
  return x;
}

void job_queue::give(lock_type lock) {
  std::vector<waiter_ptr> woken;
  while (has_one() && !idle_.empty()) {
    auto to = std::move(idle_.back());
    idle_.pop_back();
    to->given = take();
    woken.push_back(std::move(to));
  }
  lock.unlock(); // or they would wait for it next
  for (auto& w : woken)
    w->called.set();
}

bool job_queue::push(job x) {
  std::unique_lock lock{mutex_};
  if (!open_) {
    lock.unlock();
    refuse(x);
    return false;
  }
  jobs_.push_back(std::move(x));
  if (!leave())
    give(std::move(lock));
  return true;
}

bool job_queue::leave() {
  auto* loop = event_loop::own();
  if (loop == nullptr || running_ == 0)
    return false;
  if (eager_ > 0) {
    --eager_;
    return false;
  }
  if (!std::exchange(looked_after_, true))
    loop->in_a_moment([this] { return give_if_overdue(); });
  return true;
}

bool job_queue::give_if_overdue() {
  std::unique_lock lock{mutex_};
  if (jobs_.empty())
    return looked_after_ = false;
  if (std::exchange(seen_, begun_) == begun_) {
    eager_ = eager_jobs;
    give(std::move(lock));
  }
  return true;
}

void job_queue::answer(std::function<void()> f) {
  if (runs_a_job) {
    answers.push_back(std::move(f));
    return;
  }
  without_gil free;
  event_loop::send_now_scope here;
  f();
}

void job_queue::answer_now(bool more) {
  if (!answers.empty()) {
    std::optional<event_loop::batch_sends_scope> then;
    if (more) // they are sent with the next answer
      then.emplace();
    event_loop::send_now_scope here;
    answering = true;
    for (auto& f : std::exchange(answers, {}))
      f();
    answering = false;
  }
  if (!more)
    event_loop::flush_deferred();
}

job job_queue::begin(job x) {
  runs_a_job = true;
  x.call.charge = nullptr; // it waits no longer
  hold(x.call.permit);
  return x;
}

std::optional<job> job_queue::next(clock::time_point until) {
  std::unique_lock lock{mutex_};
  attended_ = true;
  bool more = has_one();
  lock.unlock();
  answer_now(more);
  lock.lock();
  if (!open_)
    return std::nullopt;
  if (has_one())
    return begin(take());
  auto me = this_thread();
  me->called.clear();
  idle_.push_back(me);
  lock.unlock();
  me->called.wait_until(until);
  lock.lock();
  if (me->given)
    return begin(*std::exchange(me->given, std::nullopt));
  std::erase(idle_, me);
  return std::nullopt;
}

void job_queue::hold(std::shared_ptr<actors::run_permit> x) {
  held.push_back(std::move(x));
}

void job_queue::let_go() {
  held.pop_back();
}

void job_queue::done() {
  if (runs_a_job)
    let_go();
  lock_scope guard{mutex_};
  // After a fork inside a handler the job is the parent's.
  if (std::exchange(runs_a_job, false))
    --running_; // this thread takes the next one itself
}

void job_queue::forget(std::string task) {
  {
    lock_scope guard{mutex_};
    forgotten_.push_back(std::move(task));
  }
  if (!answering)
    push({"forget", {}, nullptr, nullptr});
}

std::vector<std::string> job_queue::forgotten() {
  lock_scope guard{mutex_};
  return std::exchange(forgotten_, {});
}

void job_queue::drop(PyObject* x) {
  lock_scope guard{mutex_};
  dropped_.push_back(x);
}

std::vector<PyObject*> job_queue::dropped() {
  lock_scope guard{mutex_};
  return std::exchange(dropped_, {});
}

void job_queue::set_limit(std::size_t n) {
  std::unique_lock lock{mutex_};
  limit_ = n == 0 ? 1 : n;
  give(std::move(lock));
}

std::size_t job_queue::waiting() const {
  lock_scope guard{mutex_};
  return jobs_.size();
}

std::size_t job_queue::idle() const {
  lock_scope guard{mutex_};
  return idle_.size();
}

job_queue::pause::pause() {
  for (auto& permit : held)
    if (permit)
      permit->release();
  if (!runs_a_job)
    return;
  auto& q = job_queue::get();
  std::unique_lock lock{q.mutex_};
  --q.running_;
  q.give(std::move(lock));
}

job_queue::pause::~pause() {
  for (auto& permit : held)
    if (permit)
      permit->reacquire();
  if (!runs_a_job)
    return;
  // Going on is never refused: for a moment there may be one too many.
  auto& q = job_queue::get();
  lock_scope guard{q.mutex_};
  ++q.running_;
}

void job_queue::open() {
  lock_scope guard{mutex_};
  open_ = true;
  looked_after_ = false; // the loop that did has gone
}

std::vector<std::string> job_queue::close() {
  std::deque<job> rest;
  {
    lock_scope guard{mutex_};
    open_ = false;
    rest.swap(jobs_);
    for (auto& w : idle_)
      w->called.set();
  }
  std::vector<std::string> never_began;
  for (auto& x : rest) {
    refuse(x);
    if (x.kind == "local")
      never_began.push_back(x.call.target);
  }
  return never_began;
}

void job_queue::reset() {
  // What is the parent's is left behind: to drop jobs, permits of handlers or
  // answers would be to answer, and its threads may have waited here.
  new auto(std::exchange(jobs_, {}));
  new auto(std::exchange(idle_, {}));
  new auto(std::exchange(this_thread(), std::make_shared<waiter>()));
  new auto(std::exchange(held, {}));
  new auto(std::exchange(answers, {}));
  forgotten_.clear();
  running_ = 0;
  attended_ = false;
  looked_after_ = false;
  runs_a_job = false;
}

python_handler::~python_handler() {
  for (auto* x : {self_, target_})
    if (x != nullptr)
      job_queue::get().drop(x);
}

void python_handler::invoke(actors::invocation x, responder reply) {
  job_queue::get().push({kind_, std::move(x),
                         std::make_shared<responder>(std::move(reply)), nullptr,
                         shared_from_this()});
}

std::shared_ptr<actors::chunk_source> python_handler::open_stream(
  actors::invocation x, std::shared_ptr<actors::chunk_sink> to) {
  return std::make_shared<python_source>(shared_from_this(), std::move(x),
                                         std::move(to));
}

python_source::python_source(std::shared_ptr<python_handler> by,
                             actors::invocation x,
                             std::shared_ptr<actors::chunk_sink> to)
  : by_(std::move(by)), call_(std::move(x)), sink_(std::move(to)) {
  static std::atomic<std::uint64_t> next{1};
  id_ = next++;
}

void python_source::schedule() {
  auto x = call_;
  call_.charge = nullptr; // it has been there until it begins
  job_queue::get().push(
    {"stream", std::move(x), nullptr, shared_from_this(), by_});
}

void python_source::credit(std::uint64_t n) {
  {
    lock_scope guard{mutex_};
    credit_ += n;
    if (closed_ || std::exchange(scheduled_, true))
      return;
  }
  schedule();
}

void python_source::close() {
  {
    lock_scope guard{mutex_};
    if (std::exchange(closed_, true) || std::exchange(scheduled_, true))
      return; // whoever runs it sees that it is closed
  }
  schedule();
}

bool python_source::fresh() const {
  return begins_ && has_credit();
}

bool python_source::has_credit() const {
  lock_scope guard{mutex_};
  return !closed_ && credit_ > 0;
}

bool python_source::take_credit() {
  lock_scope guard{mutex_};
  if (closed_)
    return false;
  if (credit_ == 0) {
    scheduled_ = false;
    return false;
  }
  --credit_;
  return true;
}

bool python_source::closed() const {
  lock_scope guard{mutex_};
  return closed_;
}

python_result::~python_result() {
  job_queue::get().forget(id_);
}

void python_result::as_term(responder reply) const {
  actors::invocation x;
  x.target = id_;
  // It may be dropped meanwhile, and Python with it.
  auto shared = std::make_shared<responder>(std::move(reply));
  auto keeping = [self = shared_from_this(), shared](outcome answer) {
    (*shared)(std::move(answer));
  };
  job_queue::get().push({"result", std::move(x),
                         std::make_shared<responder>(std::move(keeping)),
                         nullptr});
}

} // namespace hornbeam::pybridge
