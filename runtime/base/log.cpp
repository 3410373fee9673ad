#include "runtime/base/log.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "runtime/base/fork.hpp"

namespace hornbeam::runtime::log {

namespace {

constexpr const char* names[] = {"debug", "info", "warning", "error"};

spdlog::level::level_enum to_spdlog(level x) noexcept {
  switch (x) {
    case level::debug:
      return spdlog::level::debug;
    case level::info:
      return spdlog::level::info;
    case level::error:
      return spdlog::level::err;
    default:
      return spdlog::level::warn;
  }
}

/// A sink of spdlog, which needs no lock of its own.
class spdlog_sink : public sink {
public:
  explicit spdlog_sink(std::shared_ptr<spdlog::sinks::sink> to)
    : to_(std::move(to)) {
    to_->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "hornbeam: %l (%n): %v", spdlog::pattern_time_type::local));
  }

  void write(const record& x) override {
    auto who = x.node.empty() ? x.part : x.part + ", " + x.node;
    to_->log({x.at, {}, who, to_spdlog(x.level), x.text});
    to_->flush();
  }

private:
  std::shared_ptr<spdlog::sinks::sink> to_;
};

[[maybe_unused]] const int held_over_forks
  = at_fork(fork_stage::log,
            {[] { logger::get().lock(); }, [] { logger::get().unlock(); },
             [] { logger::get().after_fork_in_child(); }});

} // namespace

const char* name_of(level x) noexcept {
  return names[static_cast<int>(x)];
}

std::optional<level> level_of(std::string_view name) noexcept {
  for (auto x : {level::debug, level::info, level::warning, level::error})
    if (name == name_of(x))
      return x;
  return std::nullopt;
}

sink_ptr stderr_sink() {
  return std::make_shared<spdlog_sink>(
    std::make_shared<spdlog::sinks::stderr_sink_st>());
}

std::string with_left_out(std::string text, std::uint64_t n) {
  if (n > 0) // behind its first line
    text.insert(std::min(text.find('\n'), text.size()),
                " (and " + std::to_string(n) + " more like it before)");
  return text;
}

logger::logger(std::function<clock::time_point()> now) : now_(std::move(now)) {}

logger& logger::get() {
  static auto* one = [] {
    auto* out = new logger; // for whoever runs until the very end
    out->set_sinks({stderr_sink()});
    const char* wanted = std::getenv("HORNBEAM_LOG");
    if (wanted == nullptr || *wanted == '\0')
      return out;
    if (auto x = level_of(wanted)) {
      out->set_level(*x);
      out->level_is_fixed_ = true;
    } else {
      out->write(level::warning, "log", {},
                 "HORNBEAM_LOG is debug, info, warning or error, not '"
                   + std::string{wanted} + "'");
    }
    return out;
  }();
  return *one;
}

void logger::configure(log::level x) noexcept {
  if (!level_is_fixed_)
    set_level(x);
}

void logger::set_sinks(std::vector<sink_ptr> xs) {
  lock_scope guard{mutex_};
  sinks_.swap(xs);
}

void logger::write(log::level x, std::string_view part, std::string_view node,
                   std::string_view text) {
  record one{x, std::string{part}, std::string{node}, std::string{text},
             std::chrono::system_clock::now()};
  lock_scope guard{mutex_};
  for (auto& to : sinks_)
    try {
      to->write(one);
    } catch (...) { // as without memory: there is nowhere left to say it
    }
}

std::optional<std::uint64_t> logger::due(const std::string& key) {
  auto now = now_();
  lock_scope guard{mutex_};
  auto& x = find(key, now);
  if (x.said && now - *x.said < std::chrono::minutes(1)) {
    ++x.left_out;
    return std::nullopt;
  }
  x.said = now;
  return std::exchange(x.left_out, 0);
}

logger::repeated& logger::find(const std::string& key, clock::time_point now) {
  if (auto i = keys_.find(key); i != keys_.end())
    return i->second;
  if (keys_.size() >= max_keys)
    forget_old(now);
  return keys_.size() < max_keys ? keys_[key] : rest_;
}

void logger::forget_old(clock::time_point now) {
  if (now < forget_again_)
    return;
  forget_again_ = now + std::chrono::minutes(1);
  std::erase_if(keys_, [&](auto& x) {
    auto& old = x.second;
    if (now - *old.said < std::chrono::minutes(1))
      return false;
    rest_.left_out += old.left_out;
    return true;
  });
}

void logger::after_fork_in_child() {
  keys_.clear();
  rest_ = {};
  unlock();
}

} // namespace hornbeam::runtime::log
