#include "runtime/table_lmdb/file_tools.hpp"

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <lmdb.h>
#include <unistd.h>

#include "runtime/call/outcome.hpp"
#include "runtime/table/snapshot.hpp"
#include "runtime/table_lmdb/environment.hpp"
#include "runtime/table_lmdb/lock_file.hpp"
#include "runtime/table_lmdb/record.hpp"
#include "runtime/table_lmdb/table.hpp"

namespace hornbeam::runtime {

namespace {

/// A reader of LMDB in a file that others use: the pages of its commit stay as
/// they are.
class held_commit {
public:
  explicit held_commit(const std::string& path) : path_(path) {
    auto code = ::mdb_env_create(&env_);
    if (code == 0)
      code = ::mdb_env_open(env_, path.c_str(),
                            MDB_NOSUBDIR | MDB_RDONLY | MDB_NOTLS, 0600);
    if (code == 0)
      code = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn_);
    if (code != 0) {
      ::mdb_env_close(env_);
      fail_lmdb(code, path);
    }
  }
  ~held_commit() {
    ::mdb_txn_abort(txn_);
    ::mdb_env_close(env_);
  }
  held_commit(const held_commit&) = delete;
  held_commit& operator=(const held_commit&) = delete;

  std::uint64_t number() const { return ::mdb_txn_id(txn_); }
  /// The page that says what belongs to it is written anew by the second
  /// commit after it.
  bool may_be_overwritten() const {
    MDB_envinfo info{};
    ::mdb_env_info(env_, &info);
    return info.me_last_txnid > number() + 1;
  }
  void take_next() {
    ::mdb_txn_reset(txn_);
    if (auto code = ::mdb_txn_renew(txn_); code != 0)
      fail_lmdb(code, path_);
  }

private:
  const std::string& path_;
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
};

/// Calls `f` with a file that nobody changes meanwhile, and its last commit, or
/// none if there is no sound one.
template <class F>
lmdb_findings with_file(const std::string& path, F f) {
  constexpr int most_tries = 10'000;
  lmdb_lock_file::visit place{path};
  if (!place.in_use()) {
    lmdb_file_reader file{path};
    return f(file, file.last());
  }
  held_commit held{path};
  place.leave();
  for (int i = 0;; ++i, held.take_next()) {
    lmdb_file_reader file{path};
    auto commit = file.commit(held.number());
    bool torn = held.may_be_overwritten() || !commit
                || !file.bad_start().empty();
    if (!torn || i == most_tries)
      return f(file, torn ? std::nullopt : commit);
  }
}

lmdb_findings nothing_to_read(const lmdb_file_reader& file) {
  lmdb_findings out;
  out.damages = 1;
  out.examples.push_back(file.bad_start().empty() ? "no commit can be read"
                                                  : file.bad_start());
  return out;
}

/// Collects entries for a snapshot.
class entry_collector {
public:
  void operator()(std::string_view key, std::string_view value) {
    auto record = lmdb_record::parse(value);
    if (!record.expired(now_))
      entries_.push_back({record.key_at(key), record.value(),
                          record.expires == 0 ? 0 : record.expires - now_});
  }
  void write(const std::string& path, const std::string& to) const {
    write_snapshot(to, path, table_kind::set, entries_);
  }
  std::uint64_t size() const noexcept { return entries_.size(); }

private:
  const std::int64_t now_ = wall_clock_ms();
  std::vector<table_entry> entries_;
};

} // namespace

lmdb_findings check_table_file(const std::string& path) {
  return with_file(path, [](auto& file, auto commit) {
    return commit ? file.check(*commit) : nothing_to_read(file);
  });
}

lmdb_findings dump_table_file(const std::string& path, const std::string& to) {
  entry_collector all;
  auto found = with_file(path, [&](auto& file, auto commit) {
    return commit ? file.check(*commit, std::ref(all)) : nothing_to_read(file);
  });
  if (auto why = found.summary(); !why.empty() || !found.is_table)
    throw failed{error_code::internal,
                 "the table file " + path
                   + (why.empty() ? " is no table"
                                  : " is damaged: " + why
                                      + "; hornbeam state salvage saves what "
                                        "can be read of it")};
  all.write(path, to);
  found.entries = all.size();
  return found;
}

lmdb_findings salvage_table_file(const std::string& path,
                                 const std::string& to) {
  entry_collector all;
  auto found = with_file(path, [&](auto& file, auto commit) {
    return file.salvage(commit, std::ref(all));
  });
  if (all.size() == 0 && !found.is_table)
    throw failed{error_code::internal, "nothing of the table file " + path
                                         + " can be read: " + found.summary()};
  all.write(path, to);
  found.entries = all.size();
  return found;
}

restored_table restore_table_file(const std::string& path,
                                  const std::string& from, bool force) {
  restored_table out;
  auto entries = read_snapshot(from, path, table_kind::set);
  auto before = lmdb_lock_file::look(path);
  if (::access(path.c_str(), F_OK) == 0 && !before.in_use
      && check_table_file(path).damages != 0) {
    lmdb_lock_file::visit place{path};
    if (!place.in_use())
      out.set_aside = lmdb_set_aside(path);
  }
  table_options options;
  options.engine = table_engine::lmdb;
  options.path = path;
  options.durable = table_durability::always;
  if (auto& x = before.settings) {
    options.map_bytes = x->map_bytes;
    options.max_entries = x->max_entries;
    options.max_bytes = x->max_bytes;
    options.ttl_ms = x->ttl_ms;
    if (x->durable == 0)
      options.durable = table_durability::process;
  }
  lmdb_table t{path, options};
  if (auto n = t.size(); n != 0 && !force)
    throw failed{error_code::refused, "the table file " + path + " has "
                                        + std::to_string(n)
                                        + " entries; --force replaces them"};
  t.refill(entries);
  out.entries = entries.size();
  return out;
}

} // namespace hornbeam::runtime
