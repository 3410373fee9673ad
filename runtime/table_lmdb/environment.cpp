#include "runtime/table_lmdb/environment.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/blocking.hpp"
#include "runtime/base/fork.hpp"
#include "runtime/base/log.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/outcome.hpp"
#include "runtime/table_lmdb/file_reader.hpp"

namespace hornbeam::runtime {

namespace {

namespace fs = std::filesystem;

constexpr const char* expiry_name = "\1expiry";
constexpr unsigned max_readers = 1024;

struct file_header {
  char magic[8];
  std::uint32_t version;
  std::uint32_t reserved;
};
constexpr char magic[8] = {'h', 'b', 't', 'a', 'b', 'l', 'e', '\n'};
constexpr std::uint32_t format_version = 1;

/// The files of a table.
constexpr std::array endings{"", "-lock", "-gate"};

/// The environment in whose transaction this thread writes. What LMDB asserts
/// then leaves it in the middle of a change.
thread_local const lmdb_environment* writes_to = nullptr;

/// The name by which a file is known, however it was written.
std::string canonical(const std::string& path) {
  if (auto zero = path.find('\0'); zero != std::string::npos)
    throw failed{error_code::bad_value,
                 "the path of a table file has a zero byte behind '"
                   + path.substr(0, zero) + "'"};
  std::error_code none;
  if (auto what = fs::status(path, none);
      fs::exists(what) && !fs::is_regular_file(what))
    throw failed{
      error_code::bad_value,
      "the table file " + path + " can't be "
        + (fs::is_directory(what) ? "a folder" : "anything but a file")};
  auto folder = fs::path{path}.parent_path();
  auto real = fs::canonical(folder.empty() ? "." : folder, none);
  if (none)
    throw failed{error_code::not_found, "there is no folder for the table file "
                                          + path + ": " + none.message()};
  return (real / fs::path{path}.filename()).string();
}

} // namespace

void fail_lmdb(int code, const std::string& path) {
  auto file = "the table file " + path;
  switch (code) {
    case MDB_MAP_FULL:
      throw failed{error_code::overloaded,
                   file + " is full: map_bytes is the most that it may hold"};
    case EFBIG:
      throw failed{error_code::overloaded,
                   "no room for " + file
                     + ": the system lets no file be as large as map_bytes ("
                     + std::strerror(code) + "); nothing was changed"};
    case ENOSPC:
    case EDQUOT:
      throw failed{error_code::overloaded,
                   "no room for " + file + ": its file system is full ("
                     + std::strerror(code) + "); nothing was changed"};
    case ENOMEM:
      throw failed{error_code::overloaded,
                   file + " does not fit into the address space ("
                     + std::strerror(code)
                     + "): map_bytes is how much it takes"};
    case MDB_TXN_FULL:
      throw failed{error_code::overloaded,
                   "one operation changes too much of " + file};
    case MDB_READERS_FULL:
      throw failed{error_code::overloaded, "more than "
                                             + std::to_string(max_readers)
                                             + " threads read " + file};
    case MDB_BAD_VALSIZE:
      throw failed{error_code::bad_value,
                   "a value of 4 GiB or more does not fit into " + file};
    case MDB_PANIC:
      throw failed{error_code::internal,
                   file
                     + " can't be written any more, since its disk failed; "
                       "start this process again"};
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
      throw failed{error_code::internal,
                   file + " is damaged, or is no table: " + ::mdb_strerror(code)
                     + "; hornbeam state check '" + path + "' says more"};
    case MDB_VERSION_MISMATCH:
      throw failed{error_code::refused,
                   file + " is of another version of LMDB"};
    default:
      throw failed{error_code::internal, file + ": " + ::mdb_strerror(code)};
  }
}

// -- one for each file -------------------------------------------------------

namespace {

/// The table files of this process, by name. An entry is there from before its
/// file is opened until after it is closed.
///
/// What always holds: no file is opened or closed with the mutex held. Others
/// that want the file meanwhile wait, and have given Python's lock back.
struct open_files {
  static open_files& get() {
    static auto* one = new open_files;
    return *one;
  }

  /// The file, if it is open; null: the caller is to open it now.
  lmdb_environment_ptr find_or_begin(const std::string& name) {
    std::unique_lock lock{mutex};
    lmdb_environment_ptr known;
    changed.wait(lock, [&] {
      auto [i, fresh] = files.try_emplace(name);
      known = i->second.lock();
      return fresh || known;
    });
    return known;
  }
  void opened(const lmdb_environment_ptr& x) {
    lock_scope guard{mutex};
    files[x->path()] = x;
    changed.notify_all();
  }
  void closed(const std::string& name) {
    lock_scope guard{mutex};
    files.erase(name);
    changed.notify_all();
  }
  /// In a forked child, which does nothing with what its parent has open.
  void forget() {
    files.clear();
    new (&changed) ranked_condition; // others may have waited
  }

