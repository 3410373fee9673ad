#include "runtime/process/attached_process.hpp"

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/process/relations.hpp"
#include "runtime/term/atoms.hpp"

namespace hornbeam::runtime {

/// What always holds: `code_mutex_` is held by whoever looks into the queue, as
/// the code of the process does, but not while a thread sleeps for a message
/// outside of `drive`. `wake` does not take it: it is called under the locks
/// of other processes, which that code may want.
class attached_process::impl final : public process {
public:
  using process::process;

  void begin(term pid) { pid_ = std::move(pid); }
  /// Before anybody knows the process.
  void take_turns(std::shared_ptr<turns> t, void* code) {
    turns_ = std::move(t);
    turn_of_ = code;
  }

  std::optional<term> take_first(const matcher& m, deadline until) {
    std::unique_lock code{code_mutex_};
    auto** at = first_message();
    auto taken = taken_;
    auto found = [&] {
      if (taken != taken_) { // `at` may be in a message that is gone
        taken = taken_;
        at = first_message();
      }
      return find(at, m);
    };
    if (!wait_until(code, found, until))
      return std::nullopt;
    ++taken_;
    return take(at);
  }
  std::optional<term> take_or_sleep(const matcher& m, place& from) {
    lock_scope code{code_mutex_};
    for (;;) {
      check();
      if (from.at == nullptr || from.version != taken_)
        from = {first_message(), taken_};
      if (find(from.at, m)) {
        ++taken_;
        return take(from.at);
      }
      if (fall_asleep())
        return std::nullopt;
    }
  }
  bool sleep_unless_more(const view& seen) {
    lock_scope code{code_mutex_};
    check();
    while (!has_more(seen))
      if (fall_asleep())
        return true;
    return false;
  }
  bool owns_tables() const {
    lock_scope guard{mutex_};
    return relations_ && relations_->owns_tables;
  }
  void* begin_turn() noexcept {
    listed_.exchange(false); // before the code looks for what it is called for
    return turn_of_.load();
  }
  void forget_code() noexcept { turn_of_.store(nullptr); }
  /// Who waits no longer is running again; others who wait look once more, and
  /// fall asleep again.
  void give_up_sleep() noexcept {
    if (queue_.nudge())
      wake();
  }
  void ask_for_turn() noexcept {
    if (turn_of_.load() != nullptr && !listed_.exchange(true))
      turns_->add(process_ptr{this});
  }
  std::optional<term> end_reason() const {
    if (!through_.load())
      return std::nullopt;
    return reason_;
  }
  view look(const matcher& m, const view& before) {
    lock_scope code{code_mutex_};
    check();
    view out{{}, 0, taken_};
    auto from = before.version == taken_ ? before.end : 0;
    // Each time as many more: whoever takes the first one copies few, and
    // whoever wants none does not walk along all of them too often.
    auto most = std::max(from, least_seen);
    auto full = [&] { return out.messages.size() == most; };
    auto** at = first_message();
    do {
      for (; *at != nullptr && !full(); at = &(*at)->next, ++out.end)
        if (out.end >= from && m((*at)->body))
          out.messages.emplace_back(out.end, (*at)->body);
    } while (!full() && collect());
    return out;
  }
  std::optional<term> take_at(std::size_t place, std::uint64_t version) {
    lock_scope code{code_mutex_};
    check();
    if (version != taken_)
      return std::nullopt;
    auto** at = first_message();
    while (place-- > 0)
      at = &(*at)->next;
    ++taken_;
    return take(at);
  }
  bool wait_for_more(const view& seen, deadline until) {
    std::unique_lock code{code_mutex_};
    return wait_until(
      code, [&] { return has_more(seen); }, until);
  }
  void alone(const std::function<void()>& f) {
    lock_scope code{code_mutex_};
    ++taken_; // `f` may take what waits
    f();
  }
  void drive(process_body body) {
    auto handle = body.release();
    struct destroyer {
      process_body::handle h;
      ~destroyer() { h.destroy(); }
    } end{handle};
    lock_scope code{code_mutex_};
    ++taken_;
    resume_point_ = handle;
    waiting_ = nullptr;
    for (;;) {
      budget_ = std::numeric_limits<std::int32_t>::max();
      if (auto* r = std::exchange(waiting_, nullptr))
        wait(*r);
      resume_point_.resume();
      if (handle.done())
        return;
    }
  }
  void allow_all() noexcept {
    budget_ = std::numeric_limits<std::int32_t>::max();
  }
  std::uint64_t add_notice(const matcher& m, std::function<void()> f) {
    return notify_when(
      [&] {
        auto** at = first_message();
        return find(at, m);
      },
      std::move(f));
  }
  std::uint64_t notify_of_more(const view& seen, std::function<void()> f) {
    return notify_when([&] { return has_more(seen); }, std::move(f));
  }
  template <class F>
  std::uint64_t notify_when(F there, std::function<void()> f) {
    std::unique_lock code{code_mutex_};
    if (alive() && there()) {
      code.unlock();
      f();
      return 0;
    }
    std::uint64_t number = 0;
    {
      lock_scope guard{wait_mutex_};
      number = ++last_notice_;
      notices_.emplace_back(number, std::move(f));
      waiters_.fetch_add(1);
    }
    bool asleep = fall_asleep();
    code.unlock();
    if (!asleep)
      wake();
    return number;
  }
  void forget_notice(std::uint64_t number) {
    std::size_t pending = 0;
    {
      lock_scope guard{wait_mutex_};
      pending = std::erase_if(notices_,
                              [&](auto& x) { return x.first == number; });
      waiters_.fetch_sub(pending);
    }
    if (pending > 0)
      give_up_sleep();
  }
  void end_code() noexcept {
    lock_scope code{code_mutex_};
    leaving_ = true;
    forget_everything();
  }

protected:
  void wake() noexcept override {
    // Who is about to wait counts itself before it looks at `wakes_`.
    wakes_.fetch_add(1);
    if (waiters_.load() > 0) {
      std::vector<notice> told;
      {
        lock_scope guard{wait_mutex_};
        told.swap(notices_);
        waiters_.fetch_sub(told.size());
      }
      arrived_.notify_all();
      for (auto& [number, f] : told)
        f();
    }
    ask_for_turn();
  }
  void ended(const term& reason, bool) noexcept override {
    reason_ = reason;
    through_.store(true);
    wake();
  }

private:
  static constexpr std::size_t least_seen = 32; ///< in a look, if so many wait
  using notice = std::pair<std::uint64_t, std::function<void()>>;
  using code_mutex = ranked_mutex<lock_rank::process_code>;

