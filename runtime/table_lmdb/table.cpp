#include "runtime/table_lmdb/table.hpp"

#include <algorithm>
#include <type_traits>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/table/host.hpp"
#include "runtime/table/operations.hpp"
#include "runtime/table_lmdb/entry.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

bool gone(const lmdb_record& x) {
  return x.expires != 0 && x.expired(wall_clock_ms());
}

table_options checked(const std::string& name, table_options x) {
  auto refuse = [&](const std::string& what) {
    throw failed{error_code::bad_value,
                 "the table '" + name + "' is of the engine lmdb, " + what};
  };
  if (x.kind == table_kind::ordered_set)
    refuse("whose keys are in order in any case, and 1 and 1.0 are two of "
           "them: leave kind as it is");
  if (x.kind != table_kind::set)
    refuse(std::string{"which has no kind "} + name_of(x.kind)
           + ": only the engine memory has bags");
  if (x.access != table_access::open)
    refuse("which belongs to no process: its access can only be public");
  if (x.path.empty())
    refuse("which needs a path");
  if (never_evicts(x))
    refuse("whose max_bytes " + std::string{must_evict});
  each_table_option([&](auto option) {
    if constexpr (std::is_same_v<decltype(option.member),
                                 std::uint64_t table_options::*>)
      if (auto n = x.*option.member;
          option.use == table_option_use::lmdb && n != 0
          && (n < static_cast<std::uint64_t>(option.least)
              || n > static_cast<std::uint64_t>(option.most)))
        refuse("whose " + std::string{option.name} + " is between "
               + std::to_string(option.least) + " and "
               + std::to_string(option.most) + ", not " + std::to_string(n));
  });
  return x;
}

} // namespace

// -- opening -----------------------------------------------------------------

/// Sweeps once a second as long as its table lives.
struct lmdb_table::sweeper : std::enable_shared_from_this<sweeper> {
  explicit sweeper(lmdb_table* x) : table(x) {}

  /// Only under the mutex, or in an operation of the table.
  void start(table_host& host) {
    host.at(host.now() + 1'000'000'000, [me = weak_from_this()] {
      if (auto self = me.lock())
        self->sweep();
    });
  }
  void sweep() {
    lock_scope guard{mutex};
    if (table == nullptr)
      return;
    try {
      table->sweep();
    } catch (const std::exception&) {
      // Who uses the table is told; here it is only tried again.
    }
    if (auto* host = table->host())
      start(*host);
  }

  ranked_mutex<lock_rank::sweeper> mutex;
  lmdb_table* table;
};

lmdb_table::lmdb_table(std::string name, table_options options)
  : local_table(name, checked(name, std::move(options))),
    sweeper_(std::make_shared<sweeper>(this)) {
  reopen();
}

lmdb_table::~lmdb_table() {
  lock_scope guard{sweeper_->mutex};
  sweeper_->table = nullptr;
}

lmdb_environment* lmdb_table::reopen() const {
  // Before the lock: this may wait, and give Python's lock back meanwhile.
  auto fresh = lmdb_environment::open(
    options().path, lmdb_settings_of(options()), options().check);
  lock_scope guard{mutex_};
  if (owner_ && owner_->current())
    return owner_.get(); // another thread was faster
  if (owner_) {
    new lmdb_environment_ptr(std::move(owner_)); // the parent's: leave it
    static_cast<void>(group_.release());
  }
  owner_ = std::move(fresh);
  if (owner_->durable())
    group_ = std::make_unique<lmdb_group>();
  environment_.store(owner_.get(), std::memory_order_release);
  return owner_.get();
}

void lmdb_table::before_fork() const {
  sweeper_->mutex.lock();
  mutex_.lock();
  watchers_.before_fork(); // last, as a sweep tells who watches
}

void lmdb_table::after_fork_in_parent() const {
  watchers_.after_fork_in_parent();
  mutex_.unlock();
  sweeper_->mutex.unlock();
}

void lmdb_table::after_fork_in_child() const {
  watchers_.after_fork_in_child();
  mutex_.unlock();
  sweeper_->mutex.unlock();
  sweeping_ = false; // the timer is the parent's
}

