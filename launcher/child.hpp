#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "launcher/output.hpp"

namespace hornbeam::launcher {

/// One stream of a child's output, cut into lines. Lines come out whole and
/// with their prefix, so that those of different nodes never mix.
class line_pipe {
public:
  line_pipe(std::string prefix, output& to)
    : prefix_(std::move(prefix)), to_(to) {}
  ~line_pipe() { close(); }
  line_pipe(const line_pipe&) = delete;
  line_pipe& operator=(const line_pipe&) = delete;

  /// Makes a pipe and returns the end that the child writes to.
  int open();
  int fd() const noexcept { return fd_; }
  output& to() const noexcept { return to_; }
  /// Reads some of what is there. False once the other side has closed.
  bool pump();
  /// Reads the rest, ends a last line that is not whole, closes.
  void finish();

private:
  void close();
  void flush_lines(bool all);

  std::string prefix_;
  output& to_;
  int fd_ = -1;
  std::string buffer_;
};

/// One process that is started, perhaps several times, and watched.
class child {
public:
  /// `command` is what follows the program's name; the program is this one.
  child(std::string label, std::string prefix, std::vector<std::string> command,
        output& out, output& err);

  /// Raises `std::runtime_error`.
  void start();
  void signal(int number) const;
  /// Its process has ended and been waited for: takes its last lines.
  void ended();

  bool running() const noexcept { return pid_ > 0; }
  pid_t pid() const noexcept { return pid_; }
  const std::string& label() const noexcept { return label_; }
  line_pipe& out() noexcept { return out_; }
  line_pipe& err() noexcept { return err_; }

private:
  std::string label_;
  std::vector<std::string> command_;
  line_pipe out_;
  line_pipe err_;
  pid_t pid_ = 0;
};

} // namespace hornbeam::launcher
