#pragma once

#include <optional>
#include <string>

#include "pybridge/calls/python_mailbox.hpp"
#include "runtime/table/table.hpp"

namespace hornbeam::pybridge {

/// A table of this node in use by whoever runs Python code: one that is not for
/// everybody looks who that is. Made with Python's lock.
class local_use {
public:
  explicit local_use(runtime::table* t) : table_(t) {
    if (t != nullptr && t->options().access != runtime::table_access::open)
      [[unlikely]]
      as_.emplace(runtime::caller{calling_process(), {}, 0});
  }

  explicit operator bool() const noexcept { return table_ != nullptr; }
  runtime::table* operator->() const noexcept { return table_; }
  runtime::table& operator*() const noexcept { return *table_; }

private:
  runtime::table* table_;
  std::optional<runtime::caller_scope> as_;
};

/// A table as Python holds it: one of this node, which is used in the calling
/// thread, or one of another node, whose actor is asked. Both know the same
/// operations, those of `actors/tables.hpp`.
class table_handle {
public:
  /// A table of the node `me`, or where its home is.
  table_handle(runtime::table_ptr table, const std::string& me);
  /// A table of another node.
  table_handle(std::string name, std::string node)
    : name_(std::move(name)), node_(std::move(node)) {}

  /// The table `name`: of this node, if `node` is empty or names it, and
  /// unless it has a home elsewhere.
  static table_handle find(const std::string& name, const std::string& node);

  const std::string& name() const noexcept { return name_; }
  /// Where its entries are; empty: in this node.
  const std::string& node() const noexcept { return node_; }

  /// The table itself, or none if it is on another node.
  local_use local() const { return local_use{local_.get()}; }
  /// The table itself, or an error that says that `operation` needs it.
  local_use only_local(const char* operation) const;

  /// Whether writing may mean to wait for another process.
  bool waits() const noexcept { return waits_; }

  enum class effort { small, large };
  /// What the table answers. A large effort on this node gives Python's lock
  /// back. Raises what the operation raises, here and there.
  runtime::term ask(const char* operation, runtime::term::sequence args = {},
                    effort e = effort::small) const;

private:
  runtime::table_ptr local_;
  std::string name_;
  std::string node_;
  bool waits_ = false;
};

/// Stands around a write: gives Python's lock back if it may have to wait.
class release_gil_if_blocking {
public:
  explicit release_gil_if_blocking(const table_handle& t) {
    if (t.waits())
      free_.emplace();
  }

private:
  std::optional<without_gil> free_;
};

} // namespace hornbeam::pybridge
