#include "interpreter/machine.hpp"

#include <iterator>

namespace hornbeam::conformance {

namespace {

using kind = node::kind;

/// How many calls a process may make before the others have their turn.
constexpr int turn = 2000;

task<term> eval(context& c, const node& n, bindings& b, bool last);

/// The value of the last expression; calls there are left to `c.tail` if
/// `last` says that the function returns it.
task<term> eval_body(context& c, const nodes& body, bindings& b, bool last) {
  term x;
  for (auto& n : body) {
    bool is_last = last && &n == &body.back();
    x = co_await eval(c, *n, b, is_last);
  }
  co_return x;
}

task<std::vector<term>> eval_all(context& c, const nodes& xs, std::size_t from,
                                 bindings& b) {
  std::vector<term> out;
  for (auto i = from; i < xs.size(); ++i) {
    auto x = co_await eval(c, *xs[i], b, false);
    out.push_back(std::move(x));
  }
  co_return out;
}

task<term> eval_list(context& c, const node& n, bindings& b) {
  auto xs = co_await eval_all(c, n.parts, 0, b);
  if (n.tail) {
    auto rest = std::move(xs.back());
    xs.pop_back();
    if (!rest.is(term::kind::list))
      complain(n.at, "a list whose tail is no list");
    xs.insert(xs.end(), rest.items().begin(), rest.items().end());
  }
  co_return term::list(std::move(xs));
}

task<term> eval_map(context& c, const node& n, bindings& b) {
  auto xs = co_await eval_all(c, n.parts, 0, b);
  term::entries pairs;
  std::size_t i = 0;
  if (n.type == kind::map_update) {
    pairs = xs[0].pairs();
    i = 1;
  }
  for (; i < xs.size(); i += 2)
    pairs.emplace_back(xs[i], xs[i + 1]);
  co_return term::map(std::move(pairs));
}

task<term> eval_operation(context& c, const node& n, bindings& b) {
  auto a = co_await eval(c, *n.parts[0], b, false);
  if (n.parts.size() == 1)
    co_return operate(n.at, n.text, a);
  if (n.text == "andalso" || n.text == "orelse") {
    if (is_true(a) == (n.text == "orelse"))
      co_return a;
    a = co_await eval(c, *n.parts[1], b, false);
    co_return a;
  }
  auto x = co_await eval(c, *n.parts[1], b, false);
  if (n.text == "!") {
    c.me.send(a, x);
    co_return x;
  }
  co_return operate(n.at, n.text, a, x);
}

task<term> eval_call(context& c, const node& n, bindings& b, bool last) {
  auto& f = *n.parts[1];
  std::string from;
  if (n.parts[0]) {
    auto m = co_await eval(c, *n.parts[0], b, false);
    from = m.text();
  }
  std::optional<term> fun;
  if (f.type != kind::literal || !f.value.is(term::kind::atom))
    fun = co_await eval(c, f, b, false);
  auto args = co_await eval_all(c, n.parts, 2, b);
  if (!fun) {
    std::string name{f.value.text()};
    bool own = from.empty() || from == c.m.code().name;
    auto* local = own ? c.m.find(name, args.size()) : nullptr;
    if (local == nullptr) {
      auto x = co_await apply_named(c, n.at, from, name, std::move(args));
      co_return x;
    }
    if (last) {
      c.tail.emplace(*local, std::move(args));
      co_return term{};
    }
    auto x = co_await apply(c, *local, std::move(args));
    co_return x;
  }
  auto x = co_await apply_fun(c, *fun, std::move(args));
  co_return x;
}

task<term> eval_receive(context& c, const node& n, bindings& b, bool last) {
  std::optional<term> got;
  bool for_ever = true;
  std::int64_t ms = 0;
  if (n.timed) {
    auto time = co_await eval(c, *n.parts[0], b, false);
    for_ever = time.is_atom("infinity");
    if (!for_ever && !time.is(term::kind::integer))
      raise("timeout_value");
    ms = for_ever ? 0 : time.as_int();
  }
  auto wanted = [&](const term& x) {
    auto size = b.size();
    bool yes = select(c, n.clauses, {x}, b) != nullptr;
    b.cut(size);
    return yes;
  };
  if (for_ever)
    got = co_await c.me.receive(wanted);
  else
    got = co_await c.me.receive(wanted, runtime::after{ms});
  const nodes* body = &n.rest;
  if (got)
    body = &select(c, n.clauses, {*got}, b)->body;
  auto x = co_await eval_body(c, *body, b, last);
  co_return x;
}

task<term> eval_branch(context& c, const node& n, bindings& b, bool last) {
  std::vector<term> subject;
  if (n.type == kind::branch) {
    auto x = co_await eval(c, *n.parts[0], b, false);
    subject.push_back(std::move(x));
  }
  auto* chosen = select(c, n.clauses, subject, b);
  if (chosen == nullptr) {
    if (n.type == kind::condition)
      raise("if_clause");
    raise("case_clause", subject[0]);
  }
  auto x = co_await eval_body(c, chosen->body, b, last);
  co_return x;
}

/// An exception of Erlang's.
struct raised {
  std::string error_class;
  term reason;
  std::exception_ptr again;
};

raised of_class(const char* error_class, term reason) {
  return {error_class, std::move(reason), std::current_exception()};
}

const clause* handler_of(context& c, const node& n, const raised& e,
                         bindings& b) {
  auto size = b.size();
  for (auto& h : n.handlers) {
    auto first = h.error_class[0];
    bool any = first == '_' || (first >= 'A' && first <= 'Z');
    if (any && h.error_class != "_")
      b.add(h.error_class, atom(e.error_class));
    if ((any || h.error_class == e.error_class)
        && match(c, *h.patterns[0], e.reason, b) && holds(c, h.guard, b))
      return &h;
    b.cut(size);
  }
  return nullptr;
}

task<term> eval_protected(context& c, const node& n, bindings& b) {
  std::optional<raised> e;
  term x;
  try {
    x = co_await eval_body(c, n.parts, b, false);
  } catch (const runtime::exit_error& error) {
    e = of_class("exit", error.reason);
  } catch (const runtime::erlang_error& error) {
    e = of_class("error", error.reason);
  } catch (const runtime::erlang_throw& error) {
    e = of_class("throw", error.value);
  }
  const clause* next = nullptr;
  if (e) {
    next = handler_of(c, n, *e, b);
    if (next == nullptr)
      std::rethrow_exception(e->again);
  } else if (!n.clauses.empty()) {
    next = select(c, n.clauses, {x}, b);
    if (next == nullptr)
      raise("try_clause", x);
  }
  if (next != nullptr)
    x = co_await eval_body(c, next->body, b, false);
  co_return x;
}

/// `after` runs for exceptions, not when the process has been ended.
task<term> eval_attempt(context& c, const node& n, bindings& b) {
  std::exception_ptr again;
  term x;
  try {
    x = co_await eval_protected(c, n, b);
  } catch (const runtime::exit_error&) {
    again = std::current_exception();
  } catch (const runtime::erlang_error&) {
    again = std::current_exception();
  } catch (const runtime::erlang_throw&) {
    again = std::current_exception();
  }
  co_await eval_body(c, n.rest, b, false);
  if (again)
    std::rethrow_exception(again);
  co_return x;
}

/// The values of `n` for what its generators and filters from `i` on give.
task<void> comprehend(context& c, const node& n, std::size_t i, bindings& b,
                      std::vector<term>& out) {
  if (i == n.rest.size()) {
    auto x = co_await eval(c, *n.parts[0], b, false);
    out.push_back(std::move(x));
    co_return;
  }
  auto& q = *n.rest[i];
  auto x = co_await eval(c, q.type == kind::generator ? *q.parts[1] : q, b,
                         false);
  if (q.type != kind::generator) {
    if (is_true(x))
      co_await comprehend(c, n, i + 1, b, out);
    co_return;
  }
  auto size = b.size();
  for (auto& item : x.items()) {
    b.close();
    bool taken = match(c, *q.parts[0], item, b);
    b.open();
    if (taken)
      co_await comprehend(c, n, i + 1, b, out);
    b.cut(size);
  }
}

task<term> eval(context& c, const node& n, bindings& b, bool last) {
  switch (n.type) {
    case kind::literal:
      co_return n.value;
    case kind::variable: {
      auto* x = b.find(n.text);
      if (x == nullptr)
        complain(n.at, "the variable " + n.text + " has no value");
      co_return *x;
    }
    case kind::tuple: {
      auto xs = co_await eval_all(c, n.parts, 0, b);
      co_return term::tuple(std::move(xs));
    }
    case kind::list:
      co_return co_await eval_list(c, n, b);
    case kind::map:
    case kind::map_update:
      co_return co_await eval_map(c, n, b);
    case kind::call:
      co_return co_await eval_call(c, n, b, last);
    case kind::operation:
      co_return co_await eval_operation(c, n, b);
    case kind::match: {
      auto x = co_await eval(c, *n.parts[1], b, false);
      if (!match(c, *n.parts[0], x, b))
        raise("badmatch", x);
      co_return x;
    }
    case kind::block:
      co_return co_await eval_body(c, n.parts, b, last);
    case kind::branch:
    case kind::condition:
      co_return co_await eval_branch(c, n, b, last);
    case kind::receive:
      co_return co_await eval_receive(c, n, b, last);
    case kind::attempt:
      if (n.timed)
        co_return co_await eval_attempt(c, n, b);
      co_return co_await eval_protected(c, n, b);
    case kind::function:
      co_return c.m.make_fun({&n.clauses, std::make_shared<bindings>(b)},
                             n.arity);
    case kind::reference: {
      auto* f = c.m.find(n.text, n.arity);
      if (f == nullptr)
        complain(n.at, "unknown function " + n.text);
      co_return c.m.make_fun(*f, n.arity);
    }
    case kind::comprehension: {
      std::vector<term> out;
      bindings inner = b;
      co_await comprehend(c, n, 0, inner, out);
      co_return term::list(std::move(out));
    }
    case kind::generator:
      break;
  }
  complain(n.at, "no such expression");
}

} // namespace

task<term> apply(context& c, callee f, std::vector<term> args) {
  for (;;) {
    if (++c.steps % turn == 0)
      co_await c.me.yield();
    bindings b;
    if (f.captured)
      b = *f.captured;
    b.close();
    auto* chosen = select(c, *f.clauses, args, b);
    b.open();
    if (chosen == nullptr)
      raise("function_clause");
    auto x = co_await eval_body(c, chosen->body, b, true);
    if (!c.tail)
      co_return x;
    f = std::move(c.tail->first);
    args = std::move(c.tail->second);
    c.tail.reset();
  }
}

} // namespace hornbeam::conformance
