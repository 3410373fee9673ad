#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include <fcntl.h>

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

} // namespace

void set_lmdb_reserve(lmdb_reserve_function f) noexcept {
  reserve_function = f != nullptr ? f : &reserve_in_file;
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

/// Makes sure that the next `pages` new pages are there. New ones come behind
/// the last that was ever used, so those before it are. Of a nearly full file
/// some are left for those who remove.
void lmdb_environment::reserve(std::uint64_t pages, bool to_grow) {
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  auto most = settings_.map_bytes / page_size_;
  auto next = info.me_last_pgno + 1;
  auto needed = next + pages;
  if (std::min(needed, most) > lock_file_.reserved()) [[unlikely]]
    grow(pages);
  auto kept = 64 + next / 64;
  if (to_grow && needed + kept > most) [[unlikely]]
    if (free_pages() + most - std::min(next, most) < pages + kept)
      fail_lmdb(MDB_MAP_FULL, path());
}

/// Pages that were used and can be again.
std::uint64_t lmdb_environment::free_pages() {
  constexpr MDB_dbi free_list = 0; // of lists of pages, each with its length
  lmdb_snapshot s{*this};
  lmdb_cursor at{s.handle(), free_list, path()};
  std::uint64_t sum = 0;
  for (bool more = at.seek({}); more; more = at.next()) {
    std::size_t n = 0;
    std::memcpy(&n, at.value().data(), sizeof n);
    sum += n;
  }
  return sum;
}

void lmdb_environment::grow(std::uint64_t pages) {
  int dead = 0;
  ::mdb_reader_check(env_, &dead); // who was killed holds old pages for ever
  bool held = wait_for_readers();
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  auto most = settings_.map_bytes / page_size_;
  auto from = info.me_last_pgno + 1;
  auto needed = std::min(from + pages, most);
  auto more = std::max<std::uint64_t>(256, held ? 0 : from / 8);
  auto ahead = std::min(from + pages + more, most);
  from = std::min(std::max(from, lock_file_.reserved()), needed);
  int descriptor = -1;
  ::mdb_env_get_fd(env_, &descriptor);
  auto ask = [&](std::uint64_t until) {
    return reserve_function.load()(descriptor, from * page_size_,
                                   (until - from) * page_size_);
  };
  auto code = ask(ahead);
  auto got = ahead;
  if (code != 0 && needed < ahead) {
    code = ask(needed);
    got = needed;
  }
  if (code != 0)
    fail_lmdb(code == EDQUOT || code == EFBIG ? ENOSPC : code, path());
  lock_file_.set_reserved(got);
}

/// Every commit takes a few pages, and leaves as many to be used again once no
/// reader sees them any more. A reader that lost its core for a moment would
/// thus make the file grow by gigabytes a second: rather wait for it. True if
/// it is still there.
bool lmdb_environment::wait_for_readers() {
  constexpr std::size_t near = 32; // commits; what readers lag in passing
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
  if (auto code = ::mdb_txn_begin(env_.env_, nullptr, 0, &txn_); code != 0) {
    env_.lock_file_.unlock();
    fail(code);
  }
}

lmdb_transaction::lmdb_transaction(lmdb_transaction& whole)
  : env_(whole.env_), whole_(&whole) {
  if (auto code = ::mdb_txn_begin(env_.env_, whole.txn_, 0, &txn_); code != 0)
    fail(code);
}

lmdb_transaction::~lmdb_transaction() {
  if (txn_ != nullptr)
    ::mdb_txn_abort(txn_);
  if (whole_ == nullptr)
    env_.lock_file_.unlock();
}

MDB_stat lmdb_transaction::stat(MDB_dbi dbi) const {
  MDB_stat out{};
  if (auto code = ::mdb_stat(txn_, dbi, &out); code != 0)
    fail(code);
  return out;
}

void lmdb_transaction::add_pages(std::size_t keys, std::uint64_t bytes,
                                 bool to_grow) {
  // Each key copies the pages on the way to it, and may split each of them;
  // the same in the order of expiry. Then what is listed as free.
  constexpr std::uint64_t depth = 8;
  std::uint64_t pages = 4 * depth * keys;
  if (keys > 64) {
    auto tree = stat(env_.entries_);
    auto all = tree.ms_branch_pages + tree.ms_leaf_pages;
    pages = 2 * std::min<std::uint64_t>(depth * keys, all) + 4 * keys;
  }
  if (bytes > env_.page_size_ / 4) // smaller ones lie among the keys
    pages += bytes / env_.page_size_ + 2;
  auto& total = whole_ != nullptr ? whole_->pages_ : pages_;
  if (total == 0) {
    MDB_envinfo info{};
    ::mdb_env_info(env_.env_, &info);
    total = 16 + info.me_last_pgno / 128;
  }
  total += pages;
  env_.reserve(total, to_grow);
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

void lmdb_transaction::commit() {
  auto* txn = std::exchange(txn_, nullptr); // LMDB frees it in any case
  if (auto code = ::mdb_txn_commit(txn); code != 0)
    fail(code);
}

bool find_lmdb(MDB_txn* txn, MDB_dbi dbi, const std::string& path,
               std::string_view key, std::string_view& out) {
  auto k = to_val(key);
  MDB_val value{};
  auto code = ::mdb_get(txn, dbi, &k, &value);
  if (code == MDB_NOTFOUND)
    return false;
  if (code != 0)
    fail_lmdb(code, path);
  out = to_view(value);
  return true;
}

// -- cursors -----------------------------------------------------------------

lmdb_cursor::lmdb_cursor(MDB_txn* txn, MDB_dbi dbi, const std::string& path)
  : path_(path) {
  if (auto code = ::mdb_cursor_open(txn, dbi, &cursor_); code != 0)
    fail_lmdb(code, path_);
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
    fail_lmdb(code, path_);
  key_ = to_view(key);
  value_ = to_view(value);
  return true;
}

void lmdb_cursor::erase() {
  if (auto code = ::mdb_cursor_del(cursor_, 0); code != 0)
    fail_lmdb(code, path_);
}

} // namespace hornbeam::runtime
