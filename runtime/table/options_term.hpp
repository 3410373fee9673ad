#pragma once

#include "runtime/settings/table_options.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

// An option as a term: a string, an integer, or a word as an atom.
inline term option_term(const std::string& x) {
  return term::string(x);
}
inline term option_term(std::int64_t x) {
  return term{x};
}
inline term option_term(std::uint64_t x) {
  return term{x};
}
template <class Enum>
requires std::is_enum_v<Enum> term option_term(Enum x) {
  return term::atom(name_of(x));
}

/// How a table was declared, as one node tells it another: a map. What has
/// its default is left out.
term to_term(const table_options& x);

/// Raises `bad_term` for a key or a value that is unknown.
table_options to_table_options(const term& x);

} // namespace hornbeam::runtime
