#include "runtime/process/processes.hpp"

#include <algorithm>
#include <thread>

#include <malloc.h>

#include <boost/core/demangle.hpp>

#include "runtime/base/log.hpp"
#include "runtime/caf/caf.hpp"
#include "runtime/call/caller.hpp"
#include "runtime/process/relations.hpp"
#include "runtime/term/atoms.hpp"

namespace hornbeam::runtime {

namespace {

/// The worker of CAF that runs a process in this thread.
thread_local caf::execution_unit* current_worker = nullptr;

/// The reason with which an exception that leaves the body ends it.
term reason_of(const std::exception_ptr& x) {
  auto with_text = [](term reason, const std::string& text) {
    return term::tuple({std::move(reason), term::list({term::string(text)})});
  };
  try {
    std::rethrow_exception(x);
  } catch (const exit_error& e) {
    return e.reason;
  } catch (const erlang_error& e) {
    return with_text(e.reason, e.what());
  } catch (const erlang_throw& e) {
    return with_text(term::tuple({term::atom("nocatch"), e.value}),
                     "an uncaught throw");
  } catch (const process_killed&) {
    return atoms::killed;
  } catch (const std::exception& e) {
    return exception_reason(e);
  } catch (...) {
    return term::tuple({term::tuple({term::string("unknown"),
                                     term::string("a C++ exception that is no "
                                                  "std::exception")}),
                        term::string("")});
  }
}

/// A process whose code is a coroutine that CAF's workers run.
class scheduled_process final : public process, public caf::resumable {
public:
  using process::process;
  ~scheduled_process() override {
    if (body_)
      body_.destroy();
  }

  void begin(process_body body, std::shared_ptr<void> keep) noexcept {
    body_ = body.release();
    keep_ = std::move(keep);
    resume_point_ = body_;
  }

  resume_result resume(caf::execution_unit* worker, size_t steps) override {
    current_worker = worker;
    set_running_process(serial());
    auto result = run(static_cast<std::int32_t>(steps));
    set_running_process(0);
    current_worker = nullptr;
    return result;
  }
  void intrusive_ptr_add_ref_impl() override { intrusive_ptr_add_ref(this); }
  void intrusive_ptr_release_impl() override { intrusive_ptr_release(this); }

protected:
  void wake() noexcept override {
    intrusive_ptr_add_ref(this);
    owner_.schedule(this);
  }

private:
  resume_result run(std::int32_t steps) {
    budget_ = steps;
    for (;;) {
      if (!alive()) {
        finish();
        return done;
      }
      if (waiting_ != nullptr) {
        if (!ready(*waiting_)) {
          if (sleep(deadline_.load(std::memory_order_relaxed)))
            return awaiting_message; // others may run it from here on
          continue;
        }
        if (!spend())
          return resume_later;
        waiting_ = nullptr;
      } else if (budget_ <= 0) {
        return resume_later;
      }
      resume_point_.resume();
      if (body_.done()) {
        auto error = body_.promise().error;
        auto reason = error ? reason_of(error) : atoms::normal;
        destroy_body(); // what it held is free before anybody hears of it
        owner_.end(*this, std::move(reason));
        finish();
        return done;
      }
    }
  }

  void destroy_body() noexcept {
    leaving_ = true;
    if (body_)
      std::exchange(body_, nullptr).destroy();
    keep_ = nullptr;
  }
  void finish() noexcept {
    destroy_body();
    forget_everything();
    owner_.retire(*this);
  }

