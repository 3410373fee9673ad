#pragma once

#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

// Patterns for `receive`. Any callable that takes a term and says yes or no is
// one. `match` builds them:
//
//     match("stop")                     the atom stop
//     match("get", any_pid)             a tuple {get, Pid}
//     match("add", any_int, any) | match("stop")
//
// A text is an atom, a term is itself, a pattern stands for what it accepts.
// Texts are kept by reference: they are literals.

/// Tells patterns from other callables, for `|`.
struct pattern {};

template <class T>
concept is_pattern = std::is_base_of_v<pattern, std::remove_cvref_t<T>>;

struct any_t : pattern {
  bool operator()(const term&) const noexcept { return true; }
};
inline constexpr any_t any;

struct none_t : pattern {
  bool operator()(const term&) const noexcept { return false; }
};

template <term::kind K>
struct kind_pattern : pattern {
  bool operator()(const term& x) const noexcept { return x.is(K); }
};
inline constexpr kind_pattern<term::kind::pid> any_pid;
inline constexpr kind_pattern<term::kind::reference> any_ref;
inline constexpr kind_pattern<term::kind::atom> any_atom;
inline constexpr kind_pattern<term::kind::tuple> any_tuple;
inline constexpr kind_pattern<term::kind::list> any_list;

struct any_int_t : pattern {
  bool operator()(const term& x) const noexcept { return x.is_any_integer(); }
};
inline constexpr any_int_t any_int;

struct atom_pattern : pattern {
  std::string_view text;
  explicit atom_pattern(std::string_view x) noexcept : text(x) {}
  bool operator()(const term& x) const noexcept { return x.is_atom(text); }
};

struct exact_pattern : pattern {
  term value;
  explicit exact_pattern(term x) noexcept : value(std::move(x)) {}
  bool operator()(const term& x) const noexcept { return x == value; }
};

template <class... Ps>
struct tuple_pattern : pattern {
  std::tuple<Ps...> parts;
  explicit tuple_pattern(Ps... xs) : parts(std::move(xs)...) {}
  bool operator()(const term& x) const {
    if (!x.is(term::kind::tuple))
      return false;
    auto items = x.items();
    if (items.size() != sizeof...(Ps))
      return false;
    return std::apply(
      [&](auto&... ps) {
        std::size_t i = 0;
        return (ps(items[i++]) && ...);
      },
      parts);
  }
};

template <class A, class B>
struct either_pattern : pattern {
  A a;
  B b;
  either_pattern(A x, B y) : a(std::move(x)), b(std::move(y)) {}
  bool operator()(const term& x) const { return a(x) || b(x); }
};

template <class T>
auto to_pattern(T x) {
  if constexpr (std::is_convertible_v<T, std::string_view>)
    return atom_pattern{x};
  else if constexpr (std::is_integral_v<T>)
    return exact_pattern{term{x}};
  else if constexpr (std::is_same_v<T, term>)
    return exact_pattern{std::move(x)};
  else
    return x;
}

template <class T>
auto match(T x) {
  return to_pattern(std::move(x));
}
template <class T, class... Ts>
requires(sizeof...(Ts) > 0) auto match(T x, Ts... xs) {
  return tuple_pattern<decltype(to_pattern(std::move(x))),
                       decltype(to_pattern(std::move(xs)))...>{
    to_pattern(std::move(x)), to_pattern(std::move(xs))...};
}

template <class A, class B>
requires(is_pattern<A> || is_pattern<B>) auto operator|(A a, B b) {
  return either_pattern<A, B>{std::move(a), std::move(b)};
}

} // namespace hornbeam::runtime
