#include "runtime/process/attached_process.hpp"

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
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

  std::optional<term> take_first(const matcher& m, deadline until) {
    std::unique_lock code{code_mutex_};
    auto** at = first_message();
    for (auto taken = taken_;;) {
      check();
      if (taken != taken_) { // `at` may be in a message that is gone
        taken = taken_;
        at = first_message();
      }
      if (find(at, m)) {
        ++taken_;
        return take(at);
      }
      if (!until.infinite() && until.expired())
        return std::nullopt;
      auto wakes = wakes_.load();
      if (!fall_asleep())
        continue;
      code.unlock();
      await(wakes, until);
      code.lock();
    }
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
    std::unique_lock code{code_mutex_};
    auto** at = first_message();
    if (alive() && find(at, m)) {
      code.unlock();
      f();
      return 0;
    }
    std::uint64_t number = 0;
    {
      lock_scope guard{wait_mutex_};
      number = ++last_notice_;
      notices_.emplace_back(number, std::move(f));
    }
    bool asleep = fall_asleep();
    code.unlock();
    if (!asleep)
      wake();
    return number;
  }
  void forget_notice(std::uint64_t number) {
    lock_scope guard{wait_mutex_};
    std::erase_if(notices_, [&](auto& x) { return x.first == number; });
  }
  void end_code() noexcept {
    lock_scope code{code_mutex_};
    leaving_ = true;
    forget_everything();
  }

protected:
  void wake() noexcept override {
    std::vector<notice> told;
    {
      lock_scope guard{wait_mutex_};
      ++wakes_;
      told.swap(notices_);
    }
    arrived_.notify_all();
    for (auto& [number, f] : told)
      f();
  }

private:
  using notice = std::pair<std::uint64_t, std::function<void()>>;

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
  /// From here on whoever pushes wakes; false if something has come or the
  /// process has ended.
  bool fall_asleep() noexcept { return queue_.sleeping() || queue_.sleep(); }
  /// Until `wake` has been called since it had been called `wakes` times.
  void await(std::uint64_t wakes, deadline until) {
    std::unique_lock lock{wait_mutex_};
    auto woken = [&] { return wakes_ != wakes; };
    if (until.infinite())
      arrived_.wait(lock, woken);
    else
      arrived_.wait_until(lock, until.at, woken);
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

  ranked_mutex<lock_rank::process_code> code_mutex_;
  std::uint64_t taken_ = 0; ///< changes when messages leave the queue

  ranked_mutex<lock_rank::process_wait>
    wait_mutex_; ///< guards `notices_`, and changes of `wakes_`
  ranked_condition arrived_;
  std::atomic<std::uint64_t> wakes_{0};
  std::vector<notice> notices_;
  std::uint64_t last_notice_ = 0;
};

attached_process::attached_process(processes& of)
  : owner_(of), process_(new impl(of, of.make_pid().serial), false) {
  pid_ = of.pid_of(*process_);
  code().begin(pid_);
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

void attached_process::drive_to_end(process_body body) {
  code().drive(std::move(body));
}

std::uint64_t attached_process::add_notice(const matcher& m,
                                           std::function<void()> f) {
  return code().add_notice(m, std::move(f));
}

void attached_process::forget_notice(std::uint64_t number) {
  code().forget_notice(number);
}

void attached_process::detach(term reason) {
  owner_.end(*process_, std::move(reason));
  code().end_code();
  owner_.retire(*process_);
}

} // namespace hornbeam::runtime
