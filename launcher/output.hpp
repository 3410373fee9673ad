#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace hornbeam::launcher {

/// Writes all of `text`, whatever it takes. Errors are ignored: there is
/// nobody left to be told.
void write_all(int fd, std::string_view text);

/// One of this program's own streams, for whole lines. Writing never waits for
/// whoever reads it: what finds no room is kept, up to a bound; what comes
/// beyond that is dropped, counted, and said once it flows again. So is what
/// can't be written at all, as into a closed pipe or on a full disk.
class output {
public:
  using clock = std::chrono::steady_clock;
  /// Who is slow is waited for with so many bytes, and with no more kept.
  static constexpr std::size_t much = std::size_t{1} << 20;
  static constexpr std::size_t most = 4 * much;
  /// Who has taken nothing for so long reads no more.
  static constexpr auto patience = std::chrono::seconds(1);

  /// `prefix` is for what it says itself.
  output(int fd, std::string prefix);
  /// Waits for who still reads, but no longer than three times `patience`.
  ~output();
  output(const output&) = delete;
  output& operator=(const output&) = delete;

  void write(std::string_view text);
  /// Writes what fits: to be called once there is room at `fd`.
  void flush();
  int fd() const noexcept { return fd_; }
  std::size_t waiting() const noexcept { return text_.size() - done_; }

  /// Whether those whose lines come here should wait: there is much that
  /// somebody still reads. Not later than at `gives_up_at` unless that moves.
  bool pressed(clock::time_point now) const noexcept {
    return waiting() >= much && now < gives_up_at();
  }
  clock::time_point gives_up_at() const noexcept { return moved_ + patience; }

private:
  void say_dropped();

  const int original_;
  const std::string prefix_;
  int fd_;
  int flags_ = -1; ///< of the original, if those were changed
  std::string text_;
  std::size_t done_ = 0; ///< of it
  clock::time_point moved_;
  std::uint64_t dropped_ = 0; ///< lines that nobody was told of
  std::uint64_t told_ = 0;    ///< more than there are lines that say so
};

} // namespace hornbeam::launcher
