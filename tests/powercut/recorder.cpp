#include "recorder.hpp"

#include <cerrno>
#include <mutex>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// The functions of the C library through which LMDB writes, defined here: the
// program comes before the library when names are looked up.

namespace hornbeam::testing {

namespace {

struct recording {
  dev_t device;
  ino_t inode;
  std::vector<disk_event> events;
};

std::mutex mutex;
std::optional<recording> current;

void note(int descriptor, disk_event x) {
  std::lock_guard guard{mutex};
  struct stat info {};
  if (!current || ::fstat(descriptor, &info) != 0
      || info.st_dev != current->device || info.st_ino != current->inode)
    return;
  if (x.what == disk_event::kind::write
      && (::fcntl(descriptor, F_GETFL) & O_DSYNC) != 0)
    x.what = disk_event::kind::synced_write;
  current->events.push_back(std::move(x));
}

void note_write(int descriptor, const void* p, std::size_t n,
                std::uint64_t offset) {
  note(descriptor, {disk_event::kind::write, offset,
                    std::string{static_cast<const char*>(p), n}});
}

} // namespace

void record(const std::string& path) {
  struct stat info {};
  ::stat(path.c_str(), &info);
  std::lock_guard guard{mutex};
  current = recording{info.st_dev, info.st_ino, {}};
}

std::size_t recorded() {
  std::lock_guard guard{mutex};
  return current->events.size();
}

std::vector<disk_event> stop_recording() {
  std::lock_guard guard{mutex};
  auto out = std::move(current->events);
  current.reset();
  return out;
}

} // namespace hornbeam::testing

using namespace hornbeam::testing;

extern "C" {

ssize_t pwrite(int fd, const void* p, size_t n, off_t offset) {
  auto done = ::syscall(SYS_pwrite64, fd, p, n, offset);
  if (done > 0)
    note_write(fd, p, static_cast<std::size_t>(done),
               static_cast<std::uint64_t>(offset));
  return done;
}

ssize_t writev(int fd, const struct iovec* parts, int n) {
  auto at = ::lseek(fd, 0, SEEK_CUR);
  auto done = ::syscall(SYS_writev, fd, parts, n);
  for (int i = 0; done > 0 && i < n; ++i) {
    note_write(fd, parts[i].iov_base, parts[i].iov_len,
               static_cast<std::uint64_t>(at));
    at += static_cast<off_t>(parts[i].iov_len);
  }
  return done;
}

int fdatasync(int fd) {
  auto done = ::syscall(SYS_fdatasync, fd);
  note(fd, {disk_event::kind::sync});
  return static_cast<int>(done);
}

int fsync(int fd) {
  auto done = ::syscall(SYS_fsync, fd);
  note(fd, {disk_event::kind::sync});
  return static_cast<int>(done);
}
}
