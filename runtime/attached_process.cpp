#include "runtime/attached_process.hpp"

#include "runtime/atoms.hpp"

namespace hornbeam::runtime {

class attached_process::impl final : public process {
public:
  using process::process;

  void begin(term pid) { pid_ = std::move(pid); }

  /// Until `r` has what it waits for.
  void wait(receiver_base& r) {
    stop_notifying();
    while (!ready(r)) {
      enter();
      if (!sleep(deadline_.load()))
        continue;
      std::unique_lock lock{mutex_of_wait_};
      arrived_.wait(lock, [&] { return awake_; });
      awake_ = false;
    }
  }
  void drive(process_body body) {
    auto handle = body.release();
    struct destroyer {
      process_body::handle h;
      ~destroyer() { h.destroy(); }
    } end{handle};
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
  void notify_once(std::function<void()> f) {
    stop_notifying();
    {
      std::lock_guard guard{mutex_of_wait_};
      notify_ = std::move(f);
    }
    if (!queue_.sleep())
      wake();
  }
  void end_code() noexcept {
    leaving_ = true;
    forget_everything();
  }

protected:
  void wake() noexcept override {
    std::function<void()> f;
    {
      std::lock_guard guard{mutex_of_wait_};
      f = std::exchange(notify_, nullptr);
      awake_ = !f;
    }
    if (f)
      f();
    else
      arrived_.notify_one();
  }

private:
  void stop_notifying() {
    if (queue_.nudge()) {
      std::lock_guard guard{mutex_of_wait_};
      notify_ = nullptr;
    }
  }

  std::mutex mutex_of_wait_;
  std::condition_variable arrived_;
  std::function<void()> notify_;
  bool awake_ = false;
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

ticks attached_process::ticks_of(deadline x) noexcept {
  return x.infinite() ? never : x.at.time_since_epoch().count();
}

void attached_process::wait(receiver_base& r) {
  process_->enter();
  code().wait(r);
}

void attached_process::drive_to_end(process_body body) {
  code().drive(std::move(body));
}

void attached_process::notify_once(std::function<void()> f) {
  code().notify_once(std::move(f));
}

void attached_process::detach(term reason) {
  owner_.end(*process_, std::move(reason));
  code().end_code();
  owner_.retire(*process_);
}

} // namespace hornbeam::runtime