template <class F>
auto lmdb_table::read(F f) const {
  auto& env = environment();
  lmdb_snapshot s{env};
  return f(s);
}

template <class F>
void lmdb_table::write(F f, bool patient) {
  auto& env = environment();
  bool noting = watchers_.any();
  std::vector<table_event> events;
  auto change = [&](lmdb_transaction& x) {
    lmdb_writing w{x, clock_hand_, noting};
    w.finish(f(w));
    events = w.take_events();
  };
  auto tell = [&] {
    for (auto& e : events)
      watchers_.note(e);
  };
  if (env.durable()) {
    group_->write(env, change, tell);
  } else {
    lmdb_transaction x{env, patient};
    change(x);
    x.commit();
    tell();
  }
  if (noting)
    watchers_.deliver();
  if (env.lock_file().expiring() && !sweeping_ && host() != nullptr
      && !sweeping_.exchange(true))
    sweeper_->start(*host());
}

// -- what the operations are made of -----------------------------------------

template <class F>
void lmdb_table::find(const term& key, const F& f) const {
  read([&](lmdb_snapshot& s) { f(found{s, key}); });
}

template <class F>
void lmdb_table::find_many(std::span<const term> keys, const F& f) const {
  read([&](lmdb_snapshot& s) {
    f([&](std::size_t n) { return found{s, keys[n]}; });
  });
}

template <class F>
void lmdb_table::change(const term& key, const F& f) {
  lmdb_key where{key};
  write([&](lmdb_writing& w) {
    f(entry{w, where, key});
    return where.bytes();
  });
}

template <class F>
void lmdb_table::change_many(const term::entries& entries, const F& f) {
  write([&](lmdb_writing& w) {
    w.expect(entries.size());
    std::optional<lmdb_key> where;
    f([&](std::size_t n) {
      auto& key = entries[n].first;
      return entry{w, where.emplace(key), key};
    });
    return std::string_view{};
  });
}

template class local_table<lmdb_table>;

/// What is not there costs no write.
std::optional<term> lmdb_table::do_take(const term& key) {
  if (!read([&](lmdb_snapshot& s) {
        return look_up(s.handle(), s.environment(), lmdb_key{key}, key)
          .has_value();
      }))
    return std::nullopt;
  return local_table::do_take(key);
}

// -- all of them -------------------------------------------------------------

std::size_t lmdb_table::do_size() const {
  return read([&](lmdb_snapshot& s) {
    auto& env = s.environment();
    MDB_stat stat{};
    if (auto code = ::mdb_stat(s.handle(), env.entries(), &stat); code != 0)
      fail_lmdb(code, env.path());
    auto n = stat.ms_entries - lmdb_housekeeping;
    if (env.lock_file().expiring()) // those that nobody has removed yet
      n -= count_expired(s.handle(), env);
    return n;
  });
}

std::vector<term> lmdb_table::do_keys(std::string_view prefix,
                                      std::size_t limit) const {
  return read([&](lmdb_snapshot& s) {
    auto& env = s.environment();
    auto range = string_range(prefix);
    std::vector<term> out;
    bool any_abridged = false;
    std::string_view last;
    lmdb_cursor at{s.handle(), env.entries(), env.path()};
    for (bool more = at.seek(range); more && at.key().starts_with(range);
         more = at.next()) {
      auto record = lmdb_record::parse(at.value());
      bool abridged = !record.key.empty();
      // Abridged keys with the same beginning are in no order: all or none.
      if (out.size() >= limit
          && !(abridged && any_abridged
               && at.key().substr(0, lmdb_key::kept) == last))
        break;
      if (gone(record))
        continue;
      auto key = record.key_at(at.key());
      if (abridged) {
        any_abridged = true;
        last = at.key().substr(0, lmdb_key::kept);
        if (!key.text().starts_with(prefix))
          continue;
      }
      out.push_back(std::move(key));
    }
    if (any_abridged)
      std::sort(out.begin(), out.end());
    if (out.size() > limit)
      out.resize(limit);
    return out;
  });
}

