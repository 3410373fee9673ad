#include "runtime/table_lmdb/lock_file.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/blocking.hpp"
#include "runtime/base/log.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/outcome.hpp"

namespace hornbeam::runtime {

namespace {

constexpr char magic[8] = {'h', 'b', 'g', 'a', 't', 'e', '\n', '\0'};
constexpr std::uint32_t lock_file_version = 1;
constexpr int opening_byte = 0;
constexpr int use_byte = 1;
constexpr int check_byte = 2;
constexpr auto patience = std::chrono::seconds(10);

[[noreturn]] void fail(const std::string& what) {
  auto code = errno == ENOSPC || errno == EDQUOT ? error_code::overloaded
                                                 : error_code::internal;
  throw failed{code, what + ": " + std::strerror(errno)};
}

/// Which start of the machine this is.
std::string boot_id() {
  std::string out;
  std::ifstream{"/proc/sys/kernel/random/boot_id"} >> out;
  return out.substr(0, 39);
}

/// Tells the core that this is a loop that waits.
void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

/// The descriptors of all lock files, those that are just being opened too, and
/// where they are mapped. A lock ends when each copy of its descriptor is
/// closed and nothing maps the file by it, so a forked child does both: none
/// may be open that is not known here.
struct descriptors {
  static descriptors& get() {
    static auto* one = new descriptors;
    return *one;
  }
  int open(const std::string& file) {
    lock_scope guard{mutex};
    int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                    0600);
    if (fd >= 0)
      known[fd] = nullptr;
    return fd;
  }
  void mapped(int fd, void* where) {
    lock_scope guard{mutex};
    known[fd] = where;
  }
  void close(int fd) {
    lock_scope guard{mutex};
    known.erase(fd);
    ::close(fd);
  }

  ranked_mutex<lock_rank::lmdb_descriptors> mutex;
  std::map<int, void*> known;
};

bool lives(pid_t x) {
  return ::kill(x, 0) == 0 || errno != ESRCH;
}

struct flock lock_of(int byte, short type) {
  struct flock out {};
  out.l_type = type;
  out.l_whence = SEEK_SET;
  out.l_start = byte;
  out.l_len = 1;
  return out;
}

bool hold(int descriptor, int byte, short type) {
  auto range = lock_of(byte, type);
  return ::fcntl(descriptor, F_OFD_SETLK, &range) == 0;
}

/// Whether others hold it in any way.
bool held(int descriptor, int byte) {
  auto range = lock_of(byte, F_WRLCK);
  return ::fcntl(descriptor, F_OFD_GETLK, &range) == 0
         && range.l_type != F_UNLCK;
}

void hold_opening(int descriptor, const std::string& path) {
  auto until = std::chrono::steady_clock::now() + patience;
  while (!hold(descriptor, opening_byte, F_WRLCK)) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR)
      fail("can't lock " + path + "-gate");
    auto now = std::chrono::steady_clock::now();
    if (now > until && held(descriptor, check_byte))
      until = now + patience;
    if (now > until)
      throw failed{error_code::timeout,
                   "another process has been opening the table file " + path
                     + " for 10 seconds: is it stopped?"};
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// A process that has LMDB's file of readers open, or 0. Only for who has not:
/// closing it would end its locks.
pid_t user_of_readers(const std::string& path) {
  int descriptor = ::open((path + "-lock").c_str(),
                          O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0)
    return 0;
  auto range = lock_of(0, F_WRLCK);
  auto code = ::fcntl(descriptor, F_GETLK, &range);
  ::close(descriptor);
  return code == 0 && range.l_type != F_UNLCK ? range.l_pid : 0;
}

} // namespace

void refuse_writable_by_others(const std::string& file, mode_t mode) {
  if ((mode & (S_IWGRP | S_IWOTH)) != 0)
    throw failed{error_code::refused,
                 "the file " + file
                   + " can be written by others than its owner: chmod go-w '"
                   + file + "'"};
}

