#include "interpreter/machine.hpp"

namespace hornbeam::conformance {

namespace {

using kind = node::kind;

/// The value of an expression that can't wait: in guards, patterns.
term value_of(context& c, const node& n, const bindings& b) {
  switch (n.type) {
    case kind::literal:
      return n.value;
    case kind::variable:
      if (auto* x = b.find(n.text))
        return *x;
      complain(n.at, "the variable " + n.text + " has no value");
    case kind::tuple:
    case kind::list: {
      std::vector<term> xs;
      for (auto& p : n.parts)
        xs.push_back(value_of(c, *p, b));
      if (n.tail)
        complain(n.at, "no [... | Tail] in a guard");
      return n.type == kind::tuple ? term::tuple(std::move(xs))
                                   : term::list(std::move(xs));
    }
    case kind::operation: {
      auto a = value_of(c, *n.parts[0], b);
      if (n.parts.size() == 1)
        return operate(n.at, n.text, a);
      if (n.text == "andalso")
        return is_true(a) ? value_of(c, *n.parts[1], b) : a;
      if (n.text == "orelse")
        return is_true(a) ? a : value_of(c, *n.parts[1], b);
      return operate(n.at, n.text, a, value_of(c, *n.parts[1], b));
    }
    case kind::call: {
      auto& f = *n.parts[1];
      std::vector<term> args;
      for (std::size_t i = 2; i < n.parts.size(); ++i)
        args.push_back(value_of(c, *n.parts[i], b));
      auto* e = n.parts[0] == nullptr && f.type == kind::literal ? find_builtin(
                  "erlang", std::string{f.value.text()}, args.size())
                                                                 : nullptr;
      if (e == nullptr || e->plain == nullptr)
        complain(n.at, "no such call in a guard");
      return e->plain(c, args);
    }
    default:
      complain(n.at, "no such expression in a guard");
  }
}

bool match_list(context& c, const node& n, const term& x, bindings& b) {
  if (!x.is(term::kind::list))
    return false;
  auto items = x.items();
  auto fixed = n.parts.size() - (n.tail ? 1 : 0);
  if (n.tail ? items.size() < fixed : items.size() != fixed)
    return false;
  for (std::size_t i = 0; i < fixed; ++i)
    if (!match(c, *n.parts[i], items[i], b))
      return false;
  if (!n.tail)
    return true;
  auto from = items.begin() + static_cast<std::ptrdiff_t>(fixed);
  return match(c, *n.parts.back(), term::list({from, items.end()}), b);
}

} // namespace

const term* bindings::find(const std::string& name, std::size_t from) const {
  for (auto i = values_.size(); i > from; --i)
    if (values_[i - 1].first == name)
      return &values_[i - 1].second;
  return nullptr;
}

const term* bindings::find(const std::string& name) const {
  return find(name, 0);
}

const term* bindings::in_pattern(const std::string& name) const {
  return find(name, hidden_);
}

bool match(context& c, const node& pattern, const term& x, bindings& b) {
  switch (pattern.type) {
    case kind::variable:
      if (pattern.text == "_")
        return true;
      if (auto* bound = b.in_pattern(pattern.text))
        return *bound == x;
      b.add(pattern.text, x);
      return true;
    case kind::tuple:
      if (!x.is(term::kind::tuple) || x.items().size() != pattern.parts.size())
        return false;
      for (std::size_t i = 0; i < pattern.parts.size(); ++i)
        if (!match(c, *pattern.parts[i], x.items()[i], b))
          return false;
      return true;
    case kind::list:
      return match_list(c, pattern, x, b);
    case kind::map:
      for (std::size_t i = 0; i < pattern.parts.size(); i += 2) {
        auto* value = x.is(term::kind::map)
                        ? x.find(value_of(c, *pattern.parts[i], b))
                        : nullptr;
        if (value == nullptr || !match(c, *pattern.parts[i + 1], *value, b))
          return false;
      }
      return x.is(term::kind::map);
    case kind::match: // Pattern = Pattern
      return match(c, *pattern.parts[0], x, b)
             && match(c, *pattern.parts[1], x, b);
    default:
      return value_of(c, pattern, b) == x;
  }
}

bool holds(context& c, const std::vector<nodes>& guard, bindings& b) {
  if (guard.empty())
    return true;
  for (auto& all : guard) {
    bool good = true;
    try {
      for (auto& condition : all)
        good = good && value_of(c, *condition, b).is_atom("true");
    } catch (const runtime::erlang_error&) {
      good = false;
    } catch (const runtime::bad_term&) {
      good = false;
    }
    if (good)
      return true;
  }
  return false;
}

const clause* select(context& c, const std::vector<clause>& clauses,
                     const std::vector<term>& args, bindings& b) {
  auto size = b.size();
  for (auto& x : clauses) {
    bool good = x.patterns.size() == args.size();
    for (std::size_t i = 0; good && i < args.size(); ++i)
      good = match(c, *x.patterns[i], args[i], b);
    if (good && holds(c, x.guard, b))
      return &x;
    b.cut(size);
  }
  return nullptr;
}

} // namespace hornbeam::conformance
