#include <iostream>

#include "runtime/call/outcome.hpp"
#include "runtime/process/process.hpp" // what a pid counts

// gdb stops at each of these functions and shows what `x` leads to; the program
// says what that should be.

using namespace hornbeam::runtime;

void show_term(const term* x) {
  std::cout << to_string(*x) << '\n';
}

void show_pid(const pid* x) {
  std::cout << to_string(*x) << '\n';
}

void show_failure(const failure* x) {
  std::cout << "no_connection: \"" << x->message << "\" (from " << x->node
            << ")\n";
}

void show_outcome(const outcome* x) {
  std::cout << (x->ok() ? "ok " + to_string(**x)
                        : "failed timeout: \"" + x->error().message + "\"")
            << '\n';
}

int main() {
  auto* web = origin::of("web@host", (std::uint64_t{1} << 63) + 1);
  auto* renamed = origin::of("hornbeam@localhost", 7);
  renamed->rename("later@host");
  pid p{web, 5};
  term two = term::list({term{1}, term::string("two")});
  const term all[] = {
    term{},
    term{true},
    term{false},
    term{-42},
    term{std::int64_t{1} << 62},
    term{big_integer{1} << 200},
    term{-(big_integer{1} << 64)},
    term{big_integer{1} << 5000},
    term{0.1},
    term{-2.0},
    term{1e100},
    term::atom("ok"),
    term::atom("an atom that is too long for the term"),
    term::string(""),
    term::string("14 characters."),
    term::string("15 characters.."),
    term::string("grün \"quoted\" \\ \n\x01"),
    term::bytes(std::string_view{"a\0b", 3}),
    term{p},
    term{pid{renamed, 6}},
    term{reference{web, 7, 5}},
    term::tuple({}),
    term::tuple({term::atom("ok"), two, term{p}}),
    two,
    term::set({term{1}}),
    term::map({}),
    term::map({{term::string("a"), two}, {term{1}, term::tuple({two})}}),
    term{array{"<f4", {2, 3}, std::string(24, 'x')}},
    term::extension("date", two),
  };
  for (auto& x : all)
    show_term(&x);
  show_pid(&p);
  failure lost{
    error_code::no_connection, "the node is down", "web@host", {}, {}};
  show_failure(&lost);
  outcome good{two};
  show_outcome(&good);
  outcome bad{failure{error_code::timeout, "too late", {}, {}, {}}};
  show_outcome(&bad);
}