lmdb_settings lmdb_settings_of(const table_options& x) {
  lmdb_settings out;
  auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  auto map = x.map_bytes == 0 ? default_map_bytes : x.map_bytes;
  out.map_bytes = (map + page - 1) / page * page;
  out.max_entries = x.max_entries;
  out.max_bytes = x.max_bytes;
  out.ttl_ms = x.ttl_ms;
  out.durable = x.durable == table_durability::always;
  return out;
}

lmdb_lock_file::lmdb_lock_file(std::string path)
  : path_(std::move(path)), own_pid_(::getpid()) {
  auto file = path_ + "-gate";
  for (;;) {
    descriptor_ = descriptors::get().open(file);
    if (descriptor_ < 0)
      fail("can't open " + file);
    try {
      hold_opening(descriptor_, path_);
      // Whoever held the place before may have removed the file.
      struct stat mine {};
      struct stat there {};
      if (::fstat(descriptor_, &mine) != 0)
        fail("can't look at " + file);
      if (mine.st_uid != ::geteuid())
        throw failed{error_code::refused,
                     "the file " + file + " belongs to another user"};
      refuse_writable_by_others(file, mine.st_mode);
      if (::stat(file.c_str(), &there) == 0 && mine.st_ino == there.st_ino
          && mine.st_dev == there.st_dev) {
        alone_ = hold(descriptor_, use_byte, F_WRLCK);
        if (!alone_ && !hold(descriptor_, use_byte, F_RDLCK))
          fail("can't lock " + file);
        map();
        return;
      }
    } catch (...) {
      if (page_ != nullptr)
        ::munmap(page_, sizeof(page));
      descriptors::get().close(descriptor_);
      throw;
    }
    descriptors::get().close(descriptor_);
  }
}

lmdb_lock_file::~lmdb_lock_file() {
  if (generation_ != fork_generation())
    return; // a parent's memory
  for (auto& user : page_->users)
    if (auto mine = own_pid_; user.compare_exchange_strong(mine, 0))
      break;
  ::munmap(page_, sizeof(page));
  descriptors::get().close(descriptor_); // which ends the locks
}

void lmdb_lock_file::begin_check() {
  hold(descriptor_, check_byte, F_WRLCK);
}

/// A process that ends or closes the table lets go of one file after the
/// other, so this looks for a moment before it believes what it sees.
void lmdb_lock_file::require_same_files() const {
  constexpr auto moment = std::chrono::seconds(2);
  auto until = std::chrono::steady_clock::now() + moment;
  for (;;) {
    auto user = user_of_readers(path_);
    if (alone_ ? user == 0 : user != 0 || !held(descriptor_, use_byte))
      return;
    if (std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    std::string who = std::to_string(user);
    if (!alone_) {
      who.clear();
      for (auto x : users())
        who += (who.empty() ? "" : ", ") + std::to_string(x);
    }
    throw failed{error_code::refused,
                 "the file " + path_ + (alone_ ? "-gate" : "-lock")
                   + " was removed or replaced while the processes " + who
                   + " use the table: end them first"};
  }
}

void lmdb_lock_file::map() {
  auto file = path_ + "-gate";
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0)
    fail("can't look at " + file);
  if (info.st_size < static_cast<off_t>(sizeof(page))) {
    if (!alone_)
      throw failed{error_code::internal, file + " is too short"};
    // So that a full file system is an error here, not a signal later.
    if (auto e = ::posix_fallocate(descriptor_, 0, sizeof(page)); e != 0) {
      errno = e;
      fail("no room for " + file);
    }
  }
  auto* p = ::mmap(nullptr, sizeof(page), PROT_READ | PROT_WRITE, MAP_SHARED,
                   descriptor_, 0);
  if (p == MAP_FAILED)
    fail("can't map " + file);
  page_ = static_cast<page*>(p);
  descriptors::get().mapped(descriptor_, p);
  used_before_ = std::memcmp(page_->magic, magic, sizeof magic) == 0;
  if (used_before_ && page_->version > lock_file_version)
    throw failed{error_code::refused, file + " is of version "
                                        + std::to_string(page_->version)
                                        + "; this program knows up to "
                                        + std::to_string(lock_file_version)};
  same_start_ = used_before_ && page_->boot == boot_id();
  was_durable_ = used_before_ && page_->settings.durable != 0;
  doubted_ = !same_start_ || page_->doubted != 0;
  was_table_ = used_before_ && page_->was_table != 0;
  if (alone_)
    prepare();
  else if (!used_before_)
    throw failed{error_code::internal, file + " is not what it should be"};
}