table_batch lmdb_table::do_scan(const term& from, std::size_t limit) const {
  return read([&](lmdb_snapshot& s) {
    auto& env = s.environment();
    table_batch out;
    lmdb_cursor at{s.handle(), env.entries(), env.path()};
    bool more = at.seek(from.is_none() ? lmdb_first_key
                                       : std::string_view{from.text()});
    for (; more && out.entries.size() < limit; more = at.next()) {
      auto record = lmdb_record::parse(at.value());
      if (!gone(record))
        out.entries.emplace_back(record.key_at(at.key()), record.value());
    }
    if (more)
      out.next = term::bytes(std::string{at.key()});
    return out;
  });
}

std::vector<table_entry> lmdb_table::dump() const {
  return read([&](lmdb_snapshot& s) {
    auto& env = s.environment();
    auto now = wall_clock_ms();
    std::vector<table_entry> out;
    lmdb_cursor at{s.handle(), env.entries(), env.path()};
    for (bool more = at.seek(lmdb_first_key); more; more = at.next()) {
      auto record = lmdb_record::parse(at.value());
      if (!record.expired(now))
        out.push_back({record.key_at(at.key()), record.value(),
                       record.expires == 0 ? 0 : record.expires - now});
    }
    return out;
  });
}

void lmdb_table::replace(std::vector<table_entry> entries) {
  write([&](lmdb_writing& w) {
    w.clear();
    w.expect(entries.size());
    for (auto& x : entries)
      w.set(lmdb_key{x.key}, x.key, x.value, w.expiry(x.left_ms));
    return std::string_view{};
  });
}

void lmdb_table::refill(const std::vector<table_entry>& entries) {
  std::size_t some = 1000;
  clear();
  for (std::size_t done = 0; done < entries.size();) {
    auto n = std::min(some, entries.size() - done);
    try {
      write([&](lmdb_writing& w) {
        w.expect(n);
        for (auto& x : std::span{entries}.subspan(done, n))
          w.set(lmdb_key{x.key}, x.key, x.value, w.expiry(x.left_ms));
        return std::string_view{};
      });
      done += n;
    } catch (const failed& e) {
      if (e.why.code != error_code::overloaded || n == 1)
        throw;
      some = n / 2; // there may be room for fewer
    }
  }
}

std::size_t lmdb_table::sweep() {
  auto& env = environment();
  constexpr std::size_t most = 1024;
  std::size_t sum = 0;
  std::size_t n = 0;
  auto some = [&](lmdb_writing& w) {
    n = w.sweep(most);
    return std::string_view{};
  };
  auto any = [&] {
    return env.lock_file().expiring() && read([&](lmdb_snapshot& s) {
             return count_expired(s.handle(), env, 1) != 0;
           });
  };
  // On a full file system each transaction removes only a few. While somebody
  // else writes, nobody waits for this: later.
  while (sum < most && any() && env.lock_file().writer() == 0) {
    write(some, false);
    if (n == 0)
      break;
    sum += n;
  }
  return sum;
}

void lmdb_table::check_watch() const {
  if (options().home.empty())
    throw failed{error_code::refused,
                 "the table '" + name()
                   + "' is of the engine lmdb and has no home node: nobody "
                     "hears of what other processes write, so it can't be "
                     "watched; give it a home, and watch it there"};
}

void lmdb_table::add_info(term::entries& out) const {
  auto& env = environment();
  auto& lock_file = env.lock_file();
  auto put = [&](const char* what, term x) {
    out.emplace_back(term::atom(what), std::move(x));
  };
  auto number = [](auto x) { return term{static_cast<std::int64_t>(x)}; };
  put("expired", number(lock_file.expired().load()));
  put("evicted", number(lock_file.evicted().load()));
  put("path", term::string(env.path()));
  put("durable", term::atom(name_of(options().durable)));
  put("map_bytes", number(env.settings().map_bytes));
  put("file_bytes", number(env.file_bytes()));
  put("writer", number(lock_file.writer()));
  term::sequence users;
  for (auto x : lock_file.users())
    users.push_back(number(x));
  put("processes", term::list(std::move(users)));
}

} // namespace hornbeam::runtime
