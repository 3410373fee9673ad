#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child_process.hpp"
#include "lmdb_fixture.hpp"
#include "runtime/table_lmdb/environment.hpp"

// The lock file is a protocol between programs: while a server is reloaded,
// processes of the old and of the new version use one table. So where what lies
// in it is written down here once more, and changes only with its version.

using namespace hornbeam::runtime;
using hornbeam::testing::child_process;
using hornbeam::testing::lmdb_folder;

namespace {

// -- version 1 ----------------------------------------------------------------

constexpr std::size_t at_magic = 0; // 8 bytes
constexpr std::size_t at_version = 8;
constexpr std::size_t at_removed = 12;
constexpr std::size_t at_boot = 16;      // 40 bytes, text
constexpr std::size_t at_map_bytes = 56; // 8 bytes each from here
constexpr std::size_t at_max_entries = 64;
constexpr std::size_t at_max_bytes = 72;
constexpr std::size_t at_ttl_ms = 80;
constexpr std::size_t at_durable = 88;
constexpr std::size_t at_mutex = 128; // pthread's: shared, robust
constexpr std::size_t at_writer = 168;
constexpr std::size_t at_reserved = 176;
constexpr std::size_t at_sizes = 192; // two of (transaction, bytes)
constexpr std::size_t at_expired = 256;
constexpr std::size_t at_evicted = 264;
constexpr std::size_t at_expiring = 272;
constexpr std::size_t at_users = 276;     // 128 process numbers
constexpr std::size_t at_doubted = 788;   // 1: not known to be whole
constexpr std::size_t at_was_table = 792; // 1 once it was opened
constexpr std::size_t whole = 832;

constexpr int opening_byte = 0; // write-locked while somebody opens
constexpr int use_byte = 1;     // read-locked by all who use the table
constexpr int check_byte = 2;   // write-locked while all of it is looked at

static_assert(sizeof(pthread_mutex_t) == 40);
static_assert(sizeof(pid_t) == 4);

std::string read_file(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream{path, std::ios::binary}.rdbuf();
  return out.str();
}

/// The file as another process sees it.
class mapped_file {
public:
  explicit mapped_file(const std::string& path)
    : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC)),
      bytes_(static_cast<char*>(
        ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0))) {
    REQUIRE(bytes_ != MAP_FAILED);
  }
  ~mapped_file() {
    ::munmap(bytes_, whole);
    ::close(fd_);
  }
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;

  template <class T>
  T at(std::size_t offset) const {
    T out{};
    std::memcpy(&out, bytes_ + offset, sizeof out);
    return out;
  }
  std::string text(std::size_t offset, std::size_t size) const {
    return {bytes_ + offset, size};
  }
  pthread_mutex_t* mutex() const {
    return reinterpret_cast<pthread_mutex_t*>(bytes_ + at_mutex);
  }
  /// How a byte of the file is locked by others: F_RDLCK, F_WRLCK, F_UNLCK.
  int locked(int byte) const {
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = byte;
    range.l_len = 1;
    REQUIRE(::fcntl(fd_, F_OFD_GETLK, &range) == 0);
    return range.l_type;
  }

private:
  int fd_;
  char* bytes_;
};

void write_at(const std::string& path, std::size_t offset, std::uint32_t x) {
  std::fstream file{path, std::ios::binary | std::ios::in | std::ios::out};
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(reinterpret_cast<const char*>(&x), sizeof x);
}

term text(std::string_view x) {
  return term::string(x);
}

/// Counts `key` up `n` times, as a program does that knows nothing but what is
/// written here. Returns 0.
int count_by_the_book(const std::string& path, const std::string& key,
                      std::uint64_t map_bytes, int n) {
  mapped_file file{path + "-gate"};
  MDB_env* env = nullptr;
  ::mdb_env_create(&env);
  ::mdb_env_set_mapsize(env, map_bytes);
  ::mdb_env_set_maxreaders(env, 1024);
  ::mdb_env_set_maxdbs(env, 1);
  if (::mdb_env_open(env, path.c_str(),
                     MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | MDB_WRITEMAP
                       | MDB_NOSYNC,
                     0600)
      != 0)
    return 1;
  for (int i = 0; i < n; ++i) {
    if (::pthread_mutex_lock(file.mutex()) != 0)
      return 2;
    MDB_txn* txn = nullptr;
    MDB_dbi entries = 0;
    MDB_val k{key.size(), const_cast<char*>(key.data())};
    MDB_val v{};
    if (::mdb_txn_begin(env, nullptr, 0, &txn) != 0
        || ::mdb_dbi_open(txn, nullptr, 0, &entries) != 0
        || ::mdb_get(txn, entries, &k, &v) != 0 || v.mv_size != 10)
      return 3;
    std::array<char, 10> record; // flags, 1 for an integer, the integer
    std::memcpy(record.data(), v.mv_data, record.size());
    std::int64_t x = 0;
    std::memcpy(&x, record.data() + 2, sizeof x);
    ++x;
    std::memcpy(record.data() + 2, &x, sizeof x);
    v.mv_data = record.data();
    if (::mdb_put(txn, entries, &k, &v, 0) != 0 || ::mdb_txn_commit(txn) != 0)
      return 4;
    ::pthread_mutex_unlock(file.mutex());
  }
  return 0;
}

} // namespace

