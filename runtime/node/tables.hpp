#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/table/table.hpp"

namespace hornbeam::runtime {

/// Makes a table with the engine that `options` name: the one place where an
/// engine is chosen. Raises `failed` for options that the engine can't take.
table_ptr make_table(const std::string& name, const table_options& options);

/// Who owns a table, and who gets it when the owner ends.
struct table_ownership {
  term owner; ///< a pid of this node, or none
  term heir;  ///< a pid of this node, or none: the table ends with its owner
  term heir_data;
};

/// The tables of one node by name. All members are safe from any thread.
class tables {
public:
  /// What the tables use of their node; to be called before there are any.
  void attach(std::shared_ptr<table_host> host) { host_ = std::move(host); }

  /// Files of lmdb tables without a path are those of this cluster.
  void set_cluster(const std::string& name);

  /// How a table is to be made when it is first asked for. Raises `failed`,
  /// which says what differs, if it was declared or made otherwise.
  void declare(const std::string& name, const table_options& options);
  /// What `name` was declared or made with, else the defaults.
  table_options options_of(const std::string& name) const;

  /// The table, made as it was declared when it is first asked for.
  table_ptr open(const std::string& name);
  /// The same as `declare` and `open`.
  table_ptr open(const std::string& name, const table_options& options);
  /// A new table, as `ets:new`. Raises `failed` if there is one of that name,
  /// or the owner has ended.
  table_ptr create(const std::string& name, const table_options& options,
                   const table_ownership& whose = {});
  /// Takes in a table that exists already.
  void adopt(table_ptr x);
  /// Null if it was never opened.
  table_ptr find(const std::string& name) const;
  std::vector<table_ptr> all() const;

  // -- owners ----------------------------------------------------------------

  /// Deletes a table: who still holds it gets errors. Only for its owner, if
  /// it has one.
  void drop(const std::string& name);
  /// Gives a table to another process of this node, which gets
  /// `{'ETS-TRANSFER', Table, From, Data}`. Raises `failed` unless the caller
  /// owns the table and `to` lives and is not its owner yet.
  void give_away(const std::string& name, const term& to, term data);
  /// Only for the owner; none as heir: there is none any more.
  void set_heir(const std::string& name, const term& heir, term data);
  /// An owner has ended: its tables go to their heirs, or end. An heir stays
  /// one: what it gives away comes back to it.
  void release(const term& owner);

  void before_fork() const;
  void after_fork_in_parent() const;
  void after_fork_in_child();

private:
  /// With the path of its file, if it has one. Without the lock.
  table_options complete(const std::string& name, table_options x) const;
  using lock_type = std::unique_lock<ranked_mutex<lock_rank::tables>>;

  /// True: the caller makes the table that is not there. False: another thread
  /// was at it, and this one has waited for that; look again.
  bool begin_making(lock_type& lock, const std::string& name);
  /// Makes it without the lock, since that may wait for other processes.
  table_ptr make(lock_type& lock, const std::string& name,
                 const table_options& options, const table_ownership& whose);
  void own(table& t, const term& owner);
  /// Takes it out of the books; the caller calls `table::end` on it, without
  /// the lock.
  table_ptr remove(const std::string& name);

  std::shared_ptr<table_host> host_;
  mutable ranked_mutex<lock_rank::tables> mutex_; ///< guards what follows
  std::string cluster_ = "hornbeam";
  ranked_condition made_;
  std::set<std::string> being_made_; ///< others that want one wait
  std::map<std::string, table_options> declared_;
  std::map<std::string, table_ptr> tables_;
};

} // namespace hornbeam::runtime
