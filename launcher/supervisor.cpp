#include "launcher/supervisor.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <stdexcept>

#include <poll.h>
#include <sys/signalfd.h>
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
  explicit line_sink(std::string prefix) : prefix_(std::move(prefix)) {}
  void write(const log::record& x) override {
    write_all(STDERR_FILENO, prefix_ + x.text + '\n');
  }

private:
  const std::string prefix_;
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
  log::logger::get().set_sinks({std::make_shared<line_sink>(prefix(ours))});
  // Its own reports are what it is there for.
  log::logger::get().configure(level::info);
  for (auto& x : cluster.nodes) {
    std::vector<std::string> command{"node", "--config", file, "--name",
                                     x.node.name};
    bool runs_script = x.node.name == script_node;
    if (runs_script)
      command.insert(command.end(), {"--run", script});
    auto name = label(x.node.name);
    children_.push_back(
      std::make_unique<child>(name, prefix(name), std::move(command)));
    if (runs_script)
      script_ = children_.back().get();
  }
}

supervisor::~supervisor() {
  for (auto& x : children_)
    x->signal(SIGKILL); // an exception came first
  if (signals_ >= 0)
    ::close(signals_);
}

int supervisor::run() {
  sigset_t set;
  ::sigemptyset(&set);
  for (auto number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD})
    ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0)
    throw std::runtime_error(std::string{"can't wait for signals: "}
                             + std::strerror(errno));
  // What a node prints is shown at once, though its output is a pipe.
  ::setenv("PYTHONUNBUFFERED", "1", 0);
  for (auto& x : children_)
    start(*x, "started");
  while (!(stopping_ && all_ended()))
    wait_for_events();
  return exit_code_;
}

void supervisor::wait_for_events() {
  std::vector<pollfd> fds{{signals_, POLLIN, 0}};
  std::vector<line_pipe*> pipes{nullptr};
  for (auto& x : children_)
    for (auto* pipe : {&x->out(), &x->err()})
      if (pipe->fd() >= 0) {
        fds.push_back({pipe->fd(), POLLIN, 0});
        pipes.push_back(pipe);
      }
  int timeout = -1;
  if (stopping_) {
    auto left
      = std::chrono::ceil<std::chrono::milliseconds>(kill_at_ - clock::now());
    timeout = static_cast<int>(std::max<std::int64_t>(0, left.count()));
  }
  if (::poll(fds.data(), fds.size(), timeout) < 0 && errno != EINTR)
    throw std::runtime_error(std::string{"poll: "} + std::strerror(errno));
  for (std::size_t i = 1; i < fds.size(); ++i)
    if (fds[i].revents != 0 && !pipes[i]->pump())
      pipes[i]->finish();
  if (fds[0].revents != 0)
    read_signals();
  if (stopping_ && clock::now() >= kill_at_ && !all_ended()) {
    for (auto& x : children_)
      if (x->running()) {
        say(level::warning, x->label() + " does not end: killed");
        x->signal(SIGKILL);
      }
    kill_at_ = clock::now() + patience;
  }
}

void supervisor::read_signals() {
  signalfd_siginfo info;
  while (::read(signals_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD)
      continue; // several ends may have become one signal: see below
    if (stopping_)
      kill_at_ = clock::now();
    say(level::info, std::string{"ending: "}
                       + ::strsignal(static_cast<int>(info.ssi_signo)));
    stop(0);
  }
  for (auto& x : children_)
    if (int status = 0; x->reap(status))
      ended(*x, status);
}

void supervisor::ended(child& x, int status) {
  say(stopping_ || &x == script_ ? level::info : level::warning,
      x.label() + " ended (" + describe(status) + ")");
  if (stopping_)
    return;
  if (&x == script_) {
    stop(exit_code(status));
    return;
  }
  if (may_restart()) {
    start(x, "restarted");
    return;
  }
  say(level::error, "ending: more than " + std::to_string(limits_.intensity)
                      + " restarts within " + std::to_string(limits_.period_ms)
                      + " ms (restart_intensity, restart_period_ms)");
  stop(1);
}

bool supervisor::may_restart() {
  auto now = clock::now();
  auto period = std::chrono::milliseconds(limits_.period_ms);
  while (!restarts_.empty() && now - restarts_.front() > period)
    restarts_.pop_front();
  restarts_.push_back(now);
  return restarts_.size() <= limits_.intensity;
}

void supervisor::stop(int code) {
  if (stopping_)
    return;
  stopping_ = true;
  exit_code_ = code;
  kill_at_ = clock::now() + patience;
  for (auto& x : children_)
    x->signal(SIGTERM);
}

void supervisor::start(child& x, const char* how) {
  x.start();
  say(level::info,
      x.label() + " " + how + " (pid " + std::to_string(x.pid()) + ")");
}

bool supervisor::all_ended() const {
  return std::none_of(children_.begin(), children_.end(),
                      [](auto& x) { return x->running(); });
}

} // namespace hornbeam::launcher
