#pragma once

#include <string>

#include "runtime/term/term.hpp"

namespace hornbeam::launcher {

/// An argument as typed: JSON, or else a string. Raises `bad_term` if it
/// nests too deeply.
runtime::term from_argument(const std::string& text);

/// `x` as JSON on one line. What JSON has no form for: bytes become
/// `{"$bytes": base64}`, arrays `{"$array": {"dtype", "shape"}}`, tuples and
/// sets lists, atoms strings, anything else its printed form as a string.
/// Keys that are no strings are printed too.
std::string to_json(const runtime::term& x);

} // namespace hornbeam::launcher
