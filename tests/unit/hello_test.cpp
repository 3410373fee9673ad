#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

#include <unistd.h>

#include "runtime/link/node_core.hpp"
#include "runtime/term/wire.hpp"

using namespace hornbeam::runtime;

namespace {

/// What a node answers to a hello of these bytes.
outcome answer_to(const std::string& bytes) {
  auto folder = std::filesystem::temp_directory_path()
                / ("hornbeam-hello-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  ::setenv("RUNTIME_DIRECTORY", folder.c_str(), 1);
  outcome out;
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

} // namespace

TEST_CASE("a hello of version 1 is taken, byte by byte") {
  // version, name, incarnation, cluster, address, hidden
  std::string bytes{"\x01\x06"
                    "b@host"
                    "\xac\x02"
                    "\x08"
                    "hornbeam"
                    "\x0b"
                    "127.0.0.1:1"
                    "\x00",
                    32};
  hello from;
  wire_reader in{bytes};
  in >> from;
  in.finish();
  CHECK(from.name == "b@host");
  CHECK(from.incarnation == 300);
  CHECK(from.cluster == "hornbeam");
  CHECK(from.address == "127.0.0.1:1");
  CHECK_FALSE(from.hidden);
  std::string again;
  wire_writer{again} << from;
  CHECK(again == bytes);
  CHECK(answer_to(bytes).ok());
}

TEST_CASE("a hello of a newer version is refused with both versions, whatever "
          "else it says") {
  for (auto* bytes : {"\x09",
                      "\x09\x06"
                      "b@host"
                      "\x01",
                      "\x09\xff\xff"}) {
    auto answer = answer_to(bytes);
    REQUIRE_FALSE(answer.ok());
    CHECK(answer.error().code == error_code::refused);
    CHECK_THAT(answer.error().message, Catch::Contains("9 and 1"));
  }
}
