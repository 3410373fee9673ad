#include "runtime/base/host_registry.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <iomanip>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fork.hpp"
#include "runtime/base/host_name.hpp"
#include "runtime/base/runtime_directory.hpp"

// A file with the name of a node says `PID ADDRESS`, or `PID` alone while the
// node has no address yet, or `PID HERE ELSEWHERE HOST` if the computer HOST
// reaches it otherwise than all others do. Who makes it does so beside, under a
// name that no node has, locks it, writes it and only then gives it its name:
// what has the name of a node and isn't locked belongs to nobody, for ever. Who
// removes such a file locks another byte of it, so that nobody removes what has
// taken its place meanwhile. Its mode says whether somebody has waited for that
// node in vain.

namespace hornbeam::runtime {

namespace {

constexpr auto patience = std::chrono::milliseconds(500);
constexpr auto nap = std::chrono::milliseconds(5);
/// How many dead entries one look at all removes, in some 5 ms; the others are
/// for whoever looks next.
constexpr int most_to_remove = 500;
constexpr off_t owner_byte = 0;
constexpr off_t remover_byte = 1;
constexpr std::size_t longest_entry = 1024;
constexpr mode_t plain_mode = 0600;
constexpr mode_t silent_mode = 0700;

std::runtime_error failure_of_system(const std::string& what, int why = errno) {
  return std::runtime_error{what + ": " + std::strerror(why)};
}

class descriptor {
public:
  explicit descriptor(int x) noexcept : x_(x) {}
  ~descriptor() {
    if (x_ >= 0)
      ::close(x_);
  }
  descriptor(descriptor&& x) noexcept : x_(x.release()) {}
  descriptor& operator=(descriptor&&) = delete;

