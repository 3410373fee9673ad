#pragma once

#include <cstdint>
#include <string>

#include "runtime/table_lmdb/file_reader.hpp"

// What `hornbeam state` does with a table file, beside processes that use it.
// Not for a process that has the table open itself: LMDB's locks would end with
// the second opening.

namespace hornbeam::runtime {

/// Looks at all of the file as of its last commit. Raises `failed` if it can't
/// be read at all.
lmdb_findings check_table_file(const std::string& path);
/// Writes all entries that have not expired to a snapshot at `to`. Raises
/// `failed` if the file is damaged.
lmdb_findings dump_table_file(const std::string& path, const std::string& to);
/// The same with what can be read of a damaged file.
lmdb_findings salvage_table_file(const std::string& path,
                                 const std::string& to);

struct restored_table {
  std::uint64_t entries = 0;
  std::string set_aside; ///< where the damaged file is that was there, if any
};
/// Replaces all that the table has by a snapshot, some at a time; makes its
/// file if there is none. Raises `failed` if it has entries, unless `force`.
restored_table restore_table_file(const std::string& path,
                                  const std::string& from, bool force);

} // namespace hornbeam::runtime
