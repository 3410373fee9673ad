#include "launcher/supervisor.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/log.hpp"

namespace hornbeam::launcher {

namespace {

namespace log = runtime::log;
using log::level;

/// Writes records between the lines of the nodes, and as those look.
class line_sink : public log::sink {
public:
  line_sink(std::string prefix, std::shared_ptr<output> to)
    : prefix_(std::move(prefix)), to_(std::move(to)) {}
  void write(const log::record& x) override {
    to_->write(prefix_ + x.text + '\n');
  }

private:
  const std::string prefix_;
  const std::shared_ptr<output> to_;
};

void say(level x, const std::string& text) {
  log::say(x, "launcher", {}, text);
}

std::string short_name(const std::string& full) {
  return full.substr(0, full.find('@'));
}

int exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Lines written by two ways to one pipe or terminal could mix.
bool one_file(int a, int b) {
  struct stat x {};
  struct stat y {};
  return ::fstat(a, &x) == 0 && ::fstat(b, &y) == 0 && !S_ISREG(x.st_mode)
         && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

std::string describe(int status) {
  if (WIFEXITED(status))
    return "exit code " + std::to_string(WEXITSTATUS(status));
  return std::string{"killed by "} + ::strsignal(WTERMSIG(status));
}

} // namespace

supervisor::supervisor(const config::cluster_config& cluster,
                       const std::string& file, const std::string& script_node,
                       const std::string& script)
  : limits_(cluster.restart) {
  std::map<std::string, int> uses;
  for (auto& x : cluster.nodes)
    ++uses[short_name(x.node.name)];
  auto label = [&](const std::string& name) {
    auto brief = short_name(name);
    return uses[brief] == 1 ? brief : name;
  };
  std::string ours = "hornbeam";
  auto width = ours.size();
  for (auto& x : cluster.nodes)
    width = std::max(width, label(x.node.name).size());
  auto prefix = [&](std::string x) {
    x.resize(width, ' ');
    return x + " | ";
  };
  out_ = std::make_shared<output>(STDOUT_FILENO, prefix(ours));
  err_ = one_file(STDOUT_FILENO, STDERR_FILENO)
           ? out_
           : std::make_shared<output>(STDERR_FILENO, prefix(ours));
  log::logger::get().set_sinks(
    {std::make_shared<line_sink>(prefix(ours), err_)});
  // Its own reports are what it is there for.
  log::logger::get().configure(level::info);
  for (auto& x : cluster.nodes) {
    std::vector<std::string> command{"node", "--config", file, "--name",
                                     x.node.name};
    bool runs_script = x.node.name == script_node;
    if (runs_script)
      command.insert(command.end(), {"--run", script});
    auto name = label(x.node.name);
    members_.emplace_back(
      new member{{name, prefix(name), std::move(command), *out_, *err_},
                 pacing{limits_},
                 {}});
    if (runs_script)
      script_ = members_.back().get();
  }
}

supervisor::~supervisor() {
  for (auto& x : members_)
    x->process.signal(SIGKILL); // an exception came first
  log::logger::get().set_sinks({log::stderr_sink()});
  if (signals_ >= 0)
    ::close(signals_);
}

int supervisor::run() {
  take_signals();
  // What a node prints is shown at once, though its output is a pipe.
  ::setenv("PYTHONUNBUFFERED", "1", 0);
  for (auto& x : members_)
    start(*x, "started");
  while (!(stopping_ && all_ended()))
    wait_for_events();
  return exit_code_;
}

void supervisor::take_signals() {
  // Whoever started us may ignore the end of its children, and a child then
  // leaves nothing to wait for.
  ::signal(SIGCHLD, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  ::sigemptyset(&set);
  for (auto number : {SIGINT, SIGTERM, SIGCHLD})
    ::sigaddset(&set, number);
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) // as by nohup
    ::sigaddset(&set, SIGHUP);
  if (int fd = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC); fd >= 0) {
    at_terminal_ = true;
    ::close(fd);
  }
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0)
    throw std::runtime_error(std::string{"can't wait for signals: "}
                             + std::strerror(errno));
}

