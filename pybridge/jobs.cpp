#include "pybridge/jobs.hpp"

#include <atomic>

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

thread_local bool runs_a_job = false;

} // namespace

failure job_queue::ended() {
  return {error_code::ended, "this node has ended", {}, {}, {}};
}

job_queue& job_queue::get() {
  static auto* one = new job_queue;
  return *one;
}

bool job_queue::push(job x) {
  {
    std::lock_guard guard{mutex_};
    if (open_) {
      jobs_.push_back(std::move(x));
      arrived_.notify_one();
      return true;
    }
  }
  if (x.reply)
    (*x.reply)(ended());
  return false;
}

std::optional<job> job_queue::next(clock::time_point until) {
  std::unique_lock lock{mutex_};
  ++idle_;
  arrived_.wait_until(lock, until, [&] {
    return (!jobs_.empty() && running_ < limit_) || !open_;
  });
  --idle_;
  if (!open_ || jobs_.empty() || running_ >= limit_)
    return std::nullopt;
  auto out = std::move(jobs_.front());
  jobs_.pop_front();
  ++running_;
  runs_a_job = true;
  return out;
}

void job_queue::done() {
  std::lock_guard guard{mutex_};
  // After a fork inside a handler the job is the parent's.
  if (!std::exchange(runs_a_job, false))
    return;
  --running_;
  if (!jobs_.empty())
    arrived_.notify_one();
}

void job_queue::set_limit(std::size_t n) {
  std::lock_guard guard{mutex_};
  limit_ = n == 0 ? 1 : n;
  arrived_.notify_all();
}

std::size_t job_queue::waiting() const {
  std::lock_guard guard{mutex_};
  return jobs_.size();
}

std::size_t job_queue::idle() const {
  std::lock_guard guard{mutex_};
  return idle_;
}

job_queue::pause::pause() {
  if (!runs_a_job)
    return;
  auto& q = job_queue::get();
  std::lock_guard guard{q.mutex_};
  --q.running_;
  if (!q.jobs_.empty())
    q.arrived_.notify_one();
}

job_queue::pause::~pause() {
  if (!runs_a_job)
    return;
  // Going on is never refused: for a moment there may be one too many.
  auto& q = job_queue::get();
  std::lock_guard guard{q.mutex_};
  ++q.running_;
}

void job_queue::open() {
  std::lock_guard guard{mutex_};
  open_ = true;
}

std::vector<std::string> job_queue::close() {
  std::deque<job> rest;
  {
    std::lock_guard guard{mutex_};
    open_ = false;
    rest.swap(jobs_);
  }
  arrived_.notify_all();
  std::vector<std::string> never_began;
  for (auto& x : rest) {
    if (x.reply)
      (*x.reply)(ended());
    if (x.kind == "local")
      never_began.push_back(x.call.target);
  }
  return never_began;
}

void job_queue::reset() {
  // The parent's threads may have waited on it: it is made anew in place.
  new (&arrived_) std::condition_variable;
  // The parent answers these; here they are left behind, because to drop
  // them would be to answer.
  new std::deque<job>(std::move(jobs_));
  jobs_ = {};
  running_ = 0;
  idle_ = 0;
  runs_a_job = false;
}

void python_handler::invoke(actors::invocation x, responder reply) {
  job_queue::get().push({kind_, std::move(x),
                         std::make_shared<responder>(std::move(reply)),
                         nullptr});
}

std::shared_ptr<actors::chunk_source> python_handler::open_stream(
  actors::invocation x, std::shared_ptr<actors::chunk_sink> to) {
  return std::make_shared<python_source>(std::move(x), std::move(to));
}

python_source::python_source(actors::invocation x,
                             std::shared_ptr<actors::chunk_sink> to)
  : call_(std::move(x)), sink_(std::move(to)) {
  static std::atomic<std::uint64_t> next{1};
  id_ = next++;
}

void python_source::schedule() {
  job_queue::get().push({"stream", call_, nullptr, shared_from_this()});
}

void python_source::credit(std::uint64_t n) {
  {
    std::lock_guard guard{mutex_};
    credit_ += n;
    if (closed_ || std::exchange(scheduled_, true))
      return;
  }
  schedule();
}

void python_source::close() {
  {
    std::lock_guard guard{mutex_};
    if (std::exchange(closed_, true) || std::exchange(scheduled_, true))
      return; // whoever runs it sees that it is closed
  }
  schedule();
}

bool python_source::take_credit() {
  std::lock_guard guard{mutex_};
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
  std::lock_guard guard{mutex_};
  return closed_;
}

python_result::~python_result() {
  actors::invocation x;
  x.target = id_;
  job_queue::get().push({"forget", std::move(x), nullptr, nullptr});
}

void python_result::as_term(responder reply) const {
  actors::invocation x;
  x.target = id_;
  job_queue::get().push({"result", std::move(x),
                         std::make_shared<responder>(std::move(reply)),
                         nullptr});
}

} // namespace hornbeam::pybridge
