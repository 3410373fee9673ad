#include <catch2/catch.hpp>

#include "runtime/term/pattern.hpp"

using namespace hornbeam::runtime;

namespace {

const auto me = origin::of("a@h", 1);
const term a_pid{pid{me, 1, nullptr}};
const term a_ref{reference{me, 2, 0}};

term at(const char* x) {
  return term::atom(x);
}

} // namespace

TEST_CASE("a text matches the atom, not the string or the bytes") {
  auto m = match("stop");
  CHECK(m(at("stop")));
  CHECK_FALSE(m(at("stops")));
  CHECK_FALSE(m(term::string("stop")));
  CHECK_FALSE(m(term::bytes("stop")));
  CHECK_FALSE(m(term{}));
}

TEST_CASE("a term matches what is exactly equal") {
  CHECK(match(term{1})(term{1}));
  CHECK_FALSE(match(term{1})(term{1.0}));
  CHECK_FALSE(match(term{1})(term{true}));
  CHECK(match(1)(term{1}));
  CHECK_FALSE(match(1)(term{2}));
  CHECK(match(term::list({term{1}}))(term::list({term{1}})));
}

TEST_CASE("each kind has a pattern") {
  CHECK(any_pid(a_pid));
  CHECK_FALSE(any_pid(a_ref));
  CHECK(any_ref(a_ref));
  CHECK_FALSE(any_ref(a_pid));
  CHECK(any_atom(at("x")));
  CHECK_FALSE(any_atom(term::string("x")));
  CHECK(any_tuple(term::tuple({})));
  CHECK_FALSE(any_tuple(term::list({})));
  CHECK(any_list(term::list({})));
  CHECK(any(term{}));
  CHECK_FALSE(none_t{}(term{}));
}

TEST_CASE("any integer may be large, but is no boolean or float") {
  CHECK(any_int(term{5}));
  CHECK(any_int(term{big_integer{1} << 100}));
  CHECK_FALSE(any_int(term{1.0}));
  CHECK_FALSE(any_int(term{true}));
}

TEST_CASE("several parts match a tuple of that size") {
  auto m = match("get", any_pid, 3);
  CHECK(m(term::tuple({at("get"), a_pid, term{3}})));
  CHECK_FALSE(m(term::tuple({at("get"), a_pid})));
  CHECK_FALSE(m(term::tuple({at("get"), a_pid, term{3}, term{4}})));
  CHECK_FALSE(m(term::tuple({at("put"), a_pid, term{3}})));
  CHECK_FALSE(m(term::tuple({at("get"), a_ref, term{3}})));
  CHECK_FALSE(m(term::list({at("get"), a_pid, term{3}})));
  CHECK_FALSE(m(at("get")));
}

TEST_CASE("patterns nest") {
  auto m = match("reply", match(any_ref, match("ok", any)));
  auto of = [](term x) {
    return term::tuple({at("reply"), term::tuple({a_ref, std::move(x)})});
  };
  CHECK(m(of(term::tuple({at("ok"), term{1}}))));
  CHECK_FALSE(m(of(term::tuple({at("error"), term{1}}))));
  CHECK_FALSE(m(of(at("ok"))));
}

TEST_CASE("one of several patterns is enough") {
  auto m = match("stop") | match("add", any_int) | match(7);
  CHECK(m(at("stop")));
  CHECK(m(term::tuple({at("add"), term{1}})));
  CHECK(m(term{7}));
  CHECK_FALSE(m(term{8}));
  CHECK_FALSE(m(at("add")));
}

TEST_CASE("any callable is a pattern") {
  auto even = [](const term& x) { return any_int(x) && x.as_int() % 2 == 0; };
  CHECK(match("n", even)(term::tuple({at("n"), term{4}})));
  CHECK_FALSE(match("n", even)(term::tuple({at("n"), term{5}})));
  auto m = match("stop") | even;
  CHECK(m(term{2}));
  CHECK(m(at("stop")));
  CHECK_FALSE(m(term{3}));
}

TEST_CASE("a pattern keeps the term that it compares with") {
  auto m = [] {
    auto x = term::string(std::string(50, 'x'));
    return match("k", x);
  }();
  CHECK(m(term::tuple({at("k"), term::string(std::string(50, 'x'))})));
}