void supervisor::wait_for_events() {
  std::vector<pollfd> fds{{signals_, POLLIN, 0}};
  std::vector<line_pipe*> pipes{nullptr};
  auto now = clock::now();
  for (auto& x : members_)
    for (auto* pipe : {&x->process.out(), &x->process.err()})
      if (pipe->fd() >= 0 && !pipe->to().pressed(now)) {
        fds.push_back({pipe->fd(), POLLIN, 0});
        pipes.push_back(pipe);
      }
  for (auto& x : {out_, err_})
    if (x->waiting() > 0)
      fds.push_back({x->fd(), POLLOUT, 0});
  int timeout = -1;
  if (auto next = next_moment()) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - now);
    timeout = static_cast<int>(std::max<std::int64_t>(0, left.count()));
  }
  if (::poll(fds.data(), fds.size(), timeout) < 0 && errno != EINTR)
    throw std::runtime_error(std::string{"poll: "} + std::strerror(errno));
  for (auto& x : {out_, err_})
    x->flush();
  for (std::size_t i = 1; i < pipes.size(); ++i)
    if (fds[i].revents != 0 && !pipes[i]->pump())
      pipes[i]->finish();
  if (fds[0].revents != 0) {
    read_signals();
    reap();
  }
  do_what_is_due();
}

std::optional<supervisor::clock::time_point> supervisor::next_moment() const {
  std::optional<clock::time_point> out;
  auto add = [&](clock::time_point x) { out = std::min(out.value_or(x), x); };
  if (stopping_)
    add(kill_at_);
  for (auto& x : members_)
    if (x->start_at)
      add(*x->start_at);
  auto now = clock::now();
  for (auto& x : {out_, err_})
    if (x->pressed(now))
      add(x->gives_up_at());
  return out;
}

void supervisor::do_what_is_due() {
  auto now = clock::now();
  for (auto& x : members_)
    if (x->start_at && now >= *x->start_at)
      start(*x, "restarted");
  if (stopping_ && now >= kill_at_ && !all_ended()) {
    for (auto& x : members_)
      if (x->process.running()) {
        say(level::warning, x->process.label() + " does not end: killed");
        x->process.signal(SIGKILL);
      }
    kill_at_ = now + patience;
  }
}

void supervisor::read_signals() {
  signalfd_siginfo info;
  while (::read(signals_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD)
      continue; // several ends may have become one signal
    if (info.ssi_signo == SIGHUP && !at_terminal_) {
      if (stopping_)
        continue;
      for (auto& x : members_)
        x->process.signal(SIGHUP);
      say(level::info, "the nodes read their secret again");
      continue;
    }
    auto now = clock::now();
    if (signalled_ && now - *signalled_ < one_signal)
      continue;
    signalled_ = now;
    if (stopping_)
      kill_at_ = now;
    say(level::info, std::string{"ending: "}
                       + ::strsignal(static_cast<int>(info.ssi_signo)));
    stop(0);
  }
}

/// All that have ended: process 1 is also the parent of those that lost theirs.
void supervisor::reap() {
  int status = 0;
  while (auto pid = ::waitpid(-1, &status, WNOHANG)) {
    if (pid < 0 && errno == EINTR)
      continue;
    if (pid < 0)
      return;
    for (auto& x : members_)
      if (x->process.pid() == pid) {
        ended(*x, status);
        break;
      }
  }
}

void supervisor::ended(member& x, int status) {
  x.process.ended();
  say(stopping_ || &x == script_ ? level::info : level::warning,
      x.process.label() + " ended (" + describe(status) + ")");
  if (stopping_)
    return;
  if (&x == script_)
    stop(exit_code(status));
  else
    restart(x);
}

void supervisor::restart(member& x) {
  auto now = clock::now();
  bool failed_before = x.pace.failing();
  auto pause = x.pace.ended(now);
  if (pause.count() == 0) {
    x.start_at = now;
    return;
  }
  auto too_many = "more than " + std::to_string(limits_.intensity)
                  + " restarts within " + std::to_string(limits_.period_ms)
                  + " ms (restart_intensity, restart_period_ms)";
  if (std::all_of(members_.begin(), members_.end(), [](auto& m) {
        return !m->process.running() && m->pace.failing();
      })) {
    say(level::error, "ending, since no node stays up: " + too_many);
    stop(1);
    return;
  }
  x.start_at = now + pause;
  say(level::error, x.process.label() + " is started again in "
                      + std::to_string(pause.count()) + " s"
                      + (failed_before ? "" : ": " + too_many));
}

void supervisor::stop(int code) {
  if (stopping_)
    return;
  stopping_ = true;
  exit_code_ = code;
  kill_at_ = clock::now() + patience;
  for (auto& x : members_) {
    x->start_at.reset();
    x->process.signal(SIGTERM);
  }
}

void supervisor::start(member& x, const char* how) {
  x.start_at.reset();
  x.pace.started(clock::now());
  try {
    x.process.start();
  } catch (const std::runtime_error& e) {
    say(level::error, e.what());
    restart(x);
    return;
  }
  say(level::info, x.process.label() + " " + how + " (pid "
                     + std::to_string(x.process.pid()) + ")");
}

bool supervisor::all_ended() const {
  return std::none_of(members_.begin(), members_.end(),
                      [](auto& x) { return x->process.running(); });
}

} // namespace hornbeam::launcher
