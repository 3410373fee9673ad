#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

#include "runtime/link/node_core.hpp"
#include "runtime/table_lmdb/key.hpp"
#include "runtime/table_lmdb/record.hpp"
#include "runtime/table_lmdb/table.hpp"
#include "runtime/term/wire.hpp"

// Writes real encodings, with which the fuzzers begin, into the folder that it
// is given: `build/fuzz/tests/fuzz/hornbeam_fuzz_corpus tests/fuzz/corpus`.
// What a fuzzer found lies beside them and stays.

using namespace hornbeam::runtime;
namespace fs = std::filesystem;

namespace {

fs::path folder;

void put(const char* fuzzer, const std::string& name, std::string_view bytes) {
  fs::create_directories(folder / fuzzer);
  std::ofstream out{folder / fuzzer / name, std::ios::binary};
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::pair<std::string, term>> some_of_each_kind() {
  auto node = origin::of("web@127.0.0.1", 77);
  array a;
  a.dtype = "<f8";
  a.shape = {2};
  a.data = std::string(16, '\1');
  return {
    {"none", term{}},
    {"true", term{true}},
    {"integer", term{-300}},
    {"big", term{big_integer{1} << 80}},
    {"negative_big", term{-(big_integer{1} << 2100)}},
    {"float", term{2.5}},
    {"minus_zero", term{-0.0}},
    {"infinity", term{-HUGE_VAL}},
    {"nan", term{std::nan("")}},
    {"atom", term::atom("ok")},
    {"string", term::string(std::string{"a\0b", 3})},
    {"bytes", term::bytes("\xff\xfe")},
    {"list", term::list({term{1}, term::string("x"), term::list({})})},
    {"tuple", term::tuple({term::atom("a"), term{1.0}})},
    {"set", term::set({term{1}, term{2.0}, term::string("3")})},
    {"map", term::map({{term::string("k"), term{1}}, {term{2}, term{}}})},
    {"pid", term{pid{node, 5}}},
    {"reference", term{reference{node, 6, 7}}},
    {"array", term{std::move(a)}},
    {"extension", term::extension("tag", term{1})},
  };
}

template <class... Ts>
std::string frame(int tag, const Ts&... fields) {
  std::string body;
  wire_writer ar{body};
  ar << static_cast<std::uint64_t>(tag);
  ((void)(ar << fields), ...);
  std::string out;
  wire_writer{out} << body;
  return out;
}

void put_frames() {
  using number = std::uint64_t;
  auto body = encode(term::tuple({term::string("add"), term{1}}));
  hello h;
  h.name = "web@127.0.0.1";
  h.incarnation = 77;
  h.cluster = "demo";
  h.host = "box";
  std::string greeting{"HORNBEAM"};
  wire_writer{greeting} << h;
  std::string first;
  wire_writer{first} << greeting;
  auto one = [&](const char* name, const std::string& frames) {
    put("frame", name, std::string(1, '\x7f') + frames);
    put("peer", name, "\x0c" + first + frames); // in one piece
  };
  std::string request = frame(1, number{9}, std::string{"functions"},
                              number{5001}, number{1});
  request[0] = static_cast<char>(request[0] + body.size());
  one("request", request + body);
  std::string cast = frame(2, std::string{"topics"});
  cast[0] = static_cast<char>(cast[0] + body.size());
  one("cast", cast + body);
  std::string fine = frame(3, number{1}, true, term{3});
  one("reply", fine);
  failure f{error_code::bad_value, "wrong", {}, "decode_error"};
  one("failure", frame(3, number{2}, false, f));
  one("fragment", frame(4, number{1}, number{2}, std::uint8_t{6})
                    + frame(4, number{1}, number{2}, std::uint8_t{6}));
  one("credit", frame(5, number{1}));
  std::string told = frame(2, std::string{"hooks"});
  auto known = encode(make_op("announce", term::string("h"), 1));
  told[0] = static_cast<char>(told[0] + known.size());
  one("announce", told + known);
  one("ping_and_byes", frame(6) + frame(7) + frame(8));
  h.address = "127.0.0.1:4000";
  std::string bytes;
  wire_writer{bytes} << h;
  put("frame", "hello", bytes);
}

void put_record(const std::string& name, const lmdb_new_record& x) {
  std::string bytes(x.size(), '\0');
  x.copy_to(bytes.data());
  put("lmdb_record", name, bytes);
}

/// A table of some levels of pages, with values of several pages and of some
/// time.
void put_table_file() {
  table_options options;
  options.engine = table_engine::lmdb;
  options.path = (fs::temp_directory_path() / "hornbeam-corpus.lmdb").string();
  options.durable = table_durability::always; // else it is as large as its map
  {
    lmdb_table t{"t", options};
    term::entries all{{term{1}, term::string(std::string(5000, 'v'))},
                      {term::string(std::string(600, 'l')), term{2}}};
    for (int i = 0; i < 24; ++i)
      all.emplace_back(term::string(std::string(300, 'k') + std::to_string(i)),
                       term{i});
    t.set_many(all);
    t.set(term{2}, term{2}, 1'000'000'000'000);
  }
  std::ostringstream bytes;
  bytes << std::ifstream{options.path, std::ios::binary}.rdbuf();
  put("lmdb_file", "table", bytes.str());
  for (auto* end : {"", "-lock", "-gate"})
    fs::remove(options.path + end);
}

} // namespace

int main(int count, char** args) {
  if (count != 2) {
    std::cerr << "usage: " << args[0] << " FOLDER\n";
    return 1;
  }
  folder = args[1];
  std::string keys;
  for (auto& [name, x] : some_of_each_kind()) {
    put("term", name, encode(x));
    auto key = encode_ordered(x);
    std::string two{static_cast<char>(key.size() << 1 | 1)};
    if (key.size() < 128)
      put("lmdb_key", name, two + key + key);
    put_record(name, {nullptr, x, 0, false});
  }
  auto key = term::string(std::string(600, 'k'));
  auto value = term{5};
  put_record("expires", {nullptr, value, 1'000'000, true});
  put_record("abridged", {&key, value, 0, false});
  put_frames();
  put_table_file();
  std::string body;
  wire_writer{body} << std::string{"t"} << std::string{"set"}
                    << std::uint64_t{2} << term::string("a") << term{1}
                    << std::int64_t{0} << term::string("b") << term::list({})
                    << std::int64_t{9'000'000'000'000};
  put("snapshot", "body", "b" + body);
  put("snapshot", "file", "fhornbtbl\x01\x05");
  return 0;
}
