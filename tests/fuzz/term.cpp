#include "fuzz.hpp"

#include "runtime/term/wire.hpp"

// The form of a term on the wire: whatever is read is written, and read again,
// as the same.

using namespace hornbeam::runtime;
using namespace hornbeam::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  term x;
  try {
    x = decode(text_of(data, size));
  } catch (const decode_error&) {
    return 0;
  }
  auto bytes = encode(x);
  auto again = decode(bytes);
  must(again == x, "a term that was sent on is the same");
  must(encode(again) == bytes, "its bytes are the same");
  must((again <=> x) == 0, "neither is before the other");
  must(again.hash() == x.hash(), "they have one hash");
  to_string(x);
  return 0;
}
