#include "interpreter/syntax.hpp"

#include <algorithm>

namespace hornbeam::conformance {

using kind = node::kind;

node_ptr make(kind type, const place& at) {
  auto n = std::make_unique<node>();
  n->type = type;
  n->at = at;
  return n;
}

const token& syntax::peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

token syntax::take() {
  return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_];
}

bool syntax::accept(std::string_view x) {
  if (!peek().is(x))
    return false;
  take();
  return true;
}

void syntax::expect(std::string_view x) {
  if (!accept(x))
    complain(peek().at,
             "expected '" + std::string{x} + "', found '" + peek().text + "'");
}

token syntax::expect(token::kind type, const char* what) {
  if (peek().type != type)
    complain(peek().at,
             std::string{"expected "} + what + ", found '" + peek().text + "'");
  return take();
}

clause syntax::function_clause() {
  clause c;
  c.at = peek().at;
  expect("(");
  c.patterns = until(")");
  guard_and_body(c);
  return c;
}

void syntax::guard_and_body(clause& c) {
  if (accept("when"))
    c.guard = guard();
  expect("->");
  c.body = body();
}

std::vector<nodes> syntax::guard() {
  std::vector<nodes> out;
  do
    out.push_back(body());
  while (accept(";"));
  return out;
}

nodes syntax::body() {
  nodes out;
  do
    out.push_back(expression());
  while (accept(","));
  return out;
}

nodes syntax::until(std::string_view close) {
  nodes out;
  if (accept(close))
    return out;
  out = body();
  expect(close);
  return out;
}

std::vector<clause> syntax::clauses_of_patterns() {
  std::vector<clause> out;
  do {
    clause c;
    c.at = peek().at;
    c.patterns.push_back(expression());
    guard_and_body(c);
    out.push_back(std::move(c));
  } while (accept(";"));
  return out;
}

node_ptr syntax::control(const token& t) {
  if (t.is("case")) {
    auto n = make(kind::branch, t.at);
    n->parts.push_back(expression());
    expect("of");
    n->clauses = clauses_of_patterns();
    expect("end");
    return n;
  }
  if (t.is("if")) {
    auto n = make(kind::condition, t.at);
    do {
      clause c;
      c.at = peek().at;
      c.guard = guard();
      expect("->");
      c.body = body();
      n->clauses.push_back(std::move(c));
    } while (accept(";"));
    expect("end");
    return n;
  }
  return t.is("receive") ? receive(t.at) : attempt(t.at);
}

node_ptr syntax::receive(const place& at) {
  auto n = make(kind::receive, at);
  if (!peek().is("after"))
    n->clauses = clauses_of_patterns();
  if (accept("after")) {
    n->timed = true;
    n->parts.push_back(expression());
    expect("->");
    n->rest = body();
  }
  expect("end");
  return n;
}

node_ptr syntax::attempt(const place& at) {
  auto n = make(kind::attempt, at);
  n->parts = body();
  if (accept("of"))
    n->clauses = clauses_of_patterns();
  if (accept("catch"))
    do
      n->handlers.push_back(handler());
    while (accept(";"));
  if (accept("after")) {
    n->timed = true;
    n->rest = body();
  }
  expect("end");
  return n;
}

clause syntax::handler() {
  clause c;
  c.at = peek().at;
  c.error_class = "throw";
  if (peek(1).is(":")) {
    c.error_class = take().text;
    take();
  }
  c.patterns.push_back(primary());
  if (accept(":"))
    c.stack = take().text;
  guard_and_body(c);
  return c;
}

} // namespace hornbeam::conformance
