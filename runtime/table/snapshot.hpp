#pragma once

#include <string>
#include <vector>

#include "runtime/table/table.hpp"

namespace hornbeam::runtime {

// A snapshot of a table is a file of
//
//   8 bytes   "hornbtbl"
//   varint    version, 1
//   varint    size of the body
//   32 bytes  SHA-256 of the body
//   body      name, kind, entries: each a key, a value, and when it expires
//             (milliseconds since 1970, 0: never)
//
// all as `wire_writer` writes it.

/// Writes the file beside `path`, brings it to the disk and renames it. Raises
/// `failed`, which names the file.
void write_snapshot(const std::string& path, const std::string& name,
                    table_kind kind, const std::vector<table_entry>& entries);

/// The entries that have not expired meanwhile. Raises `failed`, which names
/// the file, if it can't be read, is damaged, has a newer version, or holds
/// several values of a key where `into` can't.
std::vector<table_entry> read_snapshot(const std::string& path,
                                       const std::string& into,
                                       table_kind kind);

} // namespace hornbeam::runtime
