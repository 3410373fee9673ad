#include "launcher/output.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hornbeam::launcher {

namespace {

std::uint64_t lines(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

} // namespace

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR)
      return;
    text.remove_prefix(n < 0 ? 0 : static_cast<std::size_t>(n));
  }
}

/// That a write may not wait belongs to the open file, which others have as
/// well, as the shell that started us: so this opens it once more. What can't
/// be opened by its number, as a socket, is changed as long as we run.
output::output(int fd, std::string prefix)
  : original_(fd), prefix_(std::move(prefix)), fd_(fd) {
  auto flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_NONBLOCK) != 0)
    return;
  struct stat info {};
  if (::fstat(fd, &info) != 0 || S_ISREG(info.st_mode))
    return; // which never waits, and has a place where we write
  auto path = "/proc/self/fd/" + std::to_string(fd);
  auto mine = ::open(path.c_str(),
                     O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (mine >= 0)
    fd_ = mine;
  else if (::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0)
    flags_ = flags;
}

output::~output() {
  auto until = clock::now() + 3 * patience;
  while (waiting() > 0) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(
      std::min(until, gives_up_at()) - clock::now());
    pollfd room{fd_, POLLOUT, 0};
    if (left.count() <= 0
        || (::poll(&room, 1, static_cast<int>(left.count())) < 0
            && errno != EINTR))
      break;
    flush();
  }
  if (fd_ != original_)
    ::close(fd_);
  if (flags_ >= 0)
    ::fcntl(original_, F_SETFL, flags_);
}

void output::write(std::string_view text) {
  if (waiting() == 0) {
    moved_ = clock::now();
    say_dropped();
  }
  if (dropped_ > 0 || waiting() + text.size() > most) {
    dropped_ += lines(text); // all of it, until the reader has caught up
    return;
  }
  text_ += text;
  flush();
}

void output::flush() {
  while (waiting() > 0) {
    auto n = ::write(fd_, text_.data() + done_, waiting());
    if (n > 0) {
      done_ += static_cast<std::size_t>(n);
      moved_ = clock::now();
      if (waiting() < much)
        say_dropped();
    } else if (n < 0 && errno == EAGAIN) {
      break;
    } else if (n == 0 || errno != EINTR) {
      dropped_ += lines(std::string_view{text_}.substr(done_)) + told_;
      done_ = text_.size();
      break; // the next line tries again
    }
  }
  if (waiting() == 0) {
    text_.clear();
    done_ = 0;
    told_ = 0;
  } else if (done_ >= much) {
    text_.erase(0, std::exchange(done_, 0));
  }
}

void output::say_dropped() {
  if (dropped_ == 0)
    return;
  auto n = std::exchange(dropped_, 0);
  text_ += prefix_ + std::to_string(n)
           + " lines are missing here: they could not be written in time\n";
  told_ += n - 1;
}

} // namespace hornbeam::launcher
