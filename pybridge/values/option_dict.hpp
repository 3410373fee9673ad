#pragma once

#include "pybridge/gil/gil.hpp"
#include "runtime/settings/table_options.hpp"

namespace hornbeam::pybridge {

/// What a table is declared with, from `{"kind": "bag", "ttl_ms": 500}`: the
/// names and the words of `table_options`. Raises TypeError and ValueError,
/// which name the option and say what there is.
runtime::table_options to_table_options(const py::dict& from);

} // namespace hornbeam::pybridge
