#include "fuzz.hpp"

#include "runtime/table_lmdb/key.hpp"
#include "runtime/term/wire.hpp"

// Keys as a table file has them. Both halves of an input are read as keys, and
// as terms that become keys: their bytes must be in the order of the terms.

using namespace hornbeam::runtime;
using namespace hornbeam::fuzz;

namespace {

bool read(std::string_view bytes, bool ordered, term& x) {
  try {
    x = ordered ? decode_ordered(bytes) : decode(bytes);
  } catch (const decode_error&) {
    return false;
  }
  return true;
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  auto all = text_of(data, size);
  bool ordered = (data[0] & 1) != 0;
  auto first = std::size_t{data[0]} >> 1;
  all.remove_prefix(1);
  first = std::min(first, all.size());
  term a;
  term b;
  if (!read(all.substr(0, first), ordered, a))
    return 0;
  auto bytes = encode_ordered(a);
  auto again = decode_ordered(bytes);
  must(again == a, "a key that was written is read as the same");
  must(encode_ordered(again) == bytes, "its bytes are the same");
  must(!lmdb_key{a}.bytes().empty(), "a key has bytes");
  must(lmdb_key{a}.bytes() >= lmdb_first_key, "it is behind the housekeeping");
  if (!read(all.substr(first), ordered, b))
    return 0;
  auto other = encode_ordered(b);
  // References of one number are equal; nobody makes two for two owners.
  must(a == b || (bytes <=> other) == (a <=> b),
       "bytes are in the order of the keys");
  return 0;
}
