#pragma once

#include "runtime/settings/table_options.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::actors {

/// How a table was declared, as one node tells it another: a map. What has
/// its default is left out.
runtime::term to_term(const runtime::table_options& x);

/// Raises `bad_term` for a key or a value that is unknown.
runtime::table_options to_table_options(const runtime::term& x);

} // namespace hornbeam::actors
