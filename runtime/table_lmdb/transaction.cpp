#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "runtime/base/blocking.hpp"
#include "runtime/call/outcome.hpp"
#include "runtime/table_lmdb/environment.hpp"

namespace hornbeam::runtime {

namespace {

/// Reserves without making the file longer than it is.
int reserve_in_file(int descriptor, std::uint64_t from, std::uint64_t bytes) {
  auto a = static_cast<off_t>(from);
  auto n = static_cast<off_t>(bytes);
  for (;;) {
    if (::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, a, n) == 0)
      return 0;
    if (errno == EOPNOTSUPP)
      return ::posix_fallocate(descriptor, a, n);
    if (errno != EINTR)
      return errno;
  }
}

std::atomic<lmdb_reserve_function> reserve_function{&reserve_in_file};

MDB_val to_val(std::string_view x) noexcept {
  return {x.size(), const_cast<char*>(x.data())};
}

std::string_view to_view(const MDB_val& x) noexcept {
  return {static_cast<const char*>(x.mv_data), x.mv_size};
}

/// Of what LMDB finds damaged, who opens the table next must hear.
[[noreturn]] void fail_in(MDB_txn* txn, int code, const std::string& path) {
  if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND)
    static_cast<lmdb_environment*>(::mdb_env_get_userctx(::mdb_txn_env(txn)))
      ->lock_file()
      .set_doubted();
  fail_lmdb(code, path);
}

} // namespace

void set_lmdb_reserve(lmdb_reserve_function f) noexcept {
  reserve_function = f != nullptr ? f : &reserve_in_file;
}

int reserve_lmdb(int descriptor, std::uint64_t from,
                 std::uint64_t bytes) noexcept {
  return reserve_function.load()(descriptor, from, bytes);
}

// -- readers -----------------------------------------------------------------

namespace {

/// Threads begin to look for an idle transaction at different places.
unsigned place_of_thread() {
  static std::atomic<unsigned> next{0};
  thread_local const unsigned mine = next++;
  return mine;
}

} // namespace

MDB_txn* lmdb_environment::take_reader() {
  auto first = place_of_thread();
  for (std::size_t i = 0; i < idle_.size(); ++i) {
    auto& slot = idle_[(first + i) % idle_.size()];
    if (slot.load(std::memory_order_relaxed) == nullptr)
      continue;
    if (auto* txn = slot.exchange(nullptr, std::memory_order_acquire)) {
      renew(txn, false);
      return txn;
    }
  }
  MDB_txn* txn = nullptr;
  auto code = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code == MDB_READERS_FULL) {
    int dead = 0;
    ::mdb_reader_check(env_, &dead);
    code = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  }
  if (code != 0)
    fail_lmdb(code, path());
  renew(txn, true);
  return txn;
}

/// LMDB notes which commit a reader sees and then copies what that commit
/// wrote. Between the two, two more commits may overwrite it: then it is done
/// again. Once the commit is still the last one after the copy, all is well,
/// since a writer that begins later sees the note.
void lmdb_environment::renew(MDB_txn* txn, bool fresh) {
  for (int tries = 0;; ++tries) {
    if (!fresh) {
      if (auto code = ::mdb_txn_renew(txn); code != 0) {
        ::mdb_txn_abort(txn);
        fail_lmdb(code, path());
      }
    }
    std::atomic_thread_fence(std::memory_order_seq_cst);
    MDB_envinfo info{};
    ::mdb_env_info(env_, &info);
    if (info.me_last_txnid == ::mdb_txn_id(txn))
      return;
    ::mdb_txn_reset(txn);
    fresh = false;
    if (tries < 200)
      continue;
    // Who writes is alone with what is noted: only damage is different there.
    if (writing_here()) {
      ::mdb_txn_abort(txn);
      lock_file_.set_doubted();
      fail_lmdb(MDB_CORRUPTED, path());
    }
    // The last writer was killed between its commit and the note of it, which
    // the next one writes; or there are many writers, who wait now.
    try {
      lmdb_transaction next{*this};
      if (auto code = ::mdb_txn_renew(txn); code != 0)
        fail_lmdb(code, path());
      return;
    } catch (...) {
      ::mdb_txn_abort(txn);
      throw;
    }
  }
}

