#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <tuple>

#include "interpreter/parser.hpp"
#include "test_world.hpp"

// One test for each scenario. Its trace must be the one that Erlang/OTP left.

namespace hornbeam::conformance {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const fs::path here = HORNBEAM_CONFORMANCE_DIR;

std::vector<std::string> recorded(const std::string& name) {
  std::ifstream in{here / "traces" / (name + ".trace")};
  if (!in)
    FAIL("there is no trace of " << name << ": run ./record " << name);
  std::vector<std::string> out;
  std::string line;
  std::getline(in, line); // says which Erlang it was
  while (std::getline(in, line))
    out.push_back(line);
  return out;
}

runtime::process_body run_main(self me, machine* m, test_world* w) {
  co_await me.receive(); // until its end is watched
  context c{*m, me};
  try {
    co_await apply_named(c, place{}, m->code().name, "main",
                         std::vector<term>{});
  } catch (const script_error& e) {
    w->fail(e.what());
  }
  w->finish();
}

/// The reason with which main/0 ended; none if it did not in time.
std::optional<term> run(test_world& w, machine& m) {
  auto reason = std::make_shared<std::promise<term>>();
  auto ended = reason->get_future();
  auto pid = w.main().spawn(&run_main, &m, &w);
  w.main().on_exit(pid, [reason](const term& x) { reason->set_value(x); });
  w.main().send(pid, atom("go"));
  if (ended.wait_for(20s) != std::future_status::ready)
    return std::nullopt;
  return ended.get();
}

void check(const std::string& name) {
  auto expected = recorded(name);
  auto code = parse_file(here / "scenarios" / (name + ".erl"));
  auto w = std::make_unique<test_world>();
  auto m = std::make_unique<machine>(code, *w);
  auto reason = run(*w, *m);
  w->finish();
  auto left = w->close();
  auto got = w->lines();
  INFO(compared(expected, got));
  auto problem = w->problem();
  if (!left.empty()) { // code that still runs needs both
    std::ignore = w.release();
    std::ignore = m.release();
  }
  if (!problem.empty())
    FAIL(problem);
  if (!reason)
    FAIL("main/0 did not return within 20 seconds");
  if (!reason->is_atom("normal"))
    FAIL("main/0 ended with " << runtime::to_string(*reason));
  INFO(left);
  CHECK(left.empty());
  CHECK(got == expected);
}

class scenario : public Catch::ITestInvoker {
public:
  explicit scenario(std::string name) : name_(std::move(name)) {}
  void invoke() const override {
    SECTION(name_) {
      check(name_);
    }
  }

private:
  std::string name_;
};

void add_scenarios() {
  std::vector<std::string> names;
  for (auto& file : fs::directory_iterator{here / "scenarios"})
    if (file.path().extension() == ".erl")
      names.push_back(file.path().stem());
  std::sort(names.begin(), names.end());
  for (auto& name : names)
    Catch::getMutableRegistryHub().registerTest(
      Catch::makeTestCase(new scenario{name}, "", {name, ""},
                          Catch::SourceLineInfo{__FILE__, __LINE__}));
}

} // namespace

} // namespace hornbeam::conformance

int main(int argc, char** argv) {
  hornbeam::conformance::use_own_folder();
  hornbeam::conformance::add_scenarios();
  return Catch::Session{}.run(argc, argv);
}
