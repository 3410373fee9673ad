#include "runtime/node/tables.hpp"

#include "runtime/base/blocking.hpp"
#include "runtime/call/failures.hpp"
#include "runtime/table/host.hpp"
#include "runtime/table_lmdb/files.hpp"
#include "runtime/table_lmdb/table.hpp"
#include "runtime/table_memory/table.hpp"

namespace hornbeam::runtime {

namespace {

void check_equal(const std::string& name, const table_options& a,
                 const table_options& b) {
  if (auto d = differences(a, b); !d.empty())
    throw failed{error_code::bad_value,
                 "two declarations of the table '" + name + "' differ in " + d};
}

void check_owned(const std::string& name, const table_options& options,
                 const term& owner) {
  if (options.access != table_access::open && owner.is_none())
    throw failed{error_code::bad_value, "the table '" + name + "' is "
                                          + name_of(options.access)
                                          + ", so it needs an owner"};
}

term transfer(const table& t, const term& from, term data) {
  static const auto tag = term::constant("ETS-TRANSFER");
  return term::tuple({tag, term::atom(t.name()), from, std::move(data)});
}

} // namespace

table_ptr make_table(const std::string& name, const table_options& options) {
  if (name.empty())
    throw failed{error_code::bad_value, "a table needs a name"};
  switch (options.engine) {
    case table_engine::memory:
      return std::make_shared<memory_table>(name, options);
    case table_engine::lmdb:
      try {
        return std::make_shared<lmdb_table>(name, options);
      } catch (failed& e) {
        e.why.message = "the table '" + name + "': " + e.why.message;
        throw failed{e.why};
      }
  }
  throw failed{error_code::bad_value, "the table '" + name
                                        + "' has an engine that this build "
                                          "does not have"};
}

void tables::set_cluster(const std::string& name) {
  lock_scope guard{mutex_};
  cluster_ = name;
}

table_options tables::complete(const std::string& name, table_options x) const {
  if (x.durable == table_durability::always && x.path.empty())
    throw failed{error_code::bad_value,
                 "the table '" + name
                   + "' is to be durable: it needs a path, on a disk"};
  if (x.engine == table_engine::lmdb && x.path.empty()) {
    std::string cluster;
    {
      lock_scope guard{mutex_};
      cluster = cluster_;
    }
    x.path = default_table_file(cluster, name);
  }
  return x;
}

void tables::declare(const std::string& name, const table_options& wanted) {
  check_owned(name, wanted, {}); // nobody in particular will make it
  auto options = complete(name, wanted);
  lock_scope guard{mutex_};
  if (auto i = tables_.find(name); i != tables_.end())
    check_equal(name, i->second->options(), options);
  else if (auto [j, fresh] = declared_.emplace(name, options); !fresh)
    check_equal(name, j->second, options);
}

table_options tables::options_of(const std::string& name) const {
  lock_scope guard{mutex_};
  if (auto i = tables_.find(name); i != tables_.end())
    return i->second->options();
  auto i = declared_.find(name);
  return i != declared_.end() ? i->second : table_options{};
}

bool tables::begin_making(lock_type& lock, const std::string& name) {
  if (being_made_.insert(name).second)
    return true;
  lock.unlock();
  {
    blocking_scope waiting; // outlives `again`: no mutex and Python's lock
    lock_type again{mutex_};
    made_.wait(again, [&] { return !being_made_.contains(name); });
  }
  lock.lock();
  return false;
}

table_ptr tables::make(lock_type& lock, const std::string& name,
                       const table_options& options,
                       const table_ownership& whose) {
  struct end_of_making {
    ~end_of_making() {
      if (!lock.owns_lock())
        lock.lock();
      all.being_made_.erase(name);
      all.made_.notify_all();
    }
    tables& all;
    lock_type& lock;
    const std::string& name;
  } whatever_happens{*this, lock, name};
  lock.unlock();
  check_owned(name, options, whose.owner);
  auto t = make_table(name, options);
  lock.lock();
  t->attach(host_);
  if (!whose.owner.is_none())
    own(*t, whose.owner);
  t->set_heir(whose.heir, whose.heir_data);
  tables_[name] = t;
  return t;
}

table_ptr tables::open(const std::string& name) {
  lock_type lock{mutex_};
  do {
    if (auto i = tables_.find(name); i != tables_.end())
      return i->second;
  } while (!begin_making(lock, name));
  auto i = declared_.find(name);
  auto options = i != declared_.end() ? i->second : table_options{};
  return make(lock, name, options, {});
}

table_ptr tables::open(const std::string& name, const table_options& options) {
  declare(name, options);
  return open(name);
}

table_ptr tables::create(const std::string& name, const table_options& wanted,
                         const table_ownership& whose) {
  auto options = complete(name, wanted);
  lock_type lock{mutex_};
  do {
    if (tables_.contains(name))
      throw failed{error_code::bad_value,
                   "there is a table '" + name + "' already"};
    if (auto i = declared_.find(name); i != declared_.end())
      check_equal(name, i->second, wanted);
  } while (!begin_making(lock, name));
  return make(lock, name, options, whose);
}

void tables::adopt(table_ptr x) {
  x->attach(host_);
  lock_scope guard{mutex_};
  tables_[x->name()] = std::move(x);
}

table_ptr tables::find(const std::string& name) const {
  lock_scope guard{mutex_};
  auto i = tables_.find(name);
  return i != tables_.end() ? i->second : nullptr;
}

std::vector<table_ptr> tables::all() const {
  lock_scope guard{mutex_};
  std::vector<table_ptr> out;
  for (auto& [name, t] : tables_)
    out.push_back(t);
  return out;
}

// -- owners -------------------------------------------------------------------

void tables::own(table& t, const term& owner) {
  if (!host_ || !host_->mark_owner(owner))
    throw failed{error_code::bad_value,
                 "the table '" + t.name() + "' can't belong to "
                   + to_string(owner)
                   + ": that is no living process of this node"};
  t.set_owner(owner);
}

table_ptr tables::remove(const std::string& name) {
  auto i = tables_.find(name);
  if (i == tables_.end())
    throw failed{no_table(name)};
  auto t = i->second;
  tables_.erase(i);
  return t;
}

void tables::drop(const std::string& name) {
  table_ptr t;
  {
    lock_scope guard{mutex_};
    if (auto i = tables_.find(name); i != tables_.end())
      i->second->check_write();
    t = remove(name);
    t->refuse_everybody();
  }
  t->end();
}

void tables::give_away(const std::string& name, const term& to, term data) {
  auto t = find(name);
  if (!t)
    throw failed{no_table(name)};
  lock_scope guard{mutex_};
  auto from = t->check_owner("give away");
  if (from == to)
    throw failed{error_code::bad_value,
                 to_string(to) + " owns the table '" + name + "' already"};
  own(*t, to);
  host_->send(to, transfer(*t, from, std::move(data)));
}

void tables::set_heir(const std::string& name, const term& heir, term data) {
  auto t = find(name);
  if (!t)
    throw failed{no_table(name)};
  lock_scope guard{mutex_};
  t->check_owner("name the heir of");
  t->set_heir(heir, std::move(data));
}

void tables::release(const term& owner) {
  std::vector<table_ptr> over;
  {
    lock_scope guard{mutex_};
    for (auto i = tables_.begin(); i != tables_.end();) {
      auto& t = *i->second;
      if (t.owner() != owner) {
        ++i;
        continue;
      }
      auto [heir, data] = t.heir_and_data();
      if (!heir.is_none() && heir != owner && host_->mark_owner(heir)) {
        t.set_owner(heir);
        host_->send(heir, transfer(t, owner, std::move(data)));
        ++i;
      } else {
        t.refuse_everybody();
        over.push_back(std::move(i->second));
        i = tables_.erase(i);
      }
    }
  }
  for (auto& t : over)
    t->end();
}

// -- forks --------------------------------------------------------------------

void tables::before_fork() const {
  mutex_.lock();
  for (auto& [name, t] : tables_) {
    t->owner_mutex_.lock();
    t->before_fork();
  }
}

void tables::after_fork_in_parent() const {
  for (auto& [name, t] : tables_) {
    t->after_fork_in_parent();
    t->owner_mutex_.unlock();
  }
  mutex_.unlock();
}

void tables::after_fork_in_child() {
  for (auto& [name, t] : tables_) {
    t->after_fork_in_child();
    t->host_ = nullptr; // its clock and its threads have stayed behind
    t->owner_mutex_.unlock();
  }
  being_made_.clear(); // by threads of the parent
  new (&made_) ranked_condition;
  mutex_.unlock();
}

} // namespace hornbeam::runtime
