#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <lmdb.h>

#include "runtime/base/fork.hpp"
#include "runtime/table_lmdb/lock_file.hpp"

namespace hornbeam::runtime {

/// Where the bytes on which a bound depends come from; a test says that there
/// are none. Returns 0 or an error number, as `posix_fallocate`.
using lmdb_reserve_function = int (*)(int descriptor, std::uint64_t from,
                                      std::uint64_t bytes);
/// Replaces the function of this process; null: the real one again.
void set_lmdb_reserve(lmdb_reserve_function f) noexcept;
int reserve_lmdb(int descriptor, std::uint64_t from,
                 std::uint64_t bytes) noexcept;

/// Raises the error of LMDB, or of the system, with what can be done.
[[noreturn]] void fail_lmdb(int code, const std::string& path);

/// Renames a damaged file that nobody uses to `PATH.damaged-TIME`, which is
/// returned. Raises `failed`.
std::string lmdb_set_aside(const std::string& path);

/// Whether it may be systemd that has removed a file of that user, and what
/// helps then; else empty.
std::string removed_by_systemd(const std::string& path, uid_t user);

/// Under this key, which is below all of ours, is what says that the file is a
/// table, and of which version.
inline constexpr std::string_view lmdb_header_key = "\1header";
std::string lmdb_header();
/// Entries of each file that are none of the table: the header, and the name
/// of the order of expiry.
inline constexpr std::size_t lmdb_housekeeping = 2;

/// One open table file. There is one of these for each file and process:
/// closing a second one would end the first one's locks.
///
/// The map is writable and commits sync nothing, which is what makes a write
/// take half a microsecond: what survives is then what the kernel has, which
/// is all of it unless the machine goes down. A durable file is mapped for
/// reading only and written in the order that LMDB prescribes.
///
/// A writable map means that a full file system would answer with SIGBUS: no
/// page is touched that was not reserved before, neither of the file nor of
/// LMDB's list of readers.
class lmdb_environment {
public:
  /// The one of that file. Raises `failed`: settings differ from those of
  /// other processes, the file is damaged, of a newer version or not of this
  /// user. A damaged file that is not durable is set aside instead.
  static std::shared_ptr<lmdb_environment> open(const std::string& path,
                                                const lmdb_settings& settings,
                                                table_check check
                                                = table_check::after_crash);
  ~lmdb_environment();
  lmdb_environment(const lmdb_environment&) = delete;
  lmdb_environment& operator=(const lmdb_environment&) = delete;

  const std::string& path() const noexcept { return lock_file_.path(); }
  const lmdb_settings& settings() const noexcept { return settings_; }
  bool durable() const noexcept { return settings_.durable != 0; }
  /// False in a forked child: it opens the file anew.
  bool current() const noexcept { return generation_ == fork_generation(); }
  /// LMDB gave up in the middle of a write: what it has open stays as it is,
  /// and nobody uses it any more.
  bool broken() const noexcept { return broken_; }
  /// Raises `failed` if one of the table's files was removed or replaced: looks
  /// at once for what `hornbeam state rm` did, and ten times a second for what
  /// others did.
  void check() {
    if (lock_file_.removed() || coarse_ms() >= look_at_) [[unlikely]]
      look();
  }
  lmdb_lock_file& lock_file() noexcept { return lock_file_; }
  MDB_env* handle() const noexcept { return env_; }
  MDB_dbi entries() const noexcept { return entries_; }
  MDB_dbi expiry() const noexcept { return expiry_; }
  /// Bytes of the file that are or were in use.
  std::uint64_t file_bytes() const noexcept;

private:
  friend class lmdb_snapshot;
  friend class lmdb_transaction;

  lmdb_environment(const std::string& path, const lmdb_settings& settings,
                   table_check check);
  void open_file(table_check check);
  void begin_anew_if_older();
  void require_whole(table_check check);
  void set_aside(const std::string& why);
  static void assertion_failed(MDB_env* env, const char* what);
  void reserve_lock_file() const;
  void open_tables();
  bool find_tables();
  int open_tables(MDB_txn* txn, unsigned flags);
  void check_header(MDB_txn* txn) const;
  void close() noexcept;
  void look();
  static std::int64_t coarse_ms() noexcept;

  MDB_txn* take_reader();
  void renew(MDB_txn* txn, bool fresh);
  void give_back(MDB_txn* txn) noexcept;
  /// Whether what is written takes more room than before, as much, or less.
  enum class use : std::uint8_t { more, same, less };
  /// What a transaction takes at the most.
  struct need {
    std::uint64_t pages = 0;
    std::uint64_t in_a_row = 0; ///< of them, for values of several pages
    std::uint64_t keys = 0;
    use what = use::more;
  };
  bool writing_here() const noexcept; ///< in this thread
  void begin_writing() const noexcept;
  static void end_writing() noexcept;
  void reserve(const need& x);
  void make_room(const need& x, std::uint64_t kept);
  bool can_reuse(std::uint64_t pages, std::uint64_t in_a_row);
  void free_at_once() noexcept;
  int grow(const need& x, std::uint64_t kept);
  std::pair<std::uint64_t, std::uint64_t> file_system_room(
    int descriptor) const;
  bool wait_for_readers(std::size_t near);