  explicit operator bool() const noexcept { return x_ >= 0; }
  int get() const noexcept { return x_; }
  int release() noexcept { return std::exchange(x_, -1); }

private:
  int x_;
};

/// Invalid, with `errno`, if it can't be opened.
descriptor open_folder(const std::string& path) {
  descriptor out{
    ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat info {};
  if (out && ::fstat(out.get(), &info) == 0)
    require_private_folder(path, info);
  return out;
}

// -- entries -----------------------------------------------------------------

bool may_be_entry(const struct stat& x) {
  return S_ISREG(x.st_mode) && x.st_uid == ::geteuid();
}

bool lock(int file, off_t byte) {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  return ::fcntl(file, F_OFD_SETLK, &range) == 0;
}

/// Whether somebody has locked the owner's byte.
bool is_held(int file) {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = owner_byte;
  range.l_len = 1;
  return ::fcntl(file, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

/// Invalid, with `errno`, if it can't be opened or is nothing that a node of
/// this user may have made.
descriptor open_entry(int folder, const std::string& name) {
  descriptor out{
    ::openat(folder, name.c_str(),
             O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  struct stat info {};
  if (!out || (::fstat(out.get(), &info) == 0 && may_be_entry(info)))
    return out;
  errno = EACCES;
  return descriptor{-1};
}

/// What an entry says; nothing if it isn't one.
std::optional<host_registry::entry> read_entry(int file,
                                               const std::string& name) {
  char text[longest_entry];
  auto size = ::pread(file, text, sizeof text, 0);
  if (size < 2 || text[size - 1] != '\n')
    return std::nullopt;
  const char* end = text + size - 1;
  host_registry::entry out{name, {}, 0, false};
  auto [rest, error] = std::from_chars(text, end, out.process);
  if (error != std::errc{} || out.process <= 0)
    return std::nullopt;
  if (rest == end)
    return out;
  std::vector<std::string> words;
  while (rest != end && *rest == ' ') {
    auto from = rest + 1;
    rest = std::find_if(from, end,
                        [](char c) { return c <= ' ' || c >= '\x7f'; });
    words.emplace_back(from, rest);
  }
  auto none = [](auto& x) { return x.empty(); };
  if (rest != end || (words.size() != 1 && words.size() != 3)
      || std::any_of(words.begin(), words.end(), none))
    return std::nullopt;
  bool elsewhere = words.size() == 3 && words[2] != host_name();
  out.address = std::move(words[elsewhere ? 1 : 0]);
  return out;
}

void write_entry(int file, const std::string& path, const std::string& text) {
  auto size = ::pwrite(file, text.data(), text.size(), 0);
  if (size >= 0 && size < static_cast<ssize_t>(text.size()))
    throw failure_of_system("can't write the file " + path, ENOSPC);
  if (size < 0 || ::ftruncate(file, size) != 0)
    throw failure_of_system("can't write the file " + path);
}

bool is_same_file(int folder, const std::string& name, int file) {
  struct stat mine {};
  struct stat there {};
  return ::fstat(file, &mine) == 0
         && ::fstatat(folder, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0
         && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

/// Removes what nobody holds, unless another process is doing so.
void remove_dead(int folder, const std::string& name, int file) {
  if (lock(file, remover_byte) && is_same_file(folder, name, file))
    ::unlinkat(folder, name.c_str(), 0);
}

// -- files beside ------------------------------------------------------------

constexpr char mark_beside = '~';
constexpr std::size_t digits_beside = 16;

std::string name_beside() {
  std::random_device random;
  std::ostringstream out;
  out << mark_beside << std::hex << std::setfill('0');
  for (std::size_t i = 0; i < digits_beside; i += 8)
    out << std::setw(8) << random();
  return out.str();
}

bool is_name_beside(const std::string& x) {
  return x.size() == 1 + digits_beside && x[0] == mark_beside
         && x.find_first_not_of("0123456789abcdef", 1) == std::string::npos;
}

/// An entry that has no name yet, locked and written.
class new_entry {
public:
  new_entry(int folder, const std::string& path)
    : folder_(folder),
      name_(name_beside()),
      file_(::openat(folder, name_.c_str(),
                     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     plain_mode)) {
    if (!file_)
      throw failure_of_system("can't make the file " + path);
    try {
      if (!lock(file_.get(), owner_byte))
        throw failure_of_system("can't lock the file " + path);
      write_entry(file_.get(), path, std::to_string(::getpid()) + '\n');
    } catch (...) {
      ::unlinkat(folder_, name_.c_str(), 0);
      throw;
    }
  }
  ~new_entry() { ::unlinkat(folder_, name_.c_str(), 0); }
  new_entry(const new_entry&) = delete;
  new_entry& operator=(const new_entry&) = delete;

  /// False, with `errno`, if it can't have that name.
  bool take(const std::string& name) {
    return ::linkat(folder_, name_.c_str(), folder_, name.c_str(), 0) == 0;
  }
  int release() noexcept { return file_.release(); }

private:
  int folder_;
  std::string name_;
  descriptor file_;
};

/// Removes what no node of this user has made from the place of an entry, which
/// could not be opened for the reason `why`.
void clear_place(int folder, const std::string& name, const std::string& path,
                 int why) {
  struct stat info {};
  if (why == ENOENT
      || ::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return; // it has gone
  if (may_be_entry(info) && why != EACCES)
    throw failure_of_system("can't open the file " + path, why);
  int how = S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0;
  if (::unlinkat(folder, name.c_str(), how) != 0 && errno != ENOENT)
    throw failure_of_system("can't remove " + path
                            + ", where this host keeps the address of " + name);
}

/// The process that holds a name, 0 if the entry doesn't tell. What nobody
/// holds is removed.
std::optional<long> holder_of(int folder, const std::string& name,
                              const std::string& path) {
  auto file = open_entry(folder, name);
  if (!file) {
    clear_place(folder, name, path, errno);
    return std::nullopt;
  }
  if (!is_held(file.get())) {
    remove_dead(folder, name, file.get());
    return std::nullopt;
  }
  auto who = read_entry(file.get(), name);
  return who ? who->process : 0;
}

/// The entry of a process that lives. A dead one is removed, at most
/// `may_remove` of them; what isn't one stays, as somebody may need it.
std::optional<host_registry::entry> look_at(int folder, const std::string& name,
                                            int& may_remove) {
  auto file = open_entry(folder, name);
  if (!file)
    return std::nullopt;
  bool held = is_held(file.get());
  if (!held && may_remove == 0)
    return std::nullopt;
  auto out = read_entry(file.get(), name);
  if (!held && (out || is_name_beside(name))) {
    remove_dead(folder, name, file.get());
    --may_remove;
  }
  if (!held || is_name_beside(name) || !out || out->address.empty())
    return std::nullopt;
  struct stat info {};
  out->silent = ::fstat(file.get(), &info) == 0
                && (info.st_mode & silent_mode) == silent_mode;
  return out;
}

} // namespace

// -- the registry ------------------------------------------------------------

host_registry::host_registry(std::string cluster)
  : cluster_(std::move(cluster)) {}

host_registry::~host_registry() {
  withdraw();
}

void host_registry::claim(const std::string& name) {
  if (auto holder = claim_within(name, patience))
    throw std::runtime_error(
      "a node named " + name + " runs on this host already"
      + (*holder != 0 ? ": pid " + std::to_string(*holder) : ""));
}

bool host_registry::try_claim(const std::string& name) {
  return !claim_within(name, {});
}

bool host_registry::holds(const std::string& name) const {
  return descriptor_ >= 0 && generation_ == fork_generation()
         && path_.ends_with("/" + name);
}

std::optional<long> host_registry::claim_within(
  const std::string& name, std::chrono::milliseconds wait) {
  withdraw();
  auto path = runtime_directory() + "/" + cluster_;
  make_private_folder(path);
  auto folder = open_folder(path);
  if (!folder)
    throw failure_of_system("can't open the folder " + path);
  path += "/" + name;
  auto until = std::chrono::steady_clock::now() + wait;
  for (;;) {
    new_entry mine{folder.get(), path};
    if (mine.take(name)) {
      path_ = path;
      descriptor_ = mine.release();
      generation_ = fork_generation();
      return std::nullopt;
    }
    // Without the file beside, somebody has taken it for a dead one.
    if (errno != EEXIST && errno != ENOENT)
      throw failure_of_system("can't make the file " + path);
    auto holder = holder_of(folder.get(), name, path);
    // What nobody holds has been removed, and is tried again.
    auto late = until + (holder ? std::chrono::milliseconds(0) : patience);
    if (std::chrono::steady_clock::now() >= late)
      return holder.value_or(0);
    if (holder)
      std::this_thread::sleep_for(nap);
  }
}

void host_registry::publish(const std::string& here,
                            const std::string& elsewhere) {
  auto text = std::to_string(::getpid()) + ' ' + here;
  if (elsewhere != here)
    text += ' ' + elsewhere + ' ' + host_name();
  write_entry(descriptor_, path_, text + '\n');
}

void host_registry::withdraw() noexcept {
  if (descriptor_ >= 0 && generation_ == fork_generation()
      && is_same_file(AT_FDCWD, path_, descriptor_))
    ::unlink(path_.c_str()); // while it is locked: what isn't belongs to nobody
  disown();
}

void host_registry::disown() noexcept {
  if (descriptor_ >= 0)
    ::close(std::exchange(descriptor_, -1));
}

void host_registry::set_silent(const std::string& name,
                               bool on) const noexcept {
  try {
    if (auto folder = open_folder(find_runtime_directory() + "/" + cluster_))
      if (auto file = open_entry(folder.get(), name)) {
        struct stat info {};
        auto mode = on ? silent_mode : plain_mode;
        if (::fstat(file.get(), &info) == 0 && (info.st_mode & 0777) != mode)
          ::fchmod(file.get(), mode);
      }
  } catch (const std::exception&) {
    // Others wait for it as well then.
  }
}

std::optional<std::string> host_registry::find(const std::string& name) const {
  if (name.find('/') != std::string::npos)
    return std::nullopt;
  int may_remove = 1;
  try {
    if (auto folder = open_folder(find_runtime_directory() + "/" + cluster_))
      if (auto found = look_at(folder.get(), name, may_remove))
        return std::move(found->address);
  } catch (const std::runtime_error&) {
    // The folder is another user's.
  }
  return std::nullopt;
}

std::vector<host_registry::entry> host_registry::all() const {
  std::vector<entry> out;
  auto path = find_runtime_directory() + "/" + cluster_;
  auto folder = open_folder(path);
  if (!folder && errno == ENOENT)
    return out; // no node has ever run here
  std::unique_ptr<DIR, int (*)(DIR*)> names{
    folder ? ::fdopendir(folder.get()) : nullptr, ::closedir};
  if (!names)
    throw failure_of_system("can't look into the folder " + path);
  folder.release(); // it is closed with `names`
  int may_remove = most_to_remove;
  while (auto* x = ::readdir(names.get()))
    if (auto found = look_at(::dirfd(names.get()), x->d_name, may_remove))
      out.push_back(std::move(*found));
  std::sort(out.begin(), out.end(),
            [](auto& a, auto& b) { return a.name < b.name; });
  return out;
}

} // namespace hornbeam::runtime