TEST_CASE("a lock file is of version 1, byte by byte") {
  lmdb_folder folder;
  auto options = folder.options();
  options.max_entries = 2;
  options.max_bytes = 1000;
  options.ttl_ms = 60'000;
  auto t = folder.open(options);
  auto path = folder.file() + "-gate";
  CHECK(read_file(path).size() == whole);
  mapped_file file{path};

  CHECK(file.text(at_magic, 8) == std::string("hbgate\n\0", 8));
  CHECK(file.at<std::uint32_t>(at_version) == 1);
  CHECK(file.at<std::uint32_t>(at_removed) == 0);
  std::string boot;
  std::ifstream{"/proc/sys/kernel/random/boot_id"} >> boot;
  boot.resize(40);
  CHECK(file.text(at_boot, 40) == boot);

  CHECK(file.at<std::uint64_t>(at_map_bytes) == options.map_bytes);
  CHECK(file.at<std::uint64_t>(at_max_entries) == options.max_entries);
  CHECK(file.at<std::uint64_t>(at_max_bytes) == options.max_bytes);
  CHECK(file.at<std::int64_t>(at_ttl_ms) == options.ttl_ms);
  CHECK(file.at<std::uint64_t>(at_durable) == 0);

  for (int i = 0; i < 3; ++i)
    t->set(text("k" + std::to_string(i)), term{1});
  CHECK(file.at<std::uint32_t>(at_expiring) == 1);
  CHECK(file.at<std::uint64_t>(at_evicted) == 1);
  CHECK(file.at<std::uint64_t>(at_reserved) > 0);

  CHECK(file.at<pid_t>(at_users) == ::getpid());
  CHECK(file.at<pid_t>(at_users + sizeof(pid_t)) == 0);
  CHECK(file.locked(opening_byte) == F_UNLCK);
  CHECK(file.locked(use_byte) == F_RDLCK);
  CHECK(file.locked(check_byte) == F_UNLCK);
  CHECK(file.at<std::uint32_t>(at_doubted) == 0);
  CHECK(file.at<std::uint32_t>(at_was_table) == 1);
  t.reset();
  CHECK(file.at<pid_t>(at_users) == 0);
  CHECK(file.locked(use_byte) == F_UNLCK);
}

TEST_CASE("who writes to a table file has the lock in its lock file") {
  lmdb_folder folder;
  auto options = folder.options();
  options.max_bytes = 1000;
  auto settings = lmdb_settings_of(options);
  auto env = lmdb_environment::open(folder.file(), settings);
  mapped_file file{folder.file() + "-gate"};
  std::uint64_t id = 0;
  {
    lmdb_transaction x{*env};
    id = x.id();
    CHECK(file.at<pid_t>(at_writer) == ::getpid());
    CHECK(::pthread_mutex_trylock(file.mutex()) == EBUSY);
  }
  CHECK(file.at<pid_t>(at_writer) == 0);
  REQUIRE(::pthread_mutex_trylock(file.mutex()) == 0);
  CHECK_THROWS(lmdb_transaction(*env, false)); // it is the one that counts
  ::pthread_mutex_unlock(file.mutex());

  env->lock_file().expired() = 78;
  CHECK(file.at<std::uint64_t>(at_expired) == 78);
  // How many bytes there are as of a transaction: at its parity.
  env->lock_file().set_bytes(id, 77);
  auto place = at_sizes + 16 * (id & 1);
  CHECK(file.at<std::uint64_t>(place) == id);
  CHECK(file.at<std::uint64_t>(place + 8) == 77);
}

TEST_CASE("a table whose lock file says that it was removed is an error") {
  lmdb_folder folder;
  auto t = folder.open();
  write_at(folder.file() + "-gate", at_removed, 1);
  CHECK_THROWS_WITH(t->set(text("k"), term{1}), Catch::Contains(folder.file()));
}

TEST_CASE("a lock file of a newer version is refused with its name") {
  lmdb_folder folder;
  auto path = folder.file() + "-gate";
  folder.open();
  write_at(path, at_version, 9);
  CHECK_THROWS_WITH(folder.open(),
                    Catch::Contains(path) && Catch::Contains("version 9"));
}

TEST_CASE("a program that knows version 1 alone writes beside this one") {
  constexpr int n = 20'000;
  lmdb_folder folder;
  auto options = folder.options();
  auto t = folder.open(options);
  t->set(text("n"), term{0});
  std::string key{lmdb_key{text("n")}.bytes()};
  child_process other{[&] {
    return count_by_the_book(folder.file(), key, options.map_bytes, n);
  }};
  for (int i = 0; i < n; ++i)
    t->update_counter(text("n"), term{1});
  CHECK(other.wait() == 0);
  CHECK(*t->get(text("n")) == term{2 * n});
}