  void check() const {
    if (!alive())
      throw process_killed{};
  }
  /// Moves `at` to the first message from there on that `m` accepts.
  bool find(signal**& at, const matcher& m) {
    do {
      for (; *at != nullptr; at = &(*at)->next)
        if (m((*at)->body))
          return true;
    } while (collect());
    return false;
  }
  /// Sleeps without `code`, which holds `code_mutex_`, until `there` says true;
  /// false if `until` has passed.
  template <class F>
  bool wait_until(std::unique_lock<code_mutex>& code, F there, deadline until) {
    for (bool slept = false;;) {
      check();
      if (there())
        return true;
      if (!until.infinite() && until.expired()) {
        if (slept) {
          code.unlock();
          give_up_sleep();
          code.lock();
        }
        return false;
      }
      auto wakes = wakes_.load();
      if (!fall_asleep())
        continue;
      slept = true;
      code.unlock();
      await(wakes, until);
      code.lock();
    }
  }
  bool has_more(const view& seen) {
    if (seen.version != taken_)
      return true;
    auto** at = first_message();
    for (auto place = seen.end; place > 0; --place)
      at = &(*at)->next;
    return *at != nullptr || collect();
  }
  /// From here on whoever pushes wakes; false if something has come or the
  /// process has ended.
  bool fall_asleep() noexcept { return queue_.sleeping() || queue_.sleep(); }
  /// Until `wake` has been called since it had been called `wakes` times.
  void await(std::uint64_t wakes, deadline until) {
    std::unique_lock lock{wait_mutex_};
    waiters_.fetch_add(1);
    auto woken = [&] { return wakes_ != wakes; };
    if (until.infinite())
      arrived_.wait(lock, woken);
    else
      arrived_.wait_until(lock, until.at, woken);
    waiters_.fetch_sub(1);
  }
  /// Until `r` has what it waits for; the node's clock tells when its time is
  /// over.
  void wait(receiver_base& r) {
    if (queue_.nudge())
      wake(); // who sleeps for a message outside must look again afterwards
    while (!ready(r)) {
      check();
      auto wakes = wakes_.load();
      if (sleep(deadline_.load()))
        await(wakes, {});
    }
  }

