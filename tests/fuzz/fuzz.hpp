#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);

namespace hornbeam::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// What must hold of every input; else the fuzzer stops and keeps the input.
inline void must(bool holds, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// A file in memory, which is written anew for each input.
class file {
public:
  explicit file(const char* name)
    : path_("/dev/shm/hornbeam-fuzz-" + std::to_string(::getpid()) + name) {}
  ~file() { ::unlink(path_.c_str()); }
  file(const file&) = delete;
  file& operator=(const file&) = delete;

  const std::string& path() const noexcept { return path_; }
  void write(std::string_view x) const {
    std::ofstream out{path_, std::ios::binary | std::ios::trunc};
    out.write(x.data(), static_cast<std::streamsize>(x.size()));
  }

private:
  const std::string path_;
};

} // namespace hornbeam::fuzz
