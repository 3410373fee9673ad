#pragma once

#include <memory>

#include "runtime/memory_table.hpp"
#include "runtime/service.hpp"

namespace hornbeam::actors {

/// The actor of one table: every operation by message, which is how other
/// nodes and actors use the table. Callers of this node go to the table
/// itself; a test holds both equal. Ending the actor loses no data.
///
/// Protocol: `get key default`, `contains key`, `set key value`,
/// `insert_new key value`, `delete key`, `take key default`,
/// `incr key delta`, `get_multi keys`, `keys`, `keys prefix`, `size`, `clear`.
std::unique_ptr<runtime::service> make_table_service(
  std::shared_ptr<runtime::memory_table> table);

} // namespace hornbeam::actors
