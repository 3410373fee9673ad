#include "fuzz.hpp"

#include "runtime/table_lmdb/file_reader.hpp"
#include "runtime/table_lmdb/record.hpp"

// The pages of a table file, as `hornbeam state check` and `salvage` read them.

using namespace hornbeam::runtime;
using namespace hornbeam::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const file f{".lmdb"};
  f.write(text_of(data, size));
  lmdb_file_reader reader{f.path()};
  std::uint64_t entries = 0;
  auto read = [&](std::string_view key, std::string_view value) {
    auto record = lmdb_record::parse(value);
    record.key_at(key);
    record.value();
    ++entries;
  };
  if (auto& commit = reader.last()) {
    auto whole = reader.check(*commit);
    auto found = reader.check(*commit, read);
    must(found.entries == entries, "each entry that counts can be read");
    must(found.damages != 0 || found.entries == whole.entries,
         "what is whole has all entries");
  }
  entries = 0;
  auto left = reader.salvage(reader.last(), read);
  must(left.entries == entries, "each entry that is saved can be read");
  must(left.doubtful <= left.entries, "those that nothing leads to are some");
  return 0;
}