  ranked_mutex<lock_rank::lmdb_files> mutex;
  ranked_condition changed;
  std::map<std::string, std::weak_ptr<lmdb_environment>> files;
};

[[maybe_unused]] const int around_forks
  = at_fork(fork_stage::table_files, {[] {
                                        open_files::get().mutex.lock();
                                        lmdb_lock_file::before_fork();
                                      },
                                      [] {
                                        lmdb_lock_file::after_fork_in_parent();
                                        open_files::get().mutex.unlock();
                                      },
                                      [] {
                                        lmdb_lock_file::after_fork_in_child();
                                        open_files::get().forget();
                                        open_files::get().mutex.unlock();
                                      }});

} // namespace

lmdb_environment_ptr lmdb_environment::open(const std::string& path,
                                            const lmdb_settings& settings,
                                            table_check check) {
  auto name = canonical(path);
  blocking_scope waiting; // for another thread or process that opens it
  auto& all = open_files::get();
  if (auto known = all.find_or_begin(name)) {
    if (known->settings() != settings)
      throw failed{error_code::bad_value, "this process has the table file "
                                            + name
                                            + " open with other settings"};
    return known;
  }
  try {
    lmdb_environment_ptr x{new lmdb_environment(name, settings, check),
                           [](lmdb_environment* old) {
                             // A parent's memory and descriptors stay.
                             if (!old->current())
                               return;
                             auto its_path = old->path();
                             if (!old->broken())
                               delete old;
                             open_files::get().closed(its_path);
                           }};
    all.opened(x);
    return x;
  } catch (...) {
    all.closed(name);
    throw;
  }
}

lmdb_environment::lmdb_environment(const std::string& path,
                                   const lmdb_settings& settings,
                                   table_check check)
  : lock_file_(path), settings_(settings), generation_(fork_generation()) {
  lock_file_.agree_on(settings_);
  try {
    open_file(check);
    open_tables();
  } catch (...) {
    close();
    throw;
  }
  lock_file_.opened();
}

lmdb_environment::~lmdb_environment() {
  close();
}

void lmdb_environment::close() noexcept {
  for (auto& x : idle_)
    if (auto* txn = x.exchange(nullptr))
      ::mdb_txn_abort(txn);
  if (env_ != nullptr && !broken_)
    ::mdb_env_close(env_);
}

void lmdb_environment::open_file(table_check how) {
  if (!lock_file_.alone() && lock_file_.unusable())
    look();
  lock_file_.require_same_files();
  struct stat info {};
  if (::stat(path().c_str(), &info) == 0) {
    if (info.st_uid != ::geteuid())
      throw failed{error_code::refused,
                   "the table file " + path() + " belongs to another user"};
    refuse_writable_by_others(path(), info.st_mode);
  }
  if (lock_file_.alone()) {
    begin_anew_if_older();
    require_whole(how);
  }
  bool there = ::access(path().c_str(), F_OK) == 0;
  auto check = [&](int code) {
    if (code != 0)
      fail_lmdb(code, path());
  };
  check(::mdb_env_create(&env_));
  ::mdb_env_set_userctx(env_, this);
  ::mdb_env_set_assert(env_, &lmdb_environment::assertion_failed);
  check(::mdb_env_set_mapsize(env_, settings_.map_bytes));
  check(::mdb_env_set_maxreaders(env_, max_readers));
  check(::mdb_env_set_maxdbs(env_, 1));
  unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
  if (!durable())
    flags |= MDB_WRITEMAP | MDB_NOSYNC;
  if (lock_file_.alone())
    reserve_lock_file();
  auto code = ::mdb_env_open(env_, path().c_str(), flags, 0600);
  if (code != 0 && !there)
    ::unlink(path().c_str()); // half of its first pages is no file for anybody
  check(code);
  MDB_envinfo size{};
  ::mdb_env_info(env_, &size);
  if (size.me_mapsize != settings_.map_bytes)
    throw failed{error_code::bad_value,
                 "the table file " + path() + " holds "
                   + std::to_string(size.me_mapsize)
                   + " bytes, more than map_bytes = "
                   + std::to_string(settings_.map_bytes)};
  if (durable() && lock_file_.alone())
    lock_file_.sync_folder();
  for (std::size_t i = 0; i < endings.size(); ++i)
    files_[i] = identity_of(path() + endings[i]);
  page_size_ = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  int dead = 0;
  ::mdb_reader_check(env_, &dead); // slots of who was killed
}

/// Without syncs, what a power cut left on a disk is in no order.
void lmdb_environment::begin_anew_if_older() {
  if (!lock_file_.used_before() || lock_file_.was_durable()
      || lock_file_.same_start() || ::access(path().c_str(), F_OK) != 0)
    return;
  log::say(log::level::warning, "lmdb", {},
           "the table file " + path()
             + " is from before the machine was started, and not durable: "
               "it begins empty");
  ::unlink(path().c_str());
  ::unlink((path() + "-lock").c_str());
}

/// Whether the file is what LMDB may be trusted with. That costs two reads
/// unless there is a reason to look at all of it.
void lmdb_environment::require_whole(table_check check) {
  struct stat info {};
  if (::stat(path().c_str(), &info) != 0
      || (info.st_size == 0 && !lock_file_.was_table()))
    return;
  lmdb_file_reader file{path()};
  if (file.foreign() && !lock_file_.was_table())
    fail_lmdb(MDB_INVALID, path());
  if (file.other_version())
    fail_lmdb(MDB_VERSION_MISMATCH, path());
  auto& commit = file.last();
  auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (commit && commit->page_size != page)
    throw failed{error_code::refused, "the table file " + path()
                                        + " has pages of "
                                        + std::to_string(commit->page_size)
                                        + " bytes, those of this machine have "
                                        + std::to_string(page)};
  bool is_table = lock_file_.was_table();
  auto why = file.bad_start();
  bool doubted = lock_file_.doubted() || file.too_short();
  if (why.empty()
      && (check == table_check::always
          || (check == table_check::after_crash && doubted))) {
    lock_file_.begin_check();
    auto found = file.check(*commit);
    why = found.summary();
    is_table = is_table || found.is_table;
  }
  if (why.empty())
    return;
  lock_file_.set_doubted(); // so that who tries again looks as well
  if (durable() || lock_file_.was_durable() || !is_table)
    throw failed{error_code::internal,
                 "the table file " + path() + " is damaged: " + why
                   + "; hornbeam state salvage '" + path()
                   + "' FILE saves what can be read of it, and hornbeam state "
                     "restore '"
                   + path() + "' FILE makes a table of that"};
  set_aside(why);
}

void lmdb_environment::set_aside(const std::string& why) {
  auto to = lmdb_set_aside(path());
  log::say(log::level::error, "lmdb", {},
           "the table file " + path() + " is damaged: " + why
             + "; it was set aside as " + to
             + ", and the table begins empty. hornbeam state salvage '" + to
             + "' FILE saves what can be read of it");
}

std::string lmdb_set_aside(const std::string& path) {
  char when[32];
  auto now = ::time(nullptr);
  struct tm parts {};
  ::strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", ::gmtime_r(&now, &parts));
  auto wanted = path + ".damaged-" + when;
  auto to = wanted;
  for (int i = 2; ::access(to.c_str(), F_OK) == 0; ++i)
    to = wanted + "-" + std::to_string(i);
  if (::rename(path.c_str(), to.c_str()) != 0)
    throw failed{error_code::internal, "can't set the damaged table file "
                                         + path + " aside as " + to + ": "
                                         + std::strerror(errno)};
  ::unlink((path + "-lock").c_str());
  return to;
}

bool lmdb_environment::writing_here() const noexcept {
  return writes_to == this;
}

void lmdb_environment::begin_writing() const noexcept {
  writes_to = this;
}

void lmdb_environment::end_writing() noexcept {
  writes_to = nullptr;
}

/// LMDB would end the process. C functions keep nothing that an exception must
/// give back but what belongs to a transaction: one that only reads can be
/// ended, one that writes can't.
void lmdb_environment::assertion_failed(MDB_env* env, const char* what) {
  auto& me = *static_cast<lmdb_environment*>(::mdb_env_get_userctx(env));
  me.lock_file_.set_doubted();
  if (writes_to == &me) {
    me.broken_ = true;
    me.lock_file_.set_unusable();
  }
  throw failed{error_code::internal,
               "the table file " + me.path() + " is damaged (" + what
                 + "); hornbeam state check '" + me.path() + "' says more"};
}

/// LMDB maps its file of readers and touches it as they come, which on a full
/// file system would be a signal. Nobody has it open: else its locks would end
/// with the descriptor.
void lmdb_environment::reserve_lock_file() const {
  constexpr std::uint64_t bytes_of_reader = 64;
  auto file = path() + "-lock";
  auto descriptor = ::open(file.c_str(),
                           O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0)
    fail_lmdb(errno, file);
  struct stat info {};
  if (::fstat(descriptor, &info) == 0 && (info.st_mode & 022) != 0) {
    ::close(descriptor);
    refuse_writable_by_others(file, info.st_mode);
  }
  auto code = reserve_lmdb(descriptor, 0,
                           page_size_ + max_readers * bytes_of_reader);
  ::close(descriptor);
  if (code != 0)
    fail_lmdb(code, file);
}

/// Who finds all that there must be writes nothing: it waits for no writer and
/// needs no room.
void lmdb_environment::open_tables() {
  if (find_tables())
    return;
  if (!lock_file_.alone())
    fail_lmdb(MDB_INVALID, path());
  lmdb_transaction x{*this};
  x.reserve(1, 0); // a few entries on one page
  if (auto code = open_tables(x.handle(), MDB_CREATE); code != 0)
    fail_lmdb(code, path());
  if (x.stat(entries_).ms_entries == 1) // the name of the order of expiry
    x.put_header();
  check_header(x.handle());
  x.commit();
}

bool lmdb_environment::find_tables() {
  MDB_txn* txn = nullptr;
  if (auto code = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn); code != 0)
    fail_lmdb(code, path());
  try {
    auto code = open_tables(txn, 0);
    if (code == MDB_NOTFOUND) {
      ::mdb_txn_abort(txn);
      return false;
    }
    if (code != 0)
      fail_lmdb(code, path());
    check_header(txn);
    MDB_stat order{};
    if (::mdb_stat(txn, expiry_, &order) == 0 && order.ms_entries != 0)
      lock_file_.set_expiring();
  } catch (...) {
    ::mdb_txn_abort(txn);
    throw;
  }
  ::mdb_txn_commit(txn); // keeps the handles
  return true;
}