void lmdb_lock_file::prepare() {
  auto settings = used_before_ ? page_->settings : lmdb_settings{};
  std::memset(static_cast<void*>(page_), 0, sizeof(page));
  page_->settings = settings;
  page_->doubted = doubted_ ? 1 : 0;
  page_->was_table = was_table_ ? 1 : 0;
  std::memcpy(page_->magic, magic, sizeof magic);
  page_->version = lock_file_version;
  boot_id().copy(page_->boot, sizeof page_->boot - 1);
  pthread_mutexattr_t how;
  ::pthread_mutexattr_init(&how);
  ::pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutex_init(&page_->mutex, &how);
  ::pthread_mutexattr_destroy(&how);
  // On a disk, this is there before anything of the table is: so that after a
  // power cut one can tell that the table is from before it.
  if (!same_start_) {
    ::fsync(descriptor_);
    sync_folder();
  }
}

void lmdb_lock_file::sync_folder() const {
  auto folder = path_.substr(0, path_.rfind('/') + 1);
  int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return;
  ::fsync(descriptor);
  ::close(descriptor);
}

void lmdb_lock_file::before_fork() {
  descriptors::get().mutex.lock();
}

void lmdb_lock_file::after_fork_in_parent() {
  descriptors::get().mutex.unlock();
}

