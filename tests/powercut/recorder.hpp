#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hornbeam::testing {

/// One thing that a program did to a file.
struct disk_event {
  enum class kind : std::uint8_t {
    write,
    synced_write, ///< on the disk when the call returned
    sync,         ///< all that was written before is on the disk
  };
  kind what;
  std::uint64_t offset = 0;
  std::string bytes = {};
};

/// Records what this program does to the file at `path` from here on.
void record(const std::string& path);
/// How many events there are.
std::size_t recorded();
std::vector<disk_event> stop_recording();

} // namespace hornbeam::testing
