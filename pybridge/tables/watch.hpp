#pragma once

#include "pybridge/tables/handle.hpp"
#include "runtime/table/watchers.hpp"

namespace hornbeam::pybridge {

/// Sends the changes of a table to a process, until it is closed, the process
/// or the table ends.
///
/// A process of this node watches the table, wherever that is, and passes on
/// what it hears as `table::watch` words it, under the topic `table:NAME` and
/// with the number given here. If the node of the table is lost, the last
/// message is of the kind `'end'`.
class table_watch {
public:
  table_watch(const table_handle& t, const runtime::table_interest& what,
              std::int64_t number, const runtime::term& to);

  std::int64_t number() const noexcept { return number_; }
  /// False if the table had ended, or this is closed already.
  bool close();

private:
  const table_handle table_;
  const std::int64_t number_;
  std::uint32_t created_in_ = fork_generation();
  runtime::term forwarder_;
  runtime::term number_there_;
};

} // namespace hornbeam::pybridge