  lmdb_lock_file lock_file_;
  const lmdb_settings settings_;
  const std::uint32_t generation_;
  MDB_env* env_ = nullptr;
  MDB_dbi entries_ = 0;
  MDB_dbi expiry_ = 0;
  struct file_identity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const file_identity&) const = default;
  };
  static file_identity identity_of(const std::string& file);
  std::array<file_identity, 3> files_;
  std::atomic<std::int64_t> look_at_{0};
  std::uint64_t page_size_ = 4096;
  bool scarce_ = false; ///< pages; only for the writer
  std::atomic<bool> broken_{false};
  /// Transactions of readers that are not in use: to begin one anew costs ten
  /// times as much as to renew one.
  std::array<std::atomic<MDB_txn*>, 16> idle_{};
};
using lmdb_environment_ptr = std::shared_ptr<lmdb_environment>;

/// What a reader sees: all that was committed at one moment. Short, since
/// what it sees can't be reused meanwhile. Views are valid as long as it is.
class lmdb_snapshot {
public:
  explicit lmdb_snapshot(lmdb_environment& env)
    : env_(env), txn_(env.take_reader()) {}
  ~lmdb_snapshot() { env_.give_back(txn_); }
  lmdb_snapshot(const lmdb_snapshot&) = delete;
  lmdb_snapshot& operator=(const lmdb_snapshot&) = delete;

  lmdb_environment& environment() const noexcept { return env_; }
  MDB_txn* handle() const noexcept { return txn_; }

private:
  lmdb_environment& env_;
  MDB_txn* txn_;
};

/// One write, which happens as a whole or not at all. Only one process has
/// one at a time.
class lmdb_transaction {
  using use = lmdb_environment::use;

public:
  /// Waits for the others, or raises `failed` if there are any.
  explicit lmdb_transaction(lmdb_environment& env, bool patient = true);
  /// A part of another one that can fail alone (durable files only).
  explicit lmdb_transaction(lmdb_transaction& whole);
  /// Takes back what was not committed.
  ~lmdb_transaction();
  lmdb_transaction(const lmdb_transaction&) = delete;
  lmdb_transaction& operator=(const lmdb_transaction&) = delete;

  lmdb_environment& environment() const noexcept { return env_; }
  MDB_txn* handle() const noexcept { return txn_; }

  /// Before they are changed: so many keys, with so many bytes in all. Raises
  /// `failed` if there is no room for them.
  void reserve(std::size_t keys, std::uint64_t bytes) {
    add_pages(keys, bytes, use::more);
  }
  /// The same for a value of at most `most_in_place` bytes that replaces one as
  /// large.
  void reserve_in_place() { add_pages(1, 0, use::same); }
  static constexpr std::size_t most_in_place = 1024;
  /// The same for keys that go: to remove something takes some room as well,
  /// which is kept for that.
  void reserve_to_remove(std::size_t keys) { add_pages(keys, 0, use::less); }
  /// The same for as many keys as there is room for, up to `most`.
  std::size_t reserve_to_remove_some(std::size_t most);
  /// A place for a value of that size, which must be filled before the next
  /// call.
  void* put(MDB_dbi dbi, std::string_view key, std::size_t size);
  /// False if it was not there.
  bool erase(MDB_dbi dbi, std::string_view key);
  /// Removes all entries and the order of expiry.
  void clear();
  /// The others still wait until this is destroyed.
  void commit();
  MDB_stat stat(MDB_dbi dbi) const;
  std::uint64_t id() const noexcept { return ::mdb_txn_id(txn_); }
  /// Bytes of keys and values in the parts before this one, if known.
  std::optional<std::uint64_t>& bytes() noexcept {
    return whole_ != nullptr ? whole_->bytes_ : bytes_;
  }

private:
  [[noreturn]] void fail(int code) const;
  void begin(MDB_txn* whole);
  void require_sound();
  void add_pages(std::size_t keys, std::uint64_t bytes, use what);
  void put_header();
  friend class lmdb_environment;

  lmdb_environment& env_;
  lmdb_transaction* whole_ = nullptr;
  MDB_txn* txn_ = nullptr;
  lmdb_environment::need need_; ///< so far
  std::optional<std::uint64_t> bytes_;
};

/// The bytes of `key`, or false.
bool find_lmdb(MDB_txn* txn, MDB_dbi dbi, const std::string& path,
               std::string_view key, std::string_view& out);

/// A walk over keys in order; must end before its transaction.
class lmdb_cursor {
public:
  lmdb_cursor(MDB_txn* txn, MDB_dbi dbi, const std::string& path);
  ~lmdb_cursor();
  lmdb_cursor(const lmdb_cursor&) = delete;
  lmdb_cursor& operator=(const lmdb_cursor&) = delete;

  /// To the first key that is not less; false if there is none.
  bool seek(std::string_view key);
  bool next() { return move(MDB_NEXT); }
  std::string_view key() const noexcept { return key_; }
  std::string_view value() const noexcept { return value_; }
  /// Removes where it stands; `next` goes on behind.
  void erase();

private:
  bool move(MDB_cursor_op op);

  MDB_cursor* cursor_ = nullptr;
  const std::string& path_;
  std::string_view key_;
  std::string_view value_;
};

} // namespace hornbeam::runtime