void lmdb_environment::give_back(MDB_txn* txn) noexcept {
  ::mdb_txn_reset(txn);
  auto first = place_of_thread();
  for (std::size_t i = 0; i < idle_.size(); ++i) {
    auto& slot = idle_[(first + i) % idle_.size()];
    MDB_txn* none = nullptr;
    if (slot.load(std::memory_order_relaxed) == nullptr
        && slot.compare_exchange_strong(none, txn, std::memory_order_release,
                                        std::memory_order_relaxed))
      return;
  }
  ::mdb_txn_abort(txn);
}

// -- writers -----------------------------------------------------------------

namespace {

/// The reader that sees the oldest commit.
struct oldest_reader {
  std::size_t transaction = ~std::size_t{0};
  int process = 0;
};

oldest_reader find_oldest(MDB_env* env) {
  oldest_reader out;
  auto look = [](const char* line, void* p) {
    auto& oldest = *static_cast<oldest_reader*>(p);
    int process = 0;
    std::size_t thread = 0;
    std::size_t transaction = 0;
    if (std::sscanf(line, "%d %zx %zu", &process, &thread, &transaction) == 3
        && transaction < oldest.transaction)
      oldest = {transaction, process};
    return 0;
  };
  ::mdb_reader_list(env, look, &out);
  return out;
}

} // namespace

/// Makes sure that the next new pages are there: they come behind the last that
/// was ever used, so those before it are.
///
/// That last one never comes back. So where no more can be had, who sets
/// something must find pages that were used before and are free, and only who
/// removes may take new ones, of which some are kept.
void lmdb_environment::reserve(const need& x) {
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  auto next = info.me_last_pgno + 1;
  auto kept = 64 + next / 64;
  // Who removes sees first that pages become scarce, and frees at once.
  auto wanted = next + x.pages + 2 * kept + (x.what == use::less ? 64 : 0);
  if (wanted > lock_file_.reserved()) [[unlikely]]
    make_room(x, kept);
}

void lmdb_environment::make_room(const need& x, std::uint64_t kept) {
  auto most = settings_.map_bytes / page_size_;
  int code = MDB_MAP_FULL;
  if (lock_file_.reserved() < most)
    code = grow(x, kept);
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  auto there = std::min(lock_file_.reserved(), most);
  auto left = there - std::min(info.me_last_pgno + 1, there);
  scarce_ = scarce_ || left < x.pages + 2 * kept + 64;
  if (left >= x.pages + (x.what == use::less ? kept : 2 * kept))
    return;
  if (there == most) { // LMDB itself goes no further
    if (x.what != use::more || left >= x.pages + kept
        || can_reuse(x.pages + kept - left, 0))
      return;
    fail_lmdb(MDB_MAP_FULL, path());
  }
  // The bound is far more than what a key takes as a rule. What it takes beyond
  // what was found free is new, and free for the next one.
  auto usual = std::min(x.pages, 8 * x.keys + x.in_a_row);
  auto bound = x.pages + kept / 2;
  // LMDB may first take single pages out of the middle of a row. If it then
  // finds none, who removes still has room.
  auto row = x.in_a_row == 0 ? 0 : 2 * x.in_a_row + 16;
  auto least = kept / 2 + (x.keys > 1 ? x.pages : row);
  auto reuses = [&] {
    if (x.what == use::same)
      return left >= least + 16 && can_reuse(4, 0);
    return (left >= x.pages + kept && can_reuse(usual, x.in_a_row))
           || (left >= least && can_reuse(bound, row));
  };
  if (reuses() || (!wait_for_readers(2) && reuses()))
    return;
  if (x.what != use::less || left < x.pages)
    fail_lmdb(code, path());
}

