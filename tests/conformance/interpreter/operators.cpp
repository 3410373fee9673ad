#include "interpreter/machine.hpp"

#include <algorithm>

namespace hornbeam::conformance {

namespace {

using runtime::big_integer;

bool is_number(const term& x) {
  return x.is_any_integer() || x.is(term::kind::floating);
}

double as_double(const term& x) {
  return x.is(term::kind::floating) ? x.as_double()
                                    : x.as_big().convert_to<double>();
}

term arithmetic(const place& at, const std::string& op, const term& a,
                const term& b) {
  if (!is_number(a) || !is_number(b))
    raise("badarith");
  if (op == "div" || op == "rem") {
    if (!a.is_any_integer() || !b.is_any_integer() || b == term{0})
      raise("badarith");
    return op == "div" ? term{big_integer{a.as_big() / b.as_big()}}
                       : term{big_integer{a.as_big() % b.as_big()}};
  }
  if (op == "/" || !a.is_any_integer() || !b.is_any_integer()) {
    auto x = as_double(a);
    auto y = as_double(b);
    if (op == "/" && y == 0)
      raise("badarith");
    return term{op == "+"   ? x + y
                : op == "-" ? x - y
                : op == "*" ? x * y
                            : x / y};
  }
  auto x = a.as_big();
  auto y = b.as_big();
  if (op == "+")
    return term{big_integer{x + y}};
  if (op == "-")
    return term{big_integer{x - y}};
  if (op == "*")
    return term{big_integer{x * y}};
  complain(at, "unknown operator " + op);
}

/// Erlang's order, in which 1 and 1.0 are equal.
int compare(const term& a, const term& b) {
  if (is_number(a) && is_number(b)
      && a.is_any_integer() != b.is_any_integer()) {
    auto x = as_double(a);
    auto y = as_double(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  auto order = a <=> b;
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

std::span<const term> list_items(const term& x) {
  if (!x.is(term::kind::list))
    raise("badarg");
  return x.items();
}

term joined(const std::string& op, const term& a, const term& b) {
  auto first = list_items(a);
  term::sequence out{first.begin(), first.end()};
  auto more = list_items(b);
  if (op == "++") {
    out.insert(out.end(), more.begin(), more.end());
  } else {
    for (auto& x : more)
      if (auto i = std::find(out.begin(), out.end(), x); i != out.end())
        out.erase(i);
  }
  return term::list(std::move(out));
}

} // namespace

bool same_value(const term& a, const term& b) {
  if (a.type() == b.type()
      && (a.is(term::kind::tuple) || a.is(term::kind::list)))
    return std::equal(a.items().begin(), a.items().end(), b.items().begin(),
                      b.items().end(), same_value);
  return compare(a, b) == 0;
}

term operate(const place& at, const std::string& op, const term& a,
             const term& b) {
  if (op == "=:=")
    return boolean(a == b);
  if (op == "=/=")
    return boolean(!(a == b));
  if (op == "==")
    return boolean(same_value(a, b));
  if (op == "/=")
    return boolean(!same_value(a, b));
  if (op == "<")
    return boolean(compare(a, b) < 0);
  if (op == ">")
    return boolean(compare(a, b) > 0);
  if (op == "=<")
    return boolean(compare(a, b) <= 0);
  if (op == ">=")
    return boolean(compare(a, b) >= 0);
  if (op == "++" || op == "--")
    return joined(op, a, b);
  return arithmetic(at, op, a, b);
}

term operate(const place& at, const std::string& op, const term& a) {
  if (op == "not")
    return boolean(!is_true(a));
  if (op == "-")
    return arithmetic(at, "-", term{0}, a);
  complain(at, "unknown operator " + op);
}

// -- terms --------------------------------------------------------------------

term atom(const std::string& text) {
  return term::atom(text);
}
term boolean(bool x) {
  return term::atom(x ? "true" : "false");
}
term tuple(std::vector<term> xs) {
  return term::tuple(std::move(xs));
}

bool is_true(const term& x) {
  if (x.is_atom("true"))
    return true;
  if (x.is_atom("false"))
    return false;
  raise("badarg");
}

void raise(const char* reason) {
  throw runtime::erlang_error(term::atom(reason));
}

void raise(const char* reason, term what) {
  throw runtime::erlang_error(tuple({atom(reason), std::move(what)}));
}

} // namespace hornbeam::conformance
