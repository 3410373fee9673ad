#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "runtime/table_lmdb/table.hpp"

namespace hornbeam::testing {

/// A folder on the memory file system for tables of a test, which share
/// nothing with those of anybody else.
class lmdb_folder {
public:
  lmdb_folder() {
    std::string pattern = "/dev/shm/hornbeam-test-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~lmdb_folder() { std::filesystem::remove_all(path_); }
  lmdb_folder(const lmdb_folder&) = delete;
  lmdb_folder& operator=(const lmdb_folder&) = delete;

  std::string file(const std::string& name = "t") const {
    return path_ + "/" + name + ".lmdb";
  }
  runtime::table_options options(const std::string& name = "t") const {
    runtime::table_options out;
    out.engine = runtime::table_engine::lmdb;
    out.path = file(name);
    out.map_bytes = 64 << 20;
    return out;
  }
  std::shared_ptr<runtime::lmdb_table> open(
    const runtime::table_options& x) const {
    return std::make_shared<runtime::lmdb_table>("t", x);
  }
  std::shared_ptr<runtime::lmdb_table> open() const { return open(options()); }

private:
  std::string path_;
};

} // namespace hornbeam::testing