/// Whether so many pages were used and can be again, since no reader sees them
/// any more, and so many in a row.
bool lmdb_environment::can_reuse(std::uint64_t pages, std::uint64_t in_a_row) {
  constexpr MDB_dbi free_list = 0; // of lists of pages, each with its length
  constexpr int looked_at = 100;   // by LMDB, for some in a row
  lmdb_snapshot s{*this};
  auto seen = std::min(find_oldest(env_).transaction, ::mdb_txn_id(s.handle()));
  auto number = [](const char* at) {
    std::size_t out = 0;
    std::memcpy(&out, at, sizeof out);
    return out;
  };
  lmdb_cursor at{s.handle(), free_list, path()};
  std::vector<std::size_t> found;
  bool more = at.seek({});
  for (int i = 0; more && number(at.key().data()) < seen; more = at.next()) {
    auto n = number(at.value().data());
    for (std::size_t k = 1; k <= n; ++k)
      found.push_back(number(at.value().data() + k * sizeof n));
    if (in_a_row == 0 ? found.size() >= pages : ++i == looked_at)
      break;
  }
  if (found.size() < pages || in_a_row == 0)
    return found.size() >= pages;
  std::sort(found.begin(), found.end());
  std::size_t row = 0;
  for (std::size_t i = 0; i < found.size() && row < in_a_row; ++i)
    row = row > 0 && found[i] == found[i - 1] + 1 ? row + 1 : 1;
  return row >= in_a_row;
}

/// What a commit frees is of use only behind the next one. Where pages are
/// scarce there is one that changes nothing, for whoever writes next; but not
/// where it would take the last new ones itself.
void lmdb_environment::free_at_once() noexcept {
  constexpr std::uint64_t enough = 16;
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  auto next = info.me_last_pgno + 1;
  auto left = lock_file_.reserved() - std::min(next, lock_file_.reserved());
  MDB_txn* txn = nullptr;
  try {
    if (left < 2 * enough || (left < 128 + next / 64 && !can_reuse(enough, 0)))
      return;
    if (::mdb_txn_begin(env_, nullptr, 0, &txn) != 0)
      return;
    auto header = lmdb_header();
    auto key = to_val(lmdb_header_key);
    auto value = to_val(header);
    auto id = ::mdb_txn_id(txn);
    if (::mdb_put(txn, entries_, &key, &value, 0) != 0) {
      ::mdb_txn_abort(txn);
      return;
    }
    if (lock_file_.knows_bytes(id - 1))
      lock_file_.set_bytes(id, lock_file_.bytes(id - 1));
    ::mdb_txn_commit(txn);
  } catch (const failed&) {
    // What was committed before is there; of damage, the next one hears.
  }
}

/// Asks the file system for the pages, for those that are kept, and for more in
/// advance; returns why there are no more. Whoever sets something leaves it
/// some, without which no process could start.
int lmdb_environment::grow(const need& x, std::uint64_t kept) {
  constexpr std::size_t near = 32; // commits; what readers lag in passing
  int dead = 0;
  ::mdb_reader_check(env_, &dead); // who was killed holds old pages for ever
  bool held = wait_for_readers(near);
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  auto most = settings_.map_bytes / page_size_;
  auto from = info.me_last_pgno + 1;
  auto needed = from + x.pages;
  auto wanted = needed + 2 * kept;
  int descriptor = -1;
  ::mdb_env_get_fd(env_, &descriptor);
  auto [free, bound] = file_system_room(descriptor);
  bound = std::min(most, bound);
  auto ahead = std::max<std::uint64_t>(256, held ? 0 : from / 8);
  ahead = wanted + std::min(ahead, free / 8); // of a small one not all
  auto got = std::max(from, lock_file_.reserved());
  int code = 0;
  // One after the other, or half of it: if one fails, nothing is lost of what
  // there was.
  for (auto until : {std::min(needed, x.what == use::less ? most : bound),
                     std::min(wanted, bound), std::min(ahead, bound)})
    for (; until > got; until = got + (until - got) / 2) {
      code = reserve_lmdb(descriptor, got * page_size_,
                          (until - got) * page_size_);
      if (code == 0)
        got = until;
    }
  if (got > lock_file_.reserved())
    lock_file_.set_reserved(got);
  return code != 0 ? code : ENOSPC;
}

