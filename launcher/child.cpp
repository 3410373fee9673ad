#include "launcher/child.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hornbeam::launcher {

namespace {

/// Longer lines are cut: a node that never ends one must not fill our memory.
constexpr std::size_t longest_line = std::size_t{64} << 10;

/// In the child, between fork and exec: system calls only.
[[noreturn]] void become(char** argv, int out, int err, pid_t parent) {
  // A terminal's Ctrl-C is for the launcher, which tells each child once.
  ::setpgid(0, 0);
  // The launcher may be killed: its children must not outlive it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)
    ::_exit(1);
  ::signal(SIGPIPE, SIG_DFL); // which this program has changed
  // SIGHUP has a node read its secret again: it waits until the node can.
  sigset_t later;
  ::sigemptyset(&later);
  ::sigaddset(&later, SIGHUP);
  ::sigprocmask(SIG_SETMASK, &later, nullptr);
  auto null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::execv("/proc/self/exe", argv);
  ::_exit(127);
}

} // namespace

int line_pipe::open() {
  close();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw std::runtime_error(std::string{"can't make a pipe: "}
                             + std::strerror(errno));
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  fd_ = ends[0];
  return ends[1];
}

void line_pipe::close() {
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
}

bool line_pipe::pump() {
  for (int i = 0; i < 4 && fd_ >= 0; ++i) { // others wait for their turn
    char chunk[16 * 1024];
    auto n = ::read(fd_, chunk, sizeof chunk);
    if (n > 0) {
      buffer_.append(chunk, static_cast<std::size_t>(n));
      flush_lines(false);
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
      return false;
    }
    if (n < static_cast<ssize_t>(sizeof chunk))
      return true;
  }
  return fd_ >= 0;
}

void line_pipe::finish() {
  // A process that the child has left behind may go on writing: what a pipe
  // holds is less than this.
  for (int i = 0; i < 64 && fd_ >= 0; ++i) {
    char chunk[16 * 1024];
    auto n = ::read(fd_, chunk, sizeof chunk);
    if (n > 0)
      buffer_.append(chunk, static_cast<std::size_t>(n));
    else if (n == 0 || errno != EINTR)
      break;
    flush_lines(false);
  }
  flush_lines(true);
  close();
}

void line_pipe::flush_lines(bool all) {
  std::string text;
  std::size_t begin = 0;
  auto line = [&](std::size_t end) {
    text += prefix_;
    text.append(buffer_, begin, end - begin);
    text += '\n';
  };
  for (;;) {
    auto end = buffer_.find('\n', begin);
    bool whole = end != std::string::npos;
    if (!whole && buffer_.size() - begin > longest_line)
      end = begin + longest_line;
    if (end == std::string::npos)
      break;
    line(end);
    begin = end + (whole ? 1 : 0);
  }
  if (all && begin < buffer_.size()) {
    line(buffer_.size());
    begin = buffer_.size();
  }
  buffer_.erase(0, begin);
  if (!text.empty())
    to_.write(text);
}

child::child(std::string label, std::string prefix,
             std::vector<std::string> command, output& out, output& err)
  : label_(std::move(label)),
    command_(std::move(command)),
    out_(prefix, out),
    err_(prefix, err) {
  command_.insert(command_.begin(), "hornbeam");
}

void child::start() {
  auto out = out_.open();
  int err = -1;
  try {
    err = err_.open();
  } catch (...) {
    ::close(out);
    throw;
  }
  std::vector<char*> argv;
  for (auto& x : command_)
    argv.push_back(x.data());
  argv.push_back(nullptr);
  auto parent = ::getpid();
  auto pid = ::fork();
  if (pid == 0)
    become(argv.data(), out, err, parent);
  auto error = errno;
  ::close(out);
  ::close(err);
  if (pid < 0)
    throw std::runtime_error("can't start " + label_ + ": "
                             + std::strerror(error));
  pid_ = pid;
}

void child::signal(int number) const {
  if (pid_ > 0)
    ::kill(pid_, number);
}

void child::ended() {
  pid_ = 0;
  out_.finish();
  err_.finish();
}

} // namespace hornbeam::launcher
