#include "fuzz.hpp"

#include <algorithm>

#include <openssl/sha.h>

#include "runtime/call/outcome.hpp"
#include "runtime/table/snapshot.hpp"
#include "runtime/term/wire.hpp"

// Snapshots of tables. The first byte says whether the rest is a whole file, or
// a body to which the head with its checksum is made: no fuzzer finds that by
// itself.

using namespace hornbeam::runtime;
using namespace hornbeam::fuzz;

namespace {

std::string with_head(std::string_view body) {
  std::string out{"hornbtbl"};
  wire_writer ar{out};
  ar << std::uint32_t{1} << body.size();
  unsigned char sum[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), sum);
  ar.save_binary(sum, sizeof sum);
  return out.append(body);
}

bool same(const table_entry& a, const table_entry& b) {
  return a.key == b.key && a.value == b.value;
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const file f{".snapshot"};
  constexpr auto kind = table_kind::duplicate_bag;
  if (size == 0)
    return 0;
  auto rest = text_of(data + 1, size - 1);
  f.write(data[0] == 'f' ? std::string{rest} : with_head(rest));
  std::vector<table_entry> entries;
  try {
    entries = read_snapshot(f.path(), "fuzz", kind);
  } catch (const failed&) {
    return 0;
  }
  try {
    memory_table{"set"}.load(f.path());
  } catch (const failed&) {
    // one of a bag
  }
  for (auto& x : entries)
    x.left_ms = 0; // nothing expires between
  write_snapshot(f.path(), "fuzz", kind, entries);
  auto again = read_snapshot(f.path(), "fuzz", kind);
  must(std::equal(entries.begin(), entries.end(), again.begin(), again.end(),
                  same),
       "a snapshot that was written has the same entries");
  return 0;
}
