#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pthread.h>
#include <sys/types.h>

#include "runtime/base/fork.hpp"
#include "runtime/settings/table_options.hpp"

namespace hornbeam::runtime {

/// What all processes that use one table file must agree on.
struct lmdb_settings {
  std::uint64_t map_bytes = 0;
  std::uint64_t max_entries = 0;
  std::uint64_t max_bytes = 0;
  std::int64_t ttl_ms = 0;
  std::uint64_t durable = 0; ///< 1: always

  bool operator==(const lmdb_settings&) const = default;
};

lmdb_settings lmdb_settings_of(const table_options& x);

/// Raises `failed` for the mode of a file in which others could change what
/// this process trusts.
void refuse_writable_by_others(const std::string& file, mode_t mode);

/// A file beside the table's, `NAME-gate`, that all its processes map: the
/// lock of writers, who holds it, who is there, and the settings.
///
/// LMDB has a lock of its own, which is taken under this one and therefore at
/// once. This one can be waited for with an end, tried, and says who has it;
/// it is robust as well: who dies with it leaves it to the next.
///
/// Three byte ranges of the file are locked (open file description locks, which
/// end with the process): the first while somebody opens or closes, since LMDB
/// fails if two do so at once; the second, shared, by all who use the table;
/// the third while who opens looks at all of it, which others wait for longer.
/// Who gets the second for itself alone is the first, and prepares the file
/// anew: after a power cut the lock in it may look held for ever.
class lmdb_lock_file {
public:
  /// Takes the place of who opens the table at `path`. Raises `failed`.
  explicit lmdb_lock_file(std::string path);
  ~lmdb_lock_file();
  lmdb_lock_file(const lmdb_lock_file&) = delete;
  lmdb_lock_file& operator=(const lmdb_lock_file&) = delete;

  /// What can be seen from outside.
  struct state {
    bool in_use = false;
    pid_t writer = 0;
    std::vector<pid_t> users;
    /// What the table was last used with, if the file says so.
    std::optional<lmdb_settings> settings;
  };
  static state look(const std::string& path);

  /// The place of who opens the table, for who only reads its file: nobody
  /// else opens it as long as this lives. It changes nothing.
  class visit {
  public:
    /// Raises `failed`.
    explicit visit(const std::string& path);
    ~visit() { leave(); }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

    bool in_use() const noexcept { return in_use_; }
    /// Lets others open it.
    void leave() noexcept;

  private:
    int descriptor_ = -1;
    bool in_use_ = false;
  };

  const std::string& path() const noexcept { return path_; }
  /// Nobody else uses the table.
  bool alone() const noexcept { return alone_; }
  /// What the file was last used for, if anything: other settings than those
  /// of who is alone are no error. `same_start` says that the machine has not
  /// started anew since.
  bool used_before() const noexcept { return used_before_; }
  bool same_start() const noexcept { return same_start_; }
  bool was_durable() const noexcept { return was_durable_; }
  /// Nobody knows that the table is whole: the machine has started anew since
  /// it was used, damage was met, or who was to look has not ended that.
  bool doubted() const noexcept { return doubted_; }
  /// It was opened as a table before.
  bool was_table() const noexcept { return was_table_; }
  /// Who opens the table is about to look at all of it.
  void begin_check();
  /// With these settings it will be opened. Raises `failed`, which says what
  /// differs, if others use the table with other ones.
  void agree_on(const lmdb_settings& mine);
  /// Raises `failed` if processes use the table by another `-lock` or `-gate`,
  /// since theirs was removed.
  void require_same_files() const;
  /// So that a new file beside this one is found after a power cut.
  void sync_folder() const;
  /// From here on others may open. Until then the file says what it said
  /// before, so that the next one knows as much.
  void opened();

  // Around a fork: the child leaves the memory and the locks to its parent.
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();

  // -- the lock of writers ---------------------------------------------------

  /// Waits as long as it takes, and says on stderr after a second who has it.
  void lock() {
    if (!try_lock()) [[unlikely]]
      wait();
    page_->writer.store(own_pid_, std::memory_order_relaxed);
  }
  /// False if somebody else has it.
  bool lock_if_free() {
    if (!try_lock())
      return false;
    page_->writer.store(own_pid_, std::memory_order_relaxed);
    return true;
  }
  void unlock() {
    page_->writer.store(0, std::memory_order_relaxed);
    ::pthread_mutex_unlock(&page_->mutex);
  }
  /// The process that writes, or 0.
  pid_t writer() const noexcept {
    return page_->writer.load(std::memory_order_relaxed);
  }

  // -- what all processes see ------------------------------------------------

  bool removed() const noexcept {
    return page_->removed.load(std::memory_order_relaxed) != 0;
  }
  void set_removed() noexcept { page_->removed.store(1); }
  /// Somebody met damage: who opens the table next looks at all of it.
  void set_doubted() noexcept { page_->doubted.store(1); }
  /// A writer did, who can't go on: nobody can use the table any more.
  void set_unusable() noexcept {
    set_doubted();
    page_->removed.store(2);
  }
  bool unusable() const noexcept { return page_->removed.load() == 2; }
  /// Whether any key has a time to live, or had.
  bool expiring() const noexcept {
    return page_->expiring.load(std::memory_order_relaxed) != 0;
  }
  void set_expiring() noexcept { page_->expiring.store(1); }
  std::vector<pid_t> users() const;
  std::atomic<std::uint64_t>& expired() noexcept { return page_->expired; }
  std::atomic<std::uint64_t>& evicted() noexcept { return page_->evicted; }
  /// Pages of the file up to here are there; only for the writer.
  std::uint64_t reserved() const noexcept { return page_->reserved; }
  void set_reserved(std::uint64_t pages) noexcept { page_->reserved = pages; }
  /// Bytes of keys and values as of a transaction, only for the writer. A
  /// transaction that was not committed leaves those before it as they were.
  std::uint64_t bytes(std::uint64_t transaction) const noexcept;
  void set_bytes(std::uint64_t transaction, std::uint64_t bytes) noexcept;
  bool knows_bytes(std::uint64_t transaction) const noexcept;

private:
  struct page {
    char magic[8];
    std::uint32_t version;
    std::atomic<std::uint32_t> removed; ///< 1; 2 if it is damaged
    char boot[40];
    lmdb_settings settings;
    alignas(64) pthread_mutex_t mutex;
    std::atomic<pid_t> writer;
    std::uint64_t reserved;
    alignas(64) struct {
      std::uint64_t transaction;
      std::uint64_t bytes;
    } sizes[2];
    alignas(64) std::atomic<std::uint64_t> expired;
    std::atomic<std::uint64_t> evicted;
    std::atomic<std::uint32_t> expiring;
    std::atomic<pid_t> users[128];
    std::atomic<std::uint32_t> doubted;
    std::atomic<std::uint32_t> was_table;
  };

  static std::vector<pid_t> living(const page& x);
  bool try_lock();
  void wait();
  std::string warning(int seconds) const;
  bool take(int result);
  void map();
  void prepare();
  void enter();

  const std::string path_;
  const pid_t own_pid_;
  int descriptor_ = -1;
  page* page_ = nullptr;
  bool alone_ = false;
  bool used_before_ = false;
  bool same_start_ = false;
  bool was_durable_ = false;
  bool doubted_ = false;
  bool was_table_ = false;
  lmdb_settings settings_;
  const std::uint32_t generation_ = fork_generation();
};

} // namespace hornbeam::runtime
