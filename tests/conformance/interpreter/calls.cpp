#include "interpreter/machine.hpp"

namespace hornbeam::conformance {

namespace {

constexpr const char* fun_tag = "fun";

/// A runtime call that met a term of the wrong kind is Erlang's badarg.
term call_plain(const entry& e, context& c, const std::vector<term>& args) {
  try {
    return e.plain(c, args);
  } catch (const runtime::bad_term&) {
    raise("badarg");
  }
}

} // namespace

const callee* machine::find(const std::string& name, std::size_t arity) {
  auto i = module_->functions.find({name, arity});
  if (i == module_->functions.end())
    return nullptr;
  std::lock_guard guard{mutex_};
  auto& f = named_[&i->second];
  f.clauses = &i->second;
  return &f;
}

term machine::make_fun(callee f, std::size_t arity) {
  std::lock_guard guard{mutex_};
  funs_.emplace_back(std::move(f), arity);
  return term::extension(fun_tag,
                         term{static_cast<std::int64_t>(funs_.size() - 1)});
}

std::pair<const callee*, std::size_t> machine::fun(const term& x) const {
  if (!is_fun(x))
    return {nullptr, 0};
  std::lock_guard guard{mutex_};
  auto& [f, arity] = funs_.at(static_cast<std::size_t>(x.inner().as_int()));
  return {&f, arity};
}

bool is_fun(const term& x) {
  return x.is(term::kind::extension) && x.tag() == fun_tag;
}

task<term> apply_fun(context& c, term fun, std::vector<term> args) {
  auto [f, arity] = c.m.fun(fun);
  if (f == nullptr)
    raise("badfun", fun);
  if (arity != args.size())
    raise("badarity", tuple({fun, term::list(args)}));
  return apply(c, *f, std::move(args));
}

task<term> apply_named(context& c, place at, std::string from, std::string name,
                       std::vector<term> args) {
  bool own = from == c.m.code().name;
  if (from.empty() || own)
    if (auto* f = c.m.find(name, args.size())) {
      auto x = co_await apply(c, *f, std::move(args));
      co_return x;
    }
  if (own)
    raise("undef");
  auto* e = find_builtin(from.empty() ? "erlang" : from, name, args.size());
  if (e == nullptr)
    complain(at, "unknown function " + (from.empty() ? "" : from + ":") + name
                   + "/" + std::to_string(args.size()));
  if (e->plain != nullptr)
    co_return call_plain(*e, c, args);
  auto x = co_await e->waiting(c, std::move(args));
  co_return x;
}

runtime::process_body run_process(self me, machine* m, start_of what) {
  context c{*m, me};
  try {
    if (!what.go.is_none()) {
      auto go = what.go;
      co_await me.receive([&](const term& x) { return x == go; });
    }
    if (what.fun.is_none())
      co_await apply_named(c, place{}, what.from, what.name,
                           std::move(what.args));
    else
      co_await apply_fun(c, what.fun, std::move(what.args));
  } catch (const script_error& e) {
    m->outside().fail(e.what());
  }
}

} // namespace hornbeam::conformance
