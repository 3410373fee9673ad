#include "runtime/table_lmdb/writing.hpp"

#include <algorithm>
#include <atomic>

#include "runtime/call/outcome.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

/// So many entries does the hand of eviction look at for one that goes.
constexpr int sample = 512;

/// In the order of expiry: when, big-endian, and which key.
std::string expiry_key(std::int64_t when, std::string_view key) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(when >> shift));
  return out.append(key);
}

std::int64_t when_of(std::string_view expiry) {
  std::int64_t out = 0;
  for (int i = 0; i < 8; ++i)
    out = out << 8 | static_cast<unsigned char>(expiry[i]);
  return out;
}

} // namespace

std::optional<lmdb_found> look_up(MDB_txn* txn, const lmdb_environment& env,
                                  const lmdb_key& where, const term& key) {
  lmdb_found out;
  if (!find_lmdb(txn, env.entries(), env.path(), where.bytes(), out.bytes))
    return std::nullopt;
  out.record = lmdb_record::parse(out.bytes);
  if (where.abridged() && !(decode(out.record.key) == key))
    throw failed{error_code::bad_value,
                 "two long keys have the same hash in the table file "
                   + env.path()};
  return out;
}

std::size_t count_expired(MDB_txn* txn, const lmdb_environment& env,
                          std::size_t most) {
  lmdb_cursor order{txn, env.expiry(), env.path()};
  auto now = wall_clock_ms();
  std::size_t n = 0;
  for (bool more = order.seek({});
       more && n < most && when_of(order.key()) <= now; more = order.next())
    ++n;
  return n;
}

lmdb_writing::lmdb_writing(lmdb_transaction& x, std::string& hand, bool events)
  : x_(x), env_(x.environment()), clock_hand_(hand), noting_(events) {}

std::int64_t lmdb_writing::now() noexcept {
  if (now_ == 0)
    now_ = wall_clock_ms();
  return now_;
}

bool lmdb_writing::needs_old() const noexcept {
  auto& bounds = env_.settings();
  return noting_ || env_.lock_file().expiring() || bounds.max_bytes != 0
         || bounds.max_entries != 0;
}

std::optional<lmdb_found> lmdb_writing::find(const lmdb_key& where,
                                             const term& key) {
  auto out = look_up(x_.handle(), env_, where, key);
  if (out && out->record.expires != 0 && out->record.expired(now()))
    out.reset();
  return out;
}

void lmdb_writing::set(const lmdb_key& where, const term& key,
                       const term& value, std::int64_t expires) {
  if (expires != 0)
    env_.lock_file().set_expiring();
  std::optional<lmdb_found> old;
  if (needs_old() || where.abridged())
    old = look_up(x_.handle(), env_, where, key);
  lmdb_new_record fresh{where.abridged() ? &key : nullptr, value, expires,
                        old.has_value()};
  reserve(where, key, fresh.size());
  std::optional<term> before;
  if (old) {
    if (noting_ && !(old->record.expires != 0 && old->record.expired(now())))
      before = old->record.value();
    more_bytes_
      -= static_cast<std::int64_t>(where.bytes().size() + old->bytes.size());
    forget_expiry(where.bytes(), *old);
  }
  fresh.copy_to(x_.put(env_.entries(), where.bytes(), fresh.size()));
  more_bytes_ += static_cast<std::int64_t>(where.bytes().size() + fresh.size());
  if (expires != 0)
    x_.put(env_.expiry(), expiry_key(expires, where.bytes()), 0);
  if (noting_)
    note(table_event::kind::set, key, std::move(before), value);
}

void lmdb_writing::reserve(const lmdb_key& where, const term& key,
                           std::size_t size) {
  auto keys = expected_ ? std::exchange(*expected_, 0) : 1;
  try {
    x_.reserve(keys, size);
  } catch (const failed&) {
    // A counter goes on where nothing more finds room.
    if (keys != 1 || size > x_.most_in_place)
      throw;
    auto old = look_up(x_.handle(), env_, where, key);
    if (!old || old->bytes.size() < size)
      throw;
    x_.reserve_in_place();
  }
}

void lmdb_writing::forget_expiry(std::string_view where,
                                 const lmdb_found& old) {
  if (old.record.expires != 0)
    x_.erase(env_.expiry(), expiry_key(old.record.expires, where));
}

bool lmdb_writing::erase(const lmdb_key& where, const term& key) {
  auto old = look_up(x_.handle(), env_, where, key);
  if (!old)
    return false;
  x_.reserve_to_remove(1);
  bool lived = old->record.expires == 0 || !old->record.expired(now());
  remove(where.bytes(), *old,
         lived ? table_event::kind::erased : table_event::kind::expired);
  return lived;
}

/// `where` must not lie in the map.
void lmdb_writing::remove(std::string_view where, const lmdb_found& old,
                          table_event::kind why) {
  if (noting_)
    note(why, old.record.key_at(where), old.record.value(), std::nullopt);
  more_bytes_ -= static_cast<std::int64_t>(where.size() + old.bytes.size());
  forget_expiry(where, old);
  x_.erase(env_.entries(), where);
  if (why == table_event::kind::expired)
    ++env_.lock_file().expired();
  else if (why == table_event::kind::evicted)
    ++env_.lock_file().evicted();
}

