#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace hornbeam::launcher {

/// Writes all of `text`, whatever it takes. Errors are ignored: there is
/// nobody left to be told.
void write_all(int fd, const std::string& text);

/// One stream of a child's output, cut into lines. Lines come out whole and
/// with their prefix, so that those of different nodes never mix.
class line_pipe {
public:
  line_pipe(std::string prefix, int out)
    : prefix_(std::move(prefix)), out_(out) {}
  ~line_pipe() { close(); }
  line_pipe(const line_pipe&) = delete;
  line_pipe& operator=(const line_pipe&) = delete;

  /// Makes a pipe and returns the end that the child writes to.
  int open();
  int fd() const noexcept { return fd_; }
  /// Reads what is there. False once the other side has closed.
  bool pump();
  /// Reads the rest, ends a last line that is not whole, closes.
  void finish();

private:
  void close();
  void flush_lines(bool all);

  std::string prefix_;
  int out_;
  int fd_ = -1;
  std::string buffer_;
};

/// One process that is started, perhaps several times, and watched.
class child {
public:
  /// `command` is what follows the program's name; the program is this one.
  child(std::string label, std::string prefix,
        std::vector<std::string> command);

  void start();
  void signal(int number) const;
  /// True if the process has ended; `status` is then as from waitpid.
  bool reap(int& status);

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