int lmdb_environment::open_tables(MDB_txn* txn, unsigned flags) {
  auto code = ::mdb_dbi_open(txn, nullptr, 0, &entries_);
  return code != 0 ? code : ::mdb_dbi_open(txn, expiry_name, flags, &expiry_);
}

std::string lmdb_header() {
  file_header header{};
  std::memcpy(header.magic, magic, sizeof magic);
  header.version = format_version;
  std::string out(sizeof header, '\0');
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

void lmdb_environment::check_header(MDB_txn* txn) const {
  std::string_view bytes;
  file_header header{};
  if (!find_lmdb(txn, entries_, path(), lmdb_header_key, bytes)
      || bytes.size() < sizeof header)
    fail_lmdb(MDB_INVALID, path());
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, magic, sizeof magic) != 0)
    fail_lmdb(MDB_INVALID, path());
  if (header.version > format_version)
    throw failed{error_code::refused,
                 "the table file " + path() + " is of version "
                   + std::to_string(header.version)
                   + ", written by a newer program; this one knows up to "
                   + std::to_string(format_version)};
}

std::uint64_t lmdb_environment::file_bytes() const noexcept {
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  return (info.me_last_pgno + 1) * page_size_;
}

// -- whether it is still there -----------------------------------------------

std::int64_t lmdb_environment::coarse_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