  code_mutex code_mutex_;
  std::uint64_t taken_ = 0; ///< changes when messages leave the queue

  ranked_mutex<lock_rank::process_wait> wait_mutex_; ///< guards `notices_`
  ranked_condition arrived_;
  std::atomic<std::uint64_t> wakes_{0};
  /// Threads that sleep, and notices.
  std::atomic<std::size_t> waiters_{0};
  std::vector<notice> notices_;
  std::uint64_t last_notice_ = 0;

  std::shared_ptr<turns> turns_; ///< null: the code has none
  std::atomic<void*> turn_of_{nullptr};
  std::atomic<bool> listed_{false}; ///< in `turns_`
  std::atomic<bool> through_{false};
  term reason_; ///< once `through_` is set
};

attached_process::attached_process(processes& of)
  : attached_process(of, nullptr, nullptr) {}

attached_process::attached_process(processes& of, std::shared_ptr<turns> t,
                                   void* of_code)
  : owner_(of), process_(new impl(of, of.make_pid().serial), false) {
  pid_ = of.pid_of(*process_);
  code().begin(pid_);
  code().take_turns(std::move(t), of_code);
  code().allow_all();
  of.adopt(*process_);
}

attached_process::impl& attached_process::code() const noexcept {
  return static_cast<impl&>(*process_);
}

std::optional<term> attached_process::take_first(const matcher& m,
                                                 deadline until) {
  return code().take_first(m, until);
}

std::optional<term> attached_process::take_or_sleep(const matcher& m,
                                                    place& from) {
  return code().take_or_sleep(m, from);
}

bool attached_process::sleep_unless_more(const view& seen) {
  return code().sleep_unless_more(seen);
}

void attached_process::give_up_sleep() noexcept {
  code().give_up_sleep();
}

void attached_process::ask_for_turn() noexcept {
  code().ask_for_turn();
}

void* attached_process::begin_turn(process& p) noexcept {
  return static_cast<impl&>(p).begin_turn();
}

void attached_process::forget_code() noexcept {
  code().forget_code();
}

std::optional<term> attached_process::end_reason() const {
  return code().end_reason();
}

void attached_process::drive_to_end(process_body body) {
  code().drive(std::move(body));
}

std::uint64_t attached_process::add_notice(const matcher& m,
                                           std::function<void()> f) {
  return code().add_notice(m, std::move(f));
}

attached_process::view attached_process::look_from(const matcher& m,
                                                   const view& before) {
  return code().look(m, before);
}

std::optional<term> attached_process::take_at(std::size_t place,
                                              std::uint64_t version) {
  return code().take_at(place, version);
}

bool attached_process::wait_for_more(const view& seen, deadline until) {
  return code().wait_for_more(seen, until);
}

std::uint64_t attached_process::notify_of_more(const view& seen,
                                               std::function<void()> f) {
  return code().notify_of_more(seen, std::move(f));
}

void attached_process::alone(const std::function<void(self)>& f) {
  code().alone([&] { f(me()); });
}

void attached_process::forget_notice(std::uint64_t number) {
  code().forget_notice(number);
}

bool attached_process::owns_tables() const {
  return code().owns_tables();
}

void attached_process::detach(term reason) {
  owner_.end(*process_, std::move(reason));
  code().end_code();
  owner_.retire(*process_);
}

} // namespace hornbeam::runtime
