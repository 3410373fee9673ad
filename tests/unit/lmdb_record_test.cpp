#include <catch2/catch.hpp>

#include "runtime/table_lmdb/record.hpp"
#include "runtime/term/wire.hpp"

using namespace hornbeam::runtime;
using namespace std::string_literals;

TEST_CASE("a value of a table file whose form is unknown is refused") {
  CHECK(lmdb_record::parse("\0\0\0"s).value() == term{});
  CHECK_THROWS_AS(lmdb_record::parse("\0\x02\0"s), decode_error);
  CHECK_THROWS_AS(lmdb_record::parse("\0\x80\0"s), decode_error);
  CHECK_THROWS_AS(lmdb_record::parse("\0\xff\0"s), decode_error);
}
