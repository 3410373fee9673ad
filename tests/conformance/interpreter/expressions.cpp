#include "interpreter/syntax.hpp"

namespace hornbeam::conformance {

using kind = node::kind;

node_ptr syntax::binary(token op, node_ptr a, node_ptr b) {
  auto n = make(op.text == "=" ? kind::match : kind::operation, op.at);
  n->text = op.text;
  n->parts.push_back(std::move(a));
  n->parts.push_back(std::move(b));
  return n;
}

node_ptr syntax::expression() {
  if (peek().is("catch"))
    complain(peek().at, "no old-style catch here: write try ... catch");
  auto a = logical();
  if (!peek().is("=") && !peek().is("!"))
    return a;
  auto op = take();
  return binary(op, std::move(a), expression());
}

node_ptr syntax::logical() {
  auto a = conjunction();
  while (peek().is("orelse")) {
    auto op = take();
    a = binary(op, std::move(a), conjunction());
  }
  return a;
}

node_ptr syntax::conjunction() {
  auto a = comparison();
  while (peek().is("andalso")) {
    auto op = take();
    a = binary(op, std::move(a), comparison());
  }
  return a;
}

node_ptr syntax::comparison() {
  auto a = joined();
  for (auto* op : {"=:=", "=/=", "==", "/=", "=<", ">=", "<", ">"})
    if (peek().is(op)) {
      auto t = take();
      return binary(t, std::move(a), joined());
    }
  return a;
}

node_ptr syntax::joined() {
  auto a = sum();
  if (!peek().is("++") && !peek().is("--"))
    return a;
  auto op = take();
  return binary(op, std::move(a), joined());
}

node_ptr syntax::sum() {
  auto a = product();
  while (peek().is("+") || peek().is("-")) {
    auto op = take();
    a = binary(op, std::move(a), product());
  }
  return a;
}

node_ptr syntax::product() {
  auto a = prefixed();
  while (peek().is("*") || peek().is("/") || peek().is("div")
         || peek().is("rem")) {
    auto op = take();
    a = binary(op, std::move(a), prefixed());
  }
  return a;
}

node_ptr syntax::prefixed() {
  if (!peek().is("-") && !peek().is("not"))
    return called();
  auto op = take();
  auto x = prefixed();
  if (op.text == "-" && x->type == kind::literal) {
    x->value = x->value.is(term::kind::floating) ? term{-x->value.as_double()}
                                                 : term{-x->value.as_big()};
    return x;
  }
  auto n = make(kind::operation, op.at);
  n->text = op.text;
  n->parts.push_back(std::move(x));
  return n;
}

node_ptr syntax::called() {
  auto f = primary();
  for (;;) {
    if (peek().is("#")) {
      auto m = map();
      m->type = kind::map_update;
      m->parts.insert(m->parts.begin(), std::move(f));
      f = std::move(m);
      continue;
    }
    node_ptr from;
    if (peek().is(":")) {
      take();
      from = std::move(f);
      f = primary();
    } else if (!peek().is("(")) {
      return f;
    }
    auto n = make(kind::call, peek().at);
    expect("(");
    n->parts.push_back(std::move(from));
    n->parts.push_back(std::move(f));
    for (auto& x : until(")"))
      n->parts.push_back(std::move(x));
    f = std::move(n);
  }
}

node_ptr syntax::literal(const place& at, term x) {
  auto n = make(kind::literal, at);
  n->value = std::move(x);
  return n;
}

node_ptr syntax::primary() {
  auto t = take();
  switch (t.type) {
    case token::kind::atom:
      return literal(t.at, term::atom(t.text));
    case token::kind::integer:
      return literal(t.at, term{runtime::big_integer{t.text}});
    case token::kind::floating:
      return literal(t.at, term{std::stod(t.text)});
    case token::kind::variable: {
      auto n = make(kind::variable, t.at);
      n->text = t.text;
      return n;
    }
    case token::kind::macro:
      if (t.text == "MODULE")
        return literal(t.at, term::atom(module_));
      complain(t.at, "unknown macro ?" + t.text);
    default:
      return compound(t);
  }
}

node_ptr syntax::compound(const token& t) {
  if (t.is("(")) {
    auto x = expression();
    expect(")");
    return x;
  }
  if (t.is("{")) {
    auto n = make(kind::tuple, t.at);
    n->parts = until("}");
    return n;
  }
  if (t.is("["))
    return list(t.at);
  if (t.is("#")) {
    --at_;
    return map();
  }
  if (t.is("fun"))
    return fun(t.at);
  if (t.is("case") || t.is("if") || t.is("receive") || t.is("try"))
    return control(t);
  if (t.is("begin")) {
    auto n = make(kind::block, t.at);
    n->parts = until("end");
    return n;
  }
  complain(t.at, "can't read '" + t.text + "' here");
}

node_ptr syntax::list(const place& at) {
  auto n = make(kind::list, at);
  if (accept("]"))
    return n;
  n->parts = body();
  if (accept("||")) {
    n->type = kind::comprehension;
    do
      n->rest.push_back(qualifier());
    while (accept(","));
  } else if (accept("|")) {
    n->parts.push_back(expression());
    n->tail = true;
  }
  expect("]");
  return n;
}

node_ptr syntax::qualifier() {
  auto x = expression();
  if (!peek().is("<-"))
    return x;
  auto n = make(kind::generator, take().at);
  n->parts.push_back(std::move(x));
  n->parts.push_back(expression());
  return n;
}

node_ptr syntax::map() {
  auto n = make(kind::map, take().at);
  expect("{");
  if (accept("}"))
    return n;
  do {
    n->parts.push_back(expression());
    if (!accept("=>"))
      expect(":=");
    n->parts.push_back(expression());
  } while (accept(","));
  expect("}");
  return n;
}

node_ptr syntax::fun(const place& at) {
  if (peek().is("(")) {
    auto n = make(kind::function, at);
    do
      n->clauses.push_back(function_clause());
    while (accept(";"));
    expect("end");
    n->arity = n->clauses.front().patterns.size();
    return n;
  }
  auto n = make(kind::reference, at);
  n->text = expect(token::kind::atom, "a function's name").text;
  expect("/");
  n->arity = std::stoul(expect(token::kind::integer, "an arity").text);
  return n;
}

} // namespace hornbeam::conformance