void lmdb_lock_file::after_fork_in_child() {
  auto& all = descriptors::get();
  for (auto [fd, page] : std::exchange(all.known, {})) {
    ::close(fd);
    if (page != nullptr) // nobody uses it here; it stays memory all the same
      static_cast<void>(::mmap(page, sizeof(lmdb_lock_file::page),
                               PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
  }
  all.mutex.unlock();
}

void lmdb_lock_file::agree_on(const lmdb_settings& mine) {
  settings_ = mine;
  if (alone_)
    return;
  std::string differ;
  auto compare = [&](const char* what, auto lmdb_settings::*x) {
    if (page_->settings.*x != mine.*x)
      differ += (differ.empty() ? "" : ", ") + std::string{what} + " ("
                + std::to_string(page_->settings.*x) + " there, "
                + std::to_string(mine.*x) + " here)";
  };
  compare("map_bytes", &lmdb_settings::map_bytes);
  compare("max_entries", &lmdb_settings::max_entries);
  compare("max_bytes", &lmdb_settings::max_bytes);
  compare("ttl_ms", &lmdb_settings::ttl_ms);
  if (page_->settings.durable != mine.durable)
    differ += std::string{differ.empty() ? "" : ", "} + "durable ("
              + (mine.durable != 0 ? "not there, but here)"
                                   : "there, but not here)");
  if (!differ.empty())
    throw failed{error_code::bad_value,
                 "other processes use the table file " + path_
                   + " with other settings; these differ: " + differ};
}

void lmdb_lock_file::opened() {
  enter();
  if (alone_) {
    page_->settings = settings_;
    page_->was_table = 1;
    page_->doubted = 0;
    hold(descriptor_, use_byte, F_RDLCK); // at no moment without a lock
  }
  hold(descriptor_, check_byte, F_UNLCK);
  hold(descriptor_, opening_byte, F_UNLCK);
}

void lmdb_lock_file::enter() {
  for (auto& user : page_->users) {
    pid_t there = user.load();
    if ((there == 0 || !lives(there))
        && user.compare_exchange_strong(there, own_pid_))
      return;
  }
}

std::vector<pid_t> lmdb_lock_file::users() const {
  return living(*page_);
}

std::vector<pid_t> lmdb_lock_file::living(const page& from) {
  std::vector<pid_t> out;
  for (auto& user : from.users)
    if (auto x = user.load(); x != 0 && lives(x))
      out.push_back(x);
  return out;
}

lmdb_lock_file::state lmdb_lock_file::look(const std::string& path) {
  state out;
  auto file = path + "-gate";
  int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0)
    return out; // nobody has used it since it was copied here
  out.in_use = held(descriptor, use_byte);
  struct stat info {};
  if (::fstat(descriptor, &info) == 0
      && info.st_size >= static_cast<off_t>(sizeof(page))) {
    auto* p = ::mmap(nullptr, sizeof(page), PROT_READ, MAP_SHARED, descriptor,
                     0);
    if (p != MAP_FAILED) {
      auto& there = *static_cast<const page*>(p);
      if (out.in_use) {
        out.writer = there.writer.load();
        out.users = living(there);
      }
      if (std::memcmp(there.magic, magic, sizeof magic) == 0
          && there.version == lock_file_version
          && there.settings.map_bytes != 0)
        out.settings = there.settings;
      ::munmap(p, sizeof(page));
    }
  }
  ::close(descriptor);
  return out;
}

lmdb_lock_file::visit::visit(const std::string& path) {
  auto file = path + "-gate";
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor_ < 0) {
    if (errno == ENOENT) // nobody has used it since it was copied here
      return;
    fail("can't open " + file);
  }
  try {
    hold_opening(descriptor_, path);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
  hold(descriptor_, check_byte, F_WRLCK);
  in_use_ = held(descriptor_, use_byte);
}

void lmdb_lock_file::visit::leave() noexcept {
  if (descriptor_ >= 0)
    ::close(std::exchange(descriptor_, -1));
}

// -- the lock of writers -----------------------------------------------------

bool lmdb_lock_file::take(int result) {
  if (result == 0)
    return true;
  if (result != EOWNERDEAD)
    return false;
  // What its owner had not committed is not there for anyone; LMDB looks
  // after its own lock in the same way.
  ::pthread_mutex_consistent(&page_->mutex);
  return true;
}

bool lmdb_lock_file::try_lock() {
  return take(::pthread_mutex_trylock(&page_->mutex));
}

void lmdb_lock_file::wait() {
  // A transaction takes less than what it costs to sleep and be woken.
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 16; ++k)
      relax();
    if (try_lock())
      return;
  }
  blocking_scope waiting;
  for (int seconds = 1;; ++seconds) {
    timespec until{};
    ::clock_gettime(CLOCK_MONOTONIC, &until);
    ++until.tv_sec;
    auto result = ::pthread_mutex_clocklock(&page_->mutex, CLOCK_MONOTONIC,
                                            &until);
    if (take(result))
      return;
    if (result != ETIMEDOUT) {
      errno = result;
      fail("can't lock the table file " + path_);
    }
    if (seconds == 1 || seconds % 60 == 0)
      log::say(log::level::warning, "lmdb", {}, warning(seconds));
  }
}

std::string lmdb_lock_file::warning(int seconds) const {
  auto who = std::to_string(writer());
  return "the process " + who + " has been writing to the table file " + path_
         + " for " + std::to_string(seconds)
         + " s, this one waits; is it stopped? (kill -CONT " + who
         + " lets it go on)";
}

// -- bytes -------------------------------------------------------------------

std::uint64_t lmdb_lock_file::bytes(std::uint64_t transaction) const noexcept {
  return page_->sizes[transaction & 1].bytes;
}

bool lmdb_lock_file::knows_bytes(std::uint64_t transaction) const noexcept {
  return page_->sizes[transaction & 1].transaction == transaction;
}

void lmdb_lock_file::set_bytes(std::uint64_t transaction,
                               std::uint64_t bytes) noexcept {
  auto& size = page_->sizes[transaction & 1];
  // Whoever dies in between leaves what no transaction matches.
  size.transaction = ~std::uint64_t{0};
  std::atomic_signal_fence(std::memory_order_seq_cst);
  size.bytes = bytes;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  size.transaction = transaction;
}

} // namespace hornbeam::runtime
