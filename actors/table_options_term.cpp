#include "actors/table_options_term.hpp"

#include <array>

namespace hornbeam::actors {

using namespace runtime;

namespace {

/// Calls `f` with the name and the member of every option.
template <class Options, class F>
void each_option(Options& x, F f) {
  f("engine", x.engine);
  f("kind", x.kind);
  f("access", x.access);
  f("max_entries", x.max_entries);
  f("max_bytes", x.max_bytes);
  f("ttl_ms", x.ttl_ms);
  f("home", x.home);
  f("path", x.path);
  f("durable", x.durable);
  f("map_bytes", x.map_bytes);
}

term as_term(const std::string& x) {
  return term::string(x);
}
term as_term(std::int64_t x) {
  return term{x};
}
term as_term(std::uint64_t x) {
  return term{x};
}
template <class Enum>
requires std::is_enum_v<Enum> term as_term(Enum x) {
  return term::atom(name_of(x));
}

void take(const term& from, std::string& x) {
  x = from.text();
}
void take(const term& from, std::int64_t& x) {
  x = from.as_int();
}
void take(const term& from, std::uint64_t& x) {
  if (from.as_int() < 0)
    throw bad_term("it is " + to_string(from));
  x = static_cast<std::uint64_t>(from.as_int());
}
template <class Enum>
requires std::is_enum_v<Enum>
void take(const term& from, Enum& x) {
  // No enumeration here has more.
  for (int i = 0; i < 4; ++i)
    if (name_of(static_cast<Enum>(i)) == from.text()) {
      x = static_cast<Enum>(i);
      return;
    }
  throw bad_term("it is " + to_string(from));
}

} // namespace

term to_term(const table_options& x) {
  const table_options defaults;
  term::entries out;
  std::vector<term> plain;
  each_option(defaults, [&](const char*, auto& value) {
    plain.push_back(as_term(value));
  });
  std::size_t i = 0;
  each_option(x, [&](const char* name, auto& value) {
    if (auto t = as_term(value); t != plain[i++])
      out.emplace_back(term::atom(name), std::move(t));
  });
  return term::map(std::move(out));
}

table_options to_table_options(const term& x) {
  table_options out;
  std::size_t known = 0;
  each_option(out, [&](const char* name, auto& value) {
    auto* found = x.find(term::atom(name));
    if (found == nullptr)
      return;
    ++known;
    try {
      take(*found, value);
    } catch (const bad_term& e) {
      throw bad_term(std::string{"the option "} + name
                     + " of a table: " + e.what());
    }
  });
  if (known != x.pairs().size())
    throw bad_term("a table has options that this node does not know: "
                   + to_string(x));
  return out;
}

} // namespace hornbeam::actors
