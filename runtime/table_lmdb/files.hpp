#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace hornbeam::runtime {

/// Where the file of an lmdb table lies unless its options say so: in the
/// runtime directory of the user, apart for each cluster. Makes the folders.
/// Raises `failed` or `std::runtime_error`.
std::string default_table_file(const std::string& cluster,
                               const std::string& table);
/// Raises `failed` if the name of a table is too long for such a file.
void require_default_table_file(const std::string& table);

/// A table file, looked at from outside.
struct table_file {
  std::string cluster; ///< empty if it lies elsewhere
  std::string table;
  std::string path;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0; ///< that it takes on its file system
  pid_t writer = 0;        ///< who has the lock of writers, or 0
  std::vector<pid_t> users;
  bool in_use = false;
  std::string error; ///< why nothing is known of its entries
};

/// All of the user's that lie where `default_table_file` says.
std::vector<table_file> table_files();
/// The one at `path`. Raises `failed` if there is none.
table_file look_at_table_file(const std::string& path);
/// Removes it. Raises `failed` if processes use it, unless `force`: those get
/// errors from then on.
void remove_table_file(const std::string& path, bool force);

} // namespace hornbeam::runtime