lmdb_environment::file_identity lmdb_environment::identity_of(
  const std::string& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0)
    return {};
  return {info.st_dev, info.st_ino};
}

void lmdb_environment::look() {
  if (lock_file_.unusable())
    throw failed{error_code::internal,
                 "the table file " + path()
                   + " was found to be damaged in the middle of a write; end "
                     "all processes that use it: the next one that opens it "
                     "looks at all of it"};
  for (std::size_t i = 0; i < endings.size(); ++i) {
    auto file = path() + endings[i];
    auto now = identity_of(file);
    if (!lock_file_.removed() && now == files_[i])
      continue;
    auto systemd = now == file_identity{}
                     ? removed_by_systemd(file, ::geteuid())
                     : std::string{};
    std::string text{i == 0 ? "the table file " : "the file "};
    text += file;
    text += " was removed or replaced while this process used it; start the "
            "process again";
    text += systemd;
    throw failed{error_code::not_found, text};
  }
  look_at_ = coarse_ms() + 100;
}

std::string removed_by_systemd(const std::string& path, uid_t user) {
  constexpr uid_t first_ordinary = 1000; // below are root and services
  if (user < first_ordinary || !path.starts_with("/dev/shm/"))
    return {};
  return ". Was it systemd, which empties /dev/shm of an ordinary user at the "
         "last logout (RemoveIPC)? Then loginctl enable-linger, RemoveIPC=no "
         "in logind.conf, a user of the system (useradd --system), or a "
         "RUNTIME_DIRECTORY elsewhere helps";
}

} // namespace hornbeam::runtime