void lmdb_writing::clear() {
  if (noting_ || env_.settings().max_bytes != 0) {
    lmdb_cursor all{x_.handle(), env_.entries(), env_.path()};
    for (bool more = all.seek(lmdb_first_key); more; more = all.next()) {
      auto record = lmdb_record::parse(all.value());
      more_bytes_
        -= static_cast<std::int64_t>(all.key().size() + all.value().size());
      if (noting_ && !(record.expires != 0 && record.expired(now())))
        note(table_event::kind::erased, record.key_at(all.key()),
             record.value(), std::nullopt);
    }
  }
  x_.reserve_to_remove(1);
  x_.clear();
}

std::size_t lmdb_writing::sweep(std::size_t most) {
  std::size_t n = 0;
  most = x_.reserve_to_remove_some(most);
  for (; n < most; ++n) {
    std::string next;
    {
      lmdb_cursor order{x_.handle(), env_.expiry(), env_.path()};
      if (!order.seek({}) || when_of(order.key()) > now())
        return n;
      next = order.key();
    }
    auto where = std::string_view{next}.substr(8);
    lmdb_found old;
    if (find_lmdb(x_.handle(), env_.entries(), env_.path(), where, old.bytes)) {
      old.record = lmdb_record::parse(old.bytes);
      if (old.record.expires == when_of(next)) {
        remove(where, old, table_event::kind::expired);
        continue;
      }
    }
    x_.erase(env_.expiry(), next);
  }
  return n;
}

// -- bounds ------------------------------------------------------------------

/// Bytes of keys and values as of the last commit. Counted if nobody knows,
/// as after the first opening.
std::uint64_t lmdb_writing::bytes_before() {
  auto& known = x_.bytes();
  if (known)
    return *known;
  auto& lock_file = env_.lock_file();
  if (lock_file.knows_bytes(x_.id() - 1)) {
    known = lock_file.bytes(x_.id() - 1);
    return *known;
  }
  std::uint64_t now = 0;
  lmdb_cursor all{x_.handle(), env_.entries(), env_.path()};
  for (bool more = all.seek(lmdb_first_key); more; more = all.next())
    now += all.key().size() + all.value().size();
  known = now - static_cast<std::uint64_t>(more_bytes_); // without our changes
  return *known;
}

bool lmdb_writing::too_much(std::uint64_t before) const {
  auto& bounds = env_.settings();
  if (bounds.max_entries != 0
      && x_.stat(env_.entries()).ms_entries
           > bounds.max_entries + lmdb_housekeeping)
    return true;
  return bounds.max_bytes != 0
         && before + static_cast<std::uint64_t>(more_bytes_) > bounds.max_bytes;
}

void lmdb_writing::finish(std::string_view kept) {
  auto& bounds = env_.settings();
  if (bounds.max_entries == 0 && bounds.max_bytes == 0)
    return;
  auto before = bounds.max_bytes != 0 ? bytes_before() : 0;
  while (too_much(before)) {
    if (env_.lock_file().expiring() && sweep(16) > 0)
      continue;
    if (!evict(kept))
      break;
  }
  if (bounds.max_bytes != 0) {
    auto now = before + static_cast<std::uint64_t>(more_bytes_);
    x_.bytes() = now;
    env_.lock_file().set_bytes(x_.id(), now);
  }
}

/// CLOCK with a second chance: the hand goes round in key order. An entry that
/// was used since the hand last came by only loses its mark; the first without
/// one goes, or the last of the sample. The mark is a byte in the map that
/// readers set: it belongs to no transaction.
bool lmdb_writing::evict(std::string_view kept) {
  std::string victim;
  {
    lmdb_cursor at{x_.handle(), env_.entries(), env_.path()};
    bool more = at.seek(clock_hand_.empty() ? lmdb_first_key
                                            : std::string_view{clock_hand_})
                || at.seek(lmdb_first_key);
    for (int i = 0; i < sample && more; ++i) {
      if (at.key() != kept) {
        victim = at.key();
        if (!lmdb_record::parse(at.value()).used)
          break;
        if (!env_.durable())
          std::atomic_ref{*reinterpret_cast<std::uint8_t*>(
                            const_cast<char*>(at.value().data()))}
            .fetch_and(static_cast<std::uint8_t>(~lmdb_used_mark),
                       std::memory_order_relaxed);
      }
      more = at.next() || at.seek(lmdb_first_key);
    }
  }
  if (victim.empty())
    return false; // there is nothing but what was just set
  clock_hand_ = victim + '\0';
  x_.reserve_to_remove(1);
  lmdb_found old;
  if (!find_lmdb(x_.handle(), env_.entries(), env_.path(), victim, old.bytes))
    return false;
  old.record = lmdb_record::parse(old.bytes);
  remove(victim, old, table_event::kind::evicted);
  return true;
}

void lmdb_writing::note(table_event::kind what, term key,
                        std::optional<term> before, std::optional<term> after) {
  events_.push_back(
    {what, std::move(key), std::move(before), std::move(after)});
}

} // namespace hornbeam::runtime