/// How many pages are free, and how many the file may have before others miss
/// what it takes.
std::pair<std::uint64_t, std::uint64_t> lmdb_environment::file_system_room(
  int descriptor) const {
  constexpr std::uint64_t for_others = 64;
  struct stat file {};
  struct statvfs all {};
  if (::fstat(descriptor, &file) != 0 || ::fstatvfs(descriptor, &all) != 0)
    return {~std::uint64_t{0}, ~std::uint64_t{0}};
  auto has = static_cast<std::uint64_t>(file.st_blocks) * 512 / page_size_;
  auto free = all.f_bavail * all.f_frsize / page_size_;
  return {free, std::max(has, lock_file_.reserved())
                  + (free - std::min<std::uint64_t>(free, for_others))};
}

/// Every commit takes a few pages, and leaves as many to be used again once no
/// reader sees them any more. A reader that lost its core for a moment would
/// thus make the file grow by gigabytes a second: rather wait until none lags
/// by more than `near` commits. True if one still does.
bool lmdb_environment::wait_for_readers(std::size_t near) {
  constexpr auto patience = std::chrono::milliseconds(20);
  auto until = std::chrono::steady_clock::now() + patience;
  std::optional<blocking_scope> waiting;
  for (;;) {
    MDB_envinfo info{};
    ::mdb_env_info(env_, &info);
    auto oldest = find_oldest(env_).transaction;
    if (oldest > info.me_last_txnid || oldest + near > info.me_last_txnid)
      return false;
    if (std::chrono::steady_clock::now() > until)
      return true;
    if (!waiting)
      waiting.emplace();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

lmdb_transaction::lmdb_transaction(lmdb_environment& env, bool patient)
  : env_(env) {
  if (patient)
    env_.lock_file_.lock();
  else if (!env_.lock_file_.lock_if_free())
    throw failed{error_code::timeout,
                 "another process writes to the table file " + env_.path()};
  try {
    begin(nullptr);
  } catch (...) {
    env_.lock_file_.unlock();
    throw;
  }
}

void lmdb_transaction::begin(MDB_txn* whole) {
  require_sound();
  env_.begin_writing();
  if (auto code = ::mdb_txn_begin(env_.env_, whole, 0, &txn_); code != 0) {
    if (whole == nullptr)
      env_.end_writing();
    fail(code);
  }
}

lmdb_transaction::lmdb_transaction(lmdb_transaction& whole)
  : env_(whole.env_), whole_(&whole) {
  begin(whole.txn_);
}

lmdb_transaction::~lmdb_transaction() {
  if (txn_ != nullptr && !env_.broken())
    ::mdb_txn_abort(txn_);
  if (whole_ != nullptr)
    return;
  env_.end_writing();
  env_.lock_file_.unlock();
}

MDB_stat lmdb_transaction::stat(MDB_dbi dbi) const {
  MDB_stat out{};
  if (auto code = ::mdb_stat(txn_, dbi, &out); code != 0)
    fail(code);
  return out;
}

void lmdb_transaction::add_pages(std::size_t keys, std::uint64_t bytes,
                                 use what) {
  // Each key copies the pages on the way to it, and may split each of them;
  // the same in the order of expiry. Then what is listed as free.
  constexpr std::uint64_t depth = 8;
  std::uint64_t pages = 4 * depth * keys;
  if (keys > 64) {
    auto tree = stat(env_.entries_);
    auto all = tree.ms_branch_pages + tree.ms_leaf_pages;
    pages = 2 * std::min<std::uint64_t>(depth * keys, all) + 4 * keys;
  }
  auto& total = whole_ != nullptr ? whole_->need_ : need_;
  auto next = total;
  next.what = what;
  next.keys += keys;
  next.pages += pages;
  if (total.pages == 0) {
    MDB_envinfo info{};
    ::mdb_env_info(env_.env_, &info);
    next.pages += 16 + info.me_last_pgno / 128;
  }
  if (bytes > env_.page_size_ / 4) { // smaller ones lie among the keys
    auto own = (bytes + 16) / env_.page_size_ + 1;
    next.pages += own;
    if (own > 1)
      next.in_a_row += own;
  }
  env_.reserve(next);
  total = next;
}

std::size_t lmdb_transaction::reserve_to_remove_some(std::size_t most) {
  for (; most > 1; most /= 4)
    try {
      reserve_to_remove(most);
      return most;
    } catch (const failed&) {
      // There may be room to remove fewer.
    }
  reserve_to_remove(1);
  return 1;
}

void* lmdb_transaction::put(MDB_dbi dbi, std::string_view key,
                            std::size_t size) {
  auto k = to_val(key);
  MDB_val value{size, nullptr};
  if (size > 0xfffffff0u)
    fail(MDB_BAD_VALSIZE);
  if (auto code = ::mdb_put(txn_, dbi, &k, &value, MDB_RESERVE); code != 0)
    fail(code);
  return value.mv_data;
}

void lmdb_transaction::fail(int code) const {
  if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND)
    env_.lock_file_.set_doubted();
  fail_lmdb(code, env_.path());
}

bool lmdb_transaction::erase(MDB_dbi dbi, std::string_view key) {
  auto k = to_val(key);
  auto code = ::mdb_del(txn_, dbi, &k, nullptr);
  if (code != 0 && code != MDB_NOTFOUND)
    fail(code);
  return code == 0;
}

void lmdb_transaction::put_header() {
  auto header = lmdb_header();
  std::memcpy(put(env_.entries_, lmdb_header_key, header.size()), header.data(),
              header.size());
}

void lmdb_transaction::clear() {
  // The name of the order of expiry is an entry as well, which the commit
  // writes anew.
  for (auto dbi : {env_.expiry_, env_.entries_})
    if (auto code = ::mdb_drop(txn_, dbi, 0); code != 0)
      fail(code);
  put_header();
}

/// Who gave up in the middle of a write has LMDB's lock for ever, and what it
/// wrote until then must not be committed.
void lmdb_transaction::require_sound() {
  if (env_.lock_file_.removed()) [[unlikely]]
    env_.look();
}

void lmdb_transaction::commit() {
  require_sound();
  auto* txn = std::exchange(txn_, nullptr); // LMDB frees it in any case
  // While this is still the only one that writes.
  bool scarce = whole_ == nullptr && std::exchange(env_.scarce_, false);
  if (auto code = ::mdb_txn_commit(txn); code != 0)
    fail(code);
  if (scarce) [[unlikely]]
    env_.free_at_once();
}

bool find_lmdb(MDB_txn* txn, MDB_dbi dbi, const std::string& path,
               std::string_view key, std::string_view& out) {
  auto k = to_val(key);
  MDB_val value{};
  auto code = ::mdb_get(txn, dbi, &k, &value);
  if (code == MDB_NOTFOUND)
    return false;
  if (code != 0)
    fail_in(txn, code, path);
  out = to_view(value);
  return true;
}

// -- cursors -----------------------------------------------------------------

lmdb_cursor::lmdb_cursor(MDB_txn* txn, MDB_dbi dbi, const std::string& path)
  : path_(path) {
  if (auto code = ::mdb_cursor_open(txn, dbi, &cursor_); code != 0)
    fail_lmdb(code, path_);
}

lmdb_cursor::~lmdb_cursor() {
  auto* env = ::mdb_txn_env(::mdb_cursor_txn(cursor_));
  if (!static_cast<lmdb_environment*>(::mdb_env_get_userctx(env))->broken())
    ::mdb_cursor_close(cursor_);
}

bool lmdb_cursor::seek(std::string_view key) {
  key_ = key;
  return move(key.empty() ? MDB_FIRST : MDB_SET_RANGE);
}

bool lmdb_cursor::move(MDB_cursor_op op) {
  auto key = to_val(key_);
  MDB_val value{};
  auto code = ::mdb_cursor_get(cursor_, &key, &value, op);
  if (code == MDB_NOTFOUND)
    return false;
  if (code != 0)
    fail_in(::mdb_cursor_txn(cursor_), code, path_);
  key_ = to_view(key);
  value_ = to_view(value);
  return true;
}

void lmdb_cursor::erase() {
  if (auto code = ::mdb_cursor_del(cursor_, 0); code != 0)
    fail_in(::mdb_cursor_txn(cursor_), code, path_);
}

} // namespace hornbeam::runtime
