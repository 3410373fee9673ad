#include <algorithm>

#include "interpreter/machine.hpp"

// What needs no process: types, tuples, lists, maps.

namespace hornbeam::conformance {

namespace {

using kind = term::kind;
using args = const std::vector<term>&;

template <kind... Ks>
term is_any(context&, args xs) {
  return boolean((xs[0].is(Ks) || ...));
}

term is_boolean(context&, args xs) {
  return boolean(xs[0].is_atom("true") || xs[0].is_atom("false"));
}

term is_function(context& c, args xs) {
  auto [f, arity] = c.m.fun(xs[0]);
  return boolean(f != nullptr
                 && (xs.size() < 2 || term{std::uint64_t{arity}} == xs[1]));
}

term element(context&, args xs) {
  auto n = xs[0].as_int();
  if (!xs[1].is(kind::tuple) || n < 1
      || n > static_cast<std::int64_t>(xs[1].items().size()))
    raise("badarg");
  return xs[1].items()[static_cast<std::size_t>(n - 1)];
}

std::span<const term> list(const term& x) {
  if (!x.is(kind::list))
    raise("badarg");
  return x.items();
}

term length(context&, args xs) {
  return term{std::uint64_t{list(xs[0]).size()}};
}

term tuple_size(context&, args xs) {
  if (!xs[0].is(kind::tuple))
    raise("badarg");
  return term{std::uint64_t{xs[0].items().size()}};
}

term map_size(context&, args xs) {
  return term{std::uint64_t{xs[0].pairs().size()}};
}

term head(context&, args xs) {
  if (list(xs[0]).empty())
    raise("badarg");
  return xs[0].items().front();
}

term rest(context&, args xs) {
  auto items = list(xs[0]);
  if (items.empty())
    raise("badarg");
  return term::list({items.begin() + 1, items.end()});
}

term absolute(context&, args xs) {
  return xs[0] < term{0} ? term{-xs[0].as_big()} : xs[0];
}

term member(context&, args xs) {
  auto items = list(xs[1]);
  return boolean(std::find(items.begin(), items.end(), xs[0]) != items.end());
}

term sequence(context&, args xs) {
  std::vector<term> out;
  for (auto i = xs[0].as_int(); i <= xs[1].as_int(); ++i)
    out.push_back(term{i});
  return term::list(std::move(out));
}

term sorted(context&, args xs) {
  auto items = xs[0].to_sequence();
  std::stable_sort(items.begin(), items.end());
  return term::list(std::move(items));
}

term reversed(context&, args xs) {
  auto items = xs[0].to_sequence();
  std::reverse(items.begin(), items.end());
  return term::list(std::move(items));
}

term merge_maps(context&, args xs) {
  auto pairs = xs[0].pairs();
  for (auto& p : xs[1].pairs())
    pairs.push_back(p);
  return term::map(std::move(pairs));
}

term remove_of_map(context&, args xs) {
  auto pairs = xs[1].pairs();
  std::erase_if(pairs, [&](auto& p) { return p.first == xs[0]; });
  return term::map(std::move(pairs));
}

term get_of_map(context&, args xs) {
  if (auto* x = xs[1].find(xs[0]))
    return *x;
  if (xs.size() < 3)
    raise("badkey", xs[0]);
  return xs[2];
}

task<term> map_list(context& c, std::vector<term> xs) {
  std::vector<term> out;
  for (auto& x : list(xs[1])) {
    auto y = co_await apply_fun(c, xs[0], std::vector<term>(1, x));
    out.push_back(std::move(y));
  }
  co_return term::list(std::move(out));
}

task<term> for_each(context& c, std::vector<term> xs) {
  for (auto& x : list(xs[1]))
    co_await apply_fun(c, xs[0], std::vector<term>(1, x));
  co_return atom("ok");
}

} // namespace

void add_data_builtins(builtin_table& t) {
  auto plain = [&](const char* name, std::size_t arity, plain_builtin f) {
    t[{"erlang", name, arity}].plain = f;
  };
  plain("is_atom", 1, is_any<kind::atom>);
  plain("is_pid", 1, is_any<kind::pid>);
  plain("is_reference", 1, is_any<kind::reference>);
  plain("is_tuple", 1, is_any<kind::tuple>);
  plain("is_list", 1, is_any<kind::list>);
  plain("is_map", 1, is_any<kind::map>);
  plain("is_integer", 1, is_any<kind::integer, kind::big_integer>);
  plain("is_float", 1, is_any<kind::floating>);
  plain("is_number", 1,
        is_any<kind::integer, kind::big_integer, kind::floating>);
  plain("is_boolean", 1, is_boolean);
  plain("is_function", 1, is_function);
  plain("is_function", 2, is_function);
  plain("element", 2, element);
  plain("length", 1, length);
  plain("tuple_size", 1, tuple_size);
  plain("map_size", 1, map_size);
  plain("hd", 1, head);
  plain("tl", 1, rest);
  plain("abs", 1, absolute);
  t[{"lists", "member", 2}].plain = member;
  t[{"lists", "seq", 2}].plain = sequence;
  t[{"lists", "sort", 1}].plain = sorted;
  t[{"lists", "reverse", 1}].plain = reversed;
  t[{"lists", "map", 2}].waiting = map_list;
  t[{"lists", "foreach", 2}].waiting = for_each;
  t[{"maps", "merge", 2}].plain = merge_maps;
  t[{"maps", "remove", 2}].plain = remove_of_map;
  t[{"maps", "get", 2}].plain = get_of_map;
  t[{"maps", "get", 3}].plain = get_of_map;
}

const entry* find_builtin(const std::string& from, const std::string& name,
                          std::size_t arity) {
  static const builtin_table table = [] {
    builtin_table t;
    add_data_builtins(t);
    add_process_builtins(t);
    add_signal_builtins(t);
    add_server_builtins(t);
    add_supervisor_builtins(t);
    add_group_builtins(t);
    add_harness_builtins(t);
    return t;
  }();
  auto i = table.find({from, name, arity});
  return i == table.end() ? nullptr : &i->second;
}

} // namespace hornbeam::conformance
