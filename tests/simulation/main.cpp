#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "world.hpp"

// hornbeam_simulate [--seeds N] [--first SEED]: runs of nodes over a simulated
// network, each from its seed; the first that breaks a rule is told and ends
// with 1.
// hornbeam_simulate --seed SEED: one run, with its story.
// hornbeam_simulate --bugs: each known bug is put in, and must be found.

namespace {

using namespace hornbeam::simulation;

struct known_bug {
  bug is;
  const char* what;
};
constexpr known_bug known_bugs[] = {
  {bug::no_sync, "a new peer is not told what is here"},
  {bug::loss_is_goodbye, "nobody looks for a peer that was lost"},
  {bug::open_for_ever, "what was open at a loss is not failed"},
  {bug::no_down, "a peer is replaced, and the services hear of no loss"},
  {bug::no_members, "a new peer is not told of the others"},
  {bug::no_timers, "the pauses between dials never end"},
  {bug::swapped, "a service gets two messages in the wrong order"},
  {bug::doubled, "a batch arrives twice"},
  {bug::told_late, "who asks again because of a loss is taken for connected"},
};
constexpr std::uint64_t enough_for_a_bug = 200;

int find_bugs() {
  int missed = 0;
  for (auto& b : known_bugs) {
    std::uint64_t seed = 1;
    verdict v;
    for (; seed <= enough_for_a_bug && v.fault.empty(); ++seed)
      v = run(seed, b.is);
    missed += v.fault.empty();
    std::printf(
      "%s: %s\n", b.what,
      v.fault.empty()
        ? "NOT FOUND"
        : (v.fault + " (seed " + std::to_string(seed - 1) + ")").c_str());
  }
  return missed > 0;
}

int find_faults(std::uint64_t first, std::uint64_t seeds) {
  auto began = std::chrono::steady_clock::now();
  std::uint64_t steps = 0;
  for (auto seed = first; seed < first + seeds; ++seed) {
    auto v = run(seed, bug::none);
    steps += v.steps;
    // Now and then a seed is tried twice: what it does must be its own.
    if (seed % 50 == 1 && run(seed, bug::none).steps != v.steps)
      v.fault = "goes otherwise when it is run again";
    if (!v.fault.empty()) {
      std::printf("seed %llu: %s\nIts story: hornbeam_simulate --seed %llu\n",
                  static_cast<unsigned long long>(seed), v.fault.c_str(),
                  static_cast<unsigned long long>(seed));
      return 1;
    }
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%llu runs of %llu steps in %.1f s: no rule is broken\n",
              static_cast<unsigned long long>(seeds),
              static_cast<unsigned long long>(steps), took.count());
  return 0;
}

int tell(std::uint64_t seed) {
  auto v = run(seed, bug::none);
  std::printf("%s%s\n", v.story.c_str(),
              v.fault.empty() ? "no rule is broken" : v.fault.c_str());
  return !v.fault.empty();
}

} // namespace

int main(int argc, char** argv) {
  std::uint64_t seeds = 1000;
  std::uint64_t first = 1;
  bool one = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view option{argv[i]};
    if (option == "--bugs")
      return find_bugs();
    one |= option == "--seed";
    auto& number = option == "--seeds" ? seeds : first;
    std::string_view text{i + 1 < argc ? argv[++i] : ""};
    auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    bool good = (option == "--seeds" || option == "--first" || one)
                && read.ec == std::errc{} && !text.empty()
                && read.ptr == text.data() + text.size();
    if (!good) {
      std::fprintf(stderr, "usage: hornbeam_simulate [--seeds N] [--first SEED]"
                           " | --seed SEED | --bugs\n");
      return 2;
    }
  }
  return one ? tell(first) : find_faults(first, seeds);
}