  process_body::handle body_;
  std::shared_ptr<void> keep_; ///< what the body's function has captured
};

} // namespace

term exception_reason(const std::exception& e) {
  auto name = boost::core::demangle(typeid(e).name());
  return term::tuple({term::tuple({term::string(name), term::string(e.what())}),
                      term::string("")});
}

processes::processes(caf::actor_system& sys, router& net, bool clock_by_hand)
  : system_(sys), net_(net), node_(net.self()), clock_(clock_by_hand) {}

processes::~processes() = default;

process_ptr processes::make_process() {
  if (stopping_)
    throw erlang_error("system_limit", "the node " + node_->name()
                                         + " is ending: it starts no process");
  return {new scheduled_process(*this, next_serial_.fetch_add(1)), false};
}

std::pair<term, term> processes::launch(process_ptr p, process_body body,
                                        std::shared_ptr<void> keep,
                                        const start_options& o) {
  auto& x = static_cast<scheduled_process&>(*p);
  x.begin(std::move(body), std::move(keep));
  auto pid = pid_of(x);
  x.pid_ = pid;
  term ref;
  if (o.link) {
    add_link(*o.parent, pid);
    // Whoever ends the parent just now may have come before the link.
    if (!o.parent->alive())
      end(x, atoms::killed);
  }
  if (o.monitor) {
    ref = make_ref();
    add_monitor(*o.parent, ref, pid, false);
  }
  adopt(x); // not before: others may end what they can see
  schedule(
    static_cast<caf::resumable*>(static_cast<scheduled_process*>(p.detach())));
  return {std::move(pid), std::move(ref)};
}

void processes::schedule(caf::resumable* job) {
  if (current_worker != nullptr && &current_worker->system() == &system_)
    current_worker->exec_later(job);
  else
    system_.scheduler().enqueue(job);
}

void processes::adopt(process& p) {
  auto& s = shards_[p.serial() % shard_count];
  intrusive_ptr_add_ref(&p);
  alive_.fetch_add(1, std::memory_order_relaxed);
  auto n = bodies_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (n > most_bodies_.load(std::memory_order_relaxed))
    most_bodies_.store(n, std::memory_order_relaxed);
  lock_scope guard{s.mutex};
  s.by_serial.emplace(p.serial(), &p);
}

void processes::retire(process& p) {
  auto& s = shards_[p.serial() % shard_count];
  {
    lock_scope guard{s.mutex};
    if (s.by_serial.erase(p.serial()) == 0)
      return;
  }
  auto left = bodies_.fetch_sub(1, std::memory_order_relaxed) - 1;
  intrusive_ptr_release(&p);
  auto most = most_bodies_.load(std::memory_order_relaxed);
  if (most >= storm && left < most / 8
      && most_bodies_.compare_exchange_strong(most, left))
    give_memory_back();
}

void processes::give_memory_back() {
  // malloc keeps what is below anything that is still in use, which after a
  // storm is nearly all. Not in a worker: it takes a while.
  clock_.add(next_serial_.fetch_add(1), clock_.in(500), [] { malloc_trim(0); });
}

process_ptr processes::find(std::uint64_t serial) const {
  auto& s = shards_[serial % shard_count];
  lock_scope guard{s.mutex};
  auto i = s.by_serial.find(serial);
  return i != s.by_serial.end() ? process_ptr{i->second} : nullptr;
}

bool processes::is_local(const origin& x) const noexcept {
  return &x == node_ || x.name() == node_->name();
}

process* processes::reach(const runtime::pid& x, process_ptr& hold) const {
  if (x.local)
    return x.local.get();
  hold = local(x);
  return hold.get();
}

process_ptr processes::local(const runtime::pid& x) const {
  if (x.local)
    return x.local;
  // A process of an earlier start of this node is gone.
  return is_local(x) && x.node->incarnation == node_->incarnation
           ? find(x.serial)
           : nullptr;
}

term processes::pid_of(process& p) const {
  return term{runtime::pid{node_, p.serial(), process_ptr{&p}}};
}

runtime::pid processes::make_pid() {
  return {node_, next_serial_.fetch_add(1), {}};
}

term processes::make_ref() {
  return term{reference{node_, next_serial_.fetch_add(1)}};
}

term processes::make_alias(process& p) {
  return term{
    reference{node_, next_serial_.fetch_add(1), p.serial(), process_ptr{&p}}};
}

// -- from outside -------------------------------------------------------------

void processes::send(const term& to, term message) {
  route(to, std::move(message));
}

void processes::exit(const term& to, const term& reason) {
  exit_signal(to, to, reason);
}

bool processes::alive(const term& pid) const {
  if (!pid.is(term::kind::pid) || !is_local(pid.as_pid()))
    throw erlang_error("badarg", "only processes of " + node_->name()
                                   + " are known to be alive or not, not "
                                   + to_string(pid));
  auto p = local(pid.as_pid());
  return p && p->alive();
}

std::vector<term> processes::all() const {
  std::vector<term> out;
  for (auto& s : shards_) {
    lock_scope guard{s.mutex};
    for (auto& [serial, p] : s.by_serial)
      if (p->alive())
        out.push_back(pid_of(*p));
  }
  return out;
}

std::pair<std::size_t, std::size_t> processes::count() const noexcept {
  auto alive = std::max<std::int64_t>(alive_, 0);
  return {static_cast<std::size_t>(alive),
          static_cast<std::size_t>(std::max<std::int64_t>(bodies_ - alive, 0))};
}

std::vector<term> processes::abandoned() const {
  std::vector<term> out;
  for (auto& s : shards_) {
    lock_scope guard{s.mutex};
    for (auto& [serial, p] : s.by_serial)
      if (!p->alive())
        out.push_back(pid_of(*p));
  }
  return out;
}

void processes::stop(std::chrono::milliseconds patience) {
  if (stopping_.exchange(true))
    return;
  std::vector<ending> work;
  for (auto& pid : all())
    work.push_back({pid.as_pid().local, atoms::killed});
  end_all(std::move(work));
  auto until = std::chrono::steady_clock::now() + patience;
  while (bodies_ > 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (auto& pid : abandoned())
    log::say(log::level::warning, "processes", node_->name(),
             "the process " + to_string(pid.as_pid())
               + " does not suspend; the node ends without it");
  clock_.stop();
}

std::uint64_t processes::hand_over(std::any x) {
  auto key = next_serial_.fetch_add(1);
  lock_scope guard{handed_mutex_};
  handed_.emplace(key, std::move(x));
  return key;
}

std::any processes::take_over(std::uint64_t key) {
  lock_scope guard{handed_mutex_};
  auto node = handed_.extract(key);
  return node ? std::move(node.mapped()) : std::any{};
}

// -- names --------------------------------------------------------------------

process_ptr processes::named(const std::string& name) const {
  shared_lock_scope lock{names_mutex_};
  auto i = names_.find(name);
  // One that has ended has no name, though its end may not be carried out yet.
  return i != names_.end() && i->second->alive() ? i->second : nullptr;
}

std::optional<term> processes::whereis(const std::string& name) const {
  auto p = named(name);
  return p ? std::optional{pid_of(*p)} : std::nullopt;
}

void processes::register_name(const std::string& name, const term& pid) {
  if (auto other = claim_name(name, pid))
    throw erlang_error("badarg", "the name '" + name + "' is taken by "
                                   + to_string(other->as_pid()));
}

std::optional<term> processes::claim_name(const std::string& name,
                                          const term& pid) {
  if (name.empty() || name == "undefined")
    throw erlang_error("badarg", "'" + name + "' can't be a process's name");
  if (!pid.is(term::kind::pid))
    throw erlang_error("badarg", "only a pid can have the name '" + name
                                   + "', not " + to_string(pid));
  auto p = local(pid.as_pid());
  if (!p)
    throw erlang_error("badarg", "the name '" + name + "' can't be given to "
                                   + to_string(pid.as_pid())
                                   + ": no living process of this node");
  std::unique_lock lock{names_mutex_};
  if (auto i = names_.find(name); i != names_.end() && i->second->alive())
    return pid_of(*i->second);
  lock_scope guard{p->mutex_};
  if (!p->alive())
    throw erlang_error("badarg", "the name '" + name + "' can't be given to "
                                   + to_string(pid.as_pid())
                                   + ": the process is dead");
  auto& old = p->related().name;
  if (!old.empty())
    throw erlang_error("badarg", to_string(pid.as_pid()) + " has the name '"
                                   + old + "' already, so not '" + name + "'");
  old = name;
  names_.insert_or_assign(name, p);
  return std::nullopt;
}

void processes::unregister_name(const std::string& name) {
  process_ptr p;
  std::unique_lock lock{names_mutex_};
  auto i = names_.find(name);
  if (i == names_.end() || !i->second->alive())
    throw erlang_error("badarg", "no process has the name '" + name + "'");
  p = std::move(i->second);
  names_.erase(i);
  lock_scope guard{p->mutex_};
  if (p->relations_)
    p->relations_->name.clear();
}

std::vector<std::string> processes::registered() const {
  std::vector<std::string> out;
  shared_lock_scope lock{names_mutex_};
  for (auto& [name, p] : names_)
    if (p->alive())
      out.push_back(name);
  return out;
}

// -- process_info -------------------------------------------------------------

std::optional<term> processes::info(const term& pid,
                                    const std::string& item) const {
  if (!pid.is(term::kind::pid) || !is_local(pid.as_pid()))
    throw erlang_error("badarg", "process_info is for processes of "
                                   + node_->name() + ", not for "
                                   + to_string(pid));
  static constexpr const char* items[] = {"links",
                                          "monitors",
                                          "monitored_by",
                                          "registered_name",
                                          "message_queue_len",
                                          "trap_exit",
                                          "dictionary",
                                          "status"};
  if (std::find(std::begin(items), std::end(items), item) == std::end(items))
    throw erlang_error("badarg", "process_info has no item '" + item + "'");
  auto p = local(pid.as_pid());
  if (!p)
    return std::nullopt;
  lock_scope guard{p->mutex_};
  if (!p->alive())
    return std::nullopt;
  static const relations nothing;
  auto& r = p->relations_ ? *p->relations_ : nothing;
  term::sequence out;
  if (item == "links") {
    for (auto& [key, other] : r.links)
      out.push_back(other);
    return term::list(std::move(out));
  }
  if (item == "monitors") {
    for (auto& [ref, m] : r.monitors)
      out.push_back(term::tuple({atoms::process, m.shown()}));
    return term::list(std::move(out));
  }
  if (item == "monitored_by") {
    for (auto& [ref, w] : r.monitored_by)
      if (!w.pid.is_none())
        out.push_back(w.pid);
    return term::list(std::move(out));
  }
  if (item == "registered_name")
    return r.name.empty() ? term::list({}) : term::atom(r.name);
  if (item == "message_queue_len")
    return term{static_cast<std::int64_t>(p->queue_length())};
  if (item == "trap_exit")
    return term{p->trap_exit_};
  if (item == "dictionary") {
    for (auto& [key, value] : r.dictionary)
      out.push_back(term::tuple({key, value}));
    return term::list(std::move(out));
  }
  return term::atom(p->queue_.sleeping() ? "waiting" : "running");
}

} // namespace hornbeam::runtime
