#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "runtime/table_lmdb/table.hpp"

// The lmdb engine alone, from C++, in one process and in two at once.

using namespace hornbeam::runtime;

namespace {

table_options options(const std::string& folder) {
  table_options out;
  out.engine = table_engine::lmdb;
  out.path = folder + "/t.lmdb";
  return out;
}

/// Microseconds a call of `f(i)`.
template <class F>
double measure(int n, F f) {
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < n; ++i)
    f(i);
  std::chrono::duration<double, std::micro> took
    = std::chrono::steady_clock::now() - start;
  return took.count() / n;
}

void round(const std::string& folder, const char* who, int n) {
  lmdb_table t{"t", options(folder)};
  auto one = term::string("visits");
  auto show = [&](const char* what, double us) {
    std::printf("%-14s %-28s %7.2f µs\n", who, what, us);
    std::fflush(stdout);
  };
  show("incr, one key",
       measure(n, [&](int) { t.update_counter(one, term{1}); }));
  show("get", measure(n, [&](int) { t.get(one); }));
  show("set", measure(n, [&](int i) { t.set(one, term{i}); }));
  auto text = term::string(std::string(100, 'x'));
  show("set, 100 bytes, other keys",
       measure(n, [&](int i) { t.set(term{i % 1000}, text); }));
}

} // namespace

int main(int argc, char** argv) {
  int n = argc > 1 ? std::atoi(argv[1]) : 500'000;
  std::string folder = "/dev/shm/hornbeam-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr)
    return 1;
  round(folder, "one process", n);
  for (int i = 0; i < 2; ++i)
    if (::fork() == 0) {
      round(folder, "one of two", n);
      ::_exit(0);
    }
  while (::wait(nullptr) > 0) {
  }
  {
    lmdb_table t{"t", options(folder)};
    term::entries entries;
    for (int i = 0; i < 1'000'000; ++i) {
      char key[32];
      std::snprintf(key, sizeof key, "user:%07d", i);
      entries.emplace_back(term::string(key), term{i});
      if (entries.size() == 10'000)
        t.set_many(std::exchange(entries, {}));
    }
    std::printf(
      "%zu entries, %.0f bytes each\n", t.size(),
      static_cast<double>(t.info().find(term::atom("file_bytes"))->as_int())
        / static_cast<double>(t.size()));
    std::printf("keys, 10 of a million          %7.2f µs\n",
                measure(10'000, [&](int) { t.keys("user:054321"); }));
    std::printf(
      "get, one of a million          %7.2f µs\n", measure(n, [&](int i) {
        char key[32];
        std::snprintf(key, sizeof key, "user:%07d", i * 7919 % 1'000'000);
        t.get(term::string(key));
      }));
  }
  std::filesystem::remove_all(folder);
}
