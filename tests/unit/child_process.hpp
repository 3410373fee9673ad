#pragma once

#include <csignal>
#include <cstdlib>
#include <functional>
#include <utility>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hornbeam::testing {

/// A process that runs `f` and ends with what it returns; killed with its
/// object.
class child_process {
public:
  explicit child_process(const std::function<int()>& f) : id_(::fork()) {
    if (id_ != 0)
      return;
    int code = 99;
    try {
      code = f();
    } catch (...) {
      code = 98;
    }
    ::_exit(code);
  }
  ~child_process() {
    if (id_ > 0) {
      ::kill(id_, SIGKILL);
      wait();
    }
  }
  child_process(child_process&& x) noexcept : id_(std::exchange(x.id_, -1)) {}
  child_process& operator=(child_process&& x) noexcept {
    std::swap(id_, x.id_);
    return *this;
  }

  pid_t id() const noexcept { return id_; }
  void send(int signal) const { ::kill(id_, signal); }
  /// What it returned; minus the signal that ended it.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(id_, -1), &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

private:
  pid_t id_;
};

} // namespace hornbeam::testing
