#pragma once

#include <chrono>
#include <cstdio>
#include <string_view>

#include <sys/resource.h>

// What the programs of the benchmarks have in common.

namespace hornbeam::bench {

class stopwatch {
public:
  double us() const {
    return std::chrono::duration<double, std::micro>{clock::now() - begin_}
      .count();
  }

private:
  using clock = std::chrono::steady_clock;
  clock::time_point begin_ = clock::now();
};

/// What this process has taken of all cores.
inline double cpu_ms() {
  rusage x{};
  getrusage(RUSAGE_SELF, &x);
  auto ms = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3
           + static_cast<double>(t.tv_usec) / 1e3;
  };
  return ms(x.ru_utime) + ms(x.ru_stime);
}

/// Runs those of `all` that the arguments name, each by `run`, and prints a
/// line of JSON for each. What `main` is to return.
template <class Benchmarks, class Run>
int run_named(int argc, char** argv, const Benchmarks& all, Run run) {
  for (int i = 1; i < argc; ++i) {
    bool found = false;
    for (auto& x : all)
      if (x.name == argv[i]) {
        found = true;
        std::printf(R"({"name": "%s", "unit": "%s", "value": %.4f})"
                    "\n",
                    argv[i], x.unit, run(x));
        std::fflush(stdout);
      }
    if (found)
      continue;
    std::fprintf(stderr, "there is no benchmark %s; there are:\n", argv[i]);
    for (auto& x : all)
      std::fprintf(stderr, "  %.*s\n", static_cast<int>(x.name.size()),
                   x.name.data());
    return 2;
  }
  return 0;
}

} // namespace hornbeam::bench
