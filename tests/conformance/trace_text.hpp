#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/term/term.hpp"

namespace hornbeam::conformance {

struct trace_line {
  std::string group; ///< of lines whose order is free; else empty
  runtime::term what;
};

/// The label of a node's name, none for any other atom.
using label_function
  = std::function<std::optional<std::string>(const std::string&)>;

/// The same text that erlang/trace_text.erl gives: processes and references
/// are numbered in the order in which they appear, free lines are sorted.
std::vector<std::string> render(const std::vector<trace_line>& lines,
                                const label_function& label);

/// Both side by side, for a reader.
std::string compared(const std::vector<std::string>& expected,
                     const std::vector<std::string>& got);

} // namespace hornbeam::conformance
