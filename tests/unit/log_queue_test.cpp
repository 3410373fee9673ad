#include <catch2/catch.hpp>

#include <thread>

#include "runtime/base/log_queue.hpp"

using namespace hornbeam::runtime;

namespace {

log::record numbered(std::size_t i) {
  return {log::level::info, "part", "node", std::to_string(i), {}};
}

} // namespace

TEST_CASE("a queue of records keeps their order") {
  log::queue q;
  for (std::size_t i = 0; i < 3; ++i)
    q.write(numbered(i));
  auto found = q.take();
  REQUIRE(found.size() == 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(found[i].text == std::to_string(i));
  CHECK(q.take().empty());
}

TEST_CASE("a full queue of records counts what it leaves out") {
  log::queue q;
  for (std::size_t i = 0; i < log::queue::max_records + 7; ++i)
    q.write(numbered(i));
  auto found = q.take();
  REQUIRE(found.size() == log::queue::max_records + 1);
  CHECK(found.front().text == "0");
  CHECK(found.back().level == log::level::warning);
  CHECK(found.back().text.starts_with("7 more were left out"));
  q.write(numbered(0));
  CHECK(q.take().size() == 1);
}

TEST_CASE(
  "who waits for records gets all of them, and none once it is closed") {
  log::queue q;
  q.open();
  std::size_t found = 0;
  std::thread reader{[&] {
    for (auto x = q.wait(); !x.empty(); x = q.wait())
      found += x.size();
  }};
  for (std::size_t i = 0; i < 500; ++i)
    q.write(numbered(i));
  q.close();
  reader.join();
  CHECK(found + q.take().size() == 500);
}

TEST_CASE("a forked child has none of its parent's records") {
  log::queue q;
  q.open();
  q.write(numbered(0));
  q.after_fork_in_child();
  CHECK(q.take().empty());
  CHECK(q.wait().empty()); // it is closed until it is opened
}
