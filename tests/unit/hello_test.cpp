#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <unistd.h>

#include "runtime/link/node_core.hpp"
#include "runtime/term/wire.hpp"

using namespace hornbeam::runtime;

namespace {

/// Why a node refuses a hello of these bytes; none if it takes it.
std::optional<refusal> answer_to(const std::string& bytes) {
  auto folder = std::filesystem::temp_directory_path()
                / ("hornbeam-hello-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  ::setenv("RUNTIME_DIRECTORY", folder.c_str(), 1);
  std::optional<refusal> out;
  {
    node_settings settings;
    settings.name = "a@host";
    node_core core{settings};
    hello from;
    wire_reader{bytes} >> from;
    auto wire = std::make_shared<hornbeam::runtime::link>(
      from.name, from.incarnation, [](bool) {});
    out = core.add_peer(from, wire);
  }
  std::filesystem::remove_all(folder);
  return out;
}

/// The bytes of a hello that a node takes: of one that tells of no process, or
/// of one that does.
std::string good_hello(bool with_process = false) {
  // versions, features, name, incarnation, cluster, address, hidden
  std::string out{"\x02\x02\x00\x06"
                  "b@host"
                  "\xac\x02"
                  "\x08"
                  "hornbeam"
                  "\x0b"
                  "127.0.0.1:1"
                  "\x00",
                  34};
  if (with_process) {
    out[2] = '\x01';
    // whether it is a worker, its process, its computer, its parent
    out.append("\x01\x0e\x03"
               "box"
               "\xac\x02",
               8);
  }
  return out;
}

/// What these bytes say, which is written as the same bytes.
hello read_to_the_byte(const std::string& bytes) {
  hello out;
  wire_reader in{bytes};
  in >> out;
  in.finish();
  std::string again;
  wire_writer{again} << out;
  CHECK(again == bytes);
  return out;
}

} // namespace

TEST_CASE("a hello of version 2 is taken, byte by byte") {
  auto bytes = good_hello();
  auto from = read_to_the_byte(bytes);
  CHECK(from.name == "b@host");
  CHECK(from.incarnation == 300);
  CHECK(from.cluster == "hornbeam");
  CHECK(from.address == "127.0.0.1:1");
  CHECK_FALSE(from.hidden);
  CHECK_FALSE(from.worker);
  CHECK(from.process == 0);
  CHECK_FALSE(answer_to(bytes));
}

TEST_CASE("a hello may tell of its process, byte by byte") {
  auto bytes = good_hello(true);
  auto from = read_to_the_byte(bytes);
  CHECK(from.name == "b@host");
  CHECK(from.worker);
  CHECK(from.process == 7);
  CHECK(from.host == "box");
  CHECK(from.parent == 300);
  CHECK_FALSE(answer_to(bytes));
}

TEST_CASE("a hello of a node that speaks our version and newer ones is taken") {
  auto bytes = good_hello();
  bytes[1] = 9;
  CHECK_FALSE(answer_to(bytes));
}

TEST_CASE("a hello without the name of a node, or with our own, is refused for "
          "good") {
  for (auto* name : {"b.host", "@@host", "b@ost\n", "a@host"}) {
    auto bytes = good_hello();
    bytes.replace(4, 6, name);
    auto no = answer_to(bytes);
    REQUIRE(no);
    CHECK(no->why.code == error_code::refused);
    CHECK_THAT(no->why.message, Catch::Contains("name"));
    CHECK_FALSE(no->again);
  }
}

TEST_CASE("a hello of a newer version is refused with both versions, whatever "
          "else it says") {
  for (auto* bytes : {"\x08\x09",
                      "\x08\x09\x00\x06"
                      "b@host"
                      "\x01",
                      "\x08\x09\xff\xff"}) {
    auto no = answer_to(bytes);
    REQUIRE(no);
    CHECK(no->why.code == error_code::refused);
    CHECK_THAT(no->why.message, Catch::Contains("8 to 9 and 2"));
    CHECK_FALSE(no->again);
  }
}
