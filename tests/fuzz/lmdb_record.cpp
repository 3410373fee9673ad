#include "fuzz.hpp"

#include "runtime/table_lmdb/record.hpp"
#include "runtime/term/wire.hpp"

// Values as a table file has them.

using namespace hornbeam::runtime;
using namespace hornbeam::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes{text_of(data, size)};
  term value;
  term key;
  lmdb_record x;
  try {
    x = lmdb_record::parse(bytes);
    value = x.value();
    if (!x.key.empty())
      key = decode(x.key);
  } catch (const decode_error&) {
    return 0;
  }
  lmdb_new_record written{x.key.empty() ? nullptr : &key, value, x.expires,
                          x.used};
  std::string copy(written.size(), '\0');
  written.copy_to(copy.data());
  auto again = lmdb_record::parse(copy);
  must(again.value() == value, "a value that was written is the same");
  must(again.used == x.used, "its mark is the same");
  must(again.expires == x.expires, "it expires when it did");
  must(again.key.empty() == x.key.empty(), "it has a key if it had");
  must(again.key.empty() || decode(again.key) == key, "the key is the same");
  must(value.is(term::kind::integer) == again.is_integer,
       "integers, and nothing else, are counters");
  return 0;
}
