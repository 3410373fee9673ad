#include "runtime/table/table.hpp"

#include "runtime/table/host.hpp"
#include "runtime/table/options_term.hpp"
#include "runtime/table/snapshot.hpp"

namespace hornbeam::runtime {

table::table(std::string name, table_options options)
  : name_(std::move(name)), options_(std::move(options)) {}

void table::refuse_others(const char* what) const {
  if (ended())
    throw failed{error_code::not_found,
                 "the table '" + name_
                   + "' is no more: it was deleted, or its "
                     "owner has ended"};
  auto owner = owner_serial_.load();
  if (owner != 0 && caller::current().process == owner)
    return;
  bool others_read = options_.access == table_access::readable;
  throw failed{
    error_code::refused,
    "the table '" + name_ + "' is " + name_of(options_.access)
      + ": only its owner, " + to_string(this->owner()) + ", may " + what
      + " it; others may "
      + (others_read ? "only read it" : "neither read nor write it")};
}

term table::check_owner(const char* what) const {
  if (ended())
    refuse_others(what);
  auto owner = owner_serial_.load();
  if (owner == 0 || caller::current().process != owner)
    throw failed{error_code::refused,
                 std::string{"only its owner may "} + what + " the table '"
                   + name_ + "'; that is "
                   + (owner == 0 ? "nobody" : to_string(this->owner()))};
  return this->owner();
}

void table::set_owner(const term& pid) {
  lock_scope guard{owner_mutex_};
  owner_ = pid;
  owner_serial_ = pid.as_pid().serial;
  access_bits_ = options_.access == table_access::closed     ? only_owner_uses
                 : options_.access == table_access::readable ? only_owner_writes
                                                             : 0;
}

void table::set_heir(const term& heir, term data) {
  if (!heir.is_none() && !heir.is(term::kind::pid))
    throw bad_term("the heir of the table '" + name_ + "' is a pid, not "
                   + kind_name(heir.type()));
  lock_scope guard{owner_mutex_};
  heir_ = heir;
  std::swap(heir_data_, data);
}

std::pair<term, term> table::heir_and_data() const {
  lock_scope guard{owner_mutex_};
  return {heir_, heir_data_};
}

void table::end() {
  if (watchers_.any()) {
    watchers_.note({table_event::kind::ended, {}, {}, {}});
    watchers_.deliver();
  }
  forget();
}

void table::refuse_bag(const char* operation) const {
  throw bad_term(std::string{"no "} + operation + " on the table '" + name_
                 + "': it is a " + name_of(options_.kind)
                 + ", where a key has several values");
}

std::int64_t table::refuse_ttl(std::int64_t ttl_ms) {
  throw bad_term("a time to live of " + std::to_string(ttl_ms)
                 + " ms: it is at least 0, which is for ever");
}

std::vector<term> table::keys() const {
  std::vector<term> out;
  for (term at;;) {
    auto batch = scan(at);
    for (auto& [key, value] : batch.entries)
      out.push_back(std::move(key));
    if (batch.next.is_none())
      return out;
    at = std::move(batch.next);
  }
}

term::entries table::items() const {
  term::entries out;
  for (term at;;) {
    auto batch = scan(at);
    if (out.empty())
      out = std::move(batch.entries);
    else
      std::move(batch.entries.begin(), batch.entries.end(),
                std::back_inserter(out));
    if (batch.next.is_none())
      return out;
    at = std::move(batch.next);
  }
}

std::uint64_t table::watch(table_interest what, table_listener f) {
  check_read();
  check_watch();
  return watchers_.add(std::move(what), std::move(f));
}

std::uint64_t table::watch(table_interest what, const term& pid) {
  check_read();
  if (!pid.is(term::kind::pid))
    throw bad_term("who watches the table '" + name_ + "' is a pid, not "
                   + kind_name(pid.type()));
  return add_watch(what, pid);
}

bool table::unwatch(std::uint64_t number) {
  return remove_watch(number);
}

std::uint64_t table::add_watch(const table_interest& what, const term& pid) {
  check_watch();
  return watchers_.add(what, pid, name_, host());
}

bool table::remove_watch(std::uint64_t number) {
  return watchers_.remove(number);
}

term table::info() const {
  check_there();
  term::entries out;
  auto put = [&](const char* what, term x) {
    out.emplace_back(term::atom(what), std::move(x));
  };
  auto number = [](std::uint64_t x) {
    return term{static_cast<std::int64_t>(x)};
  };
  put("name", term::string(name_));
  each_table_option([&](auto option) {
    if (option.use != table_option_use::lmdb) // which that engine adds
      put(option.name, option_term(options_.*option.member));
  });
  put("owner", owner());
  put("heir", heir());
  put("size", number(do_size()));
  put("watches", number(watchers_.size()));
  add_info(out);
  return term::map(std::move(out));
}

std::size_t table::save(const std::string& path) const {
  check_read();
  auto entries = dump();
  write_snapshot(path, name(), options().kind, entries);
  return entries.size();
}

std::size_t table::load(const std::string& path) {
  check_write();
  auto entries = read_snapshot(path, name(), options().kind);
  auto n = entries.size();
  replace(std::move(entries));
  return n;
}

term table::owner() const {
  lock_scope guard{owner_mutex_};
  return owner_;
}

term table::heir() const {
  lock_scope guard{owner_mutex_};
  return heir_;
}

std::shared_ptr<table_host> table::attached() const {
  lock_scope guard{owner_mutex_};
  return hosts_.empty() ? nullptr : hosts_.back();
}

void table::attach(std::shared_ptr<table_host> host) {
  {
    lock_scope guard{owner_mutex_};
    host_ = host.get();
    hosts_.push_back(std::move(host));
  }
  resume_expiry();
}

} // namespace hornbeam::runtime
