#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace hornbeam::conformance {

/// Something in a scenario that the interpreter does not know. The text
/// begins with file and line.
struct script_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct place {
  const std::string* file = nullptr;
  int line = 0;
};

[[noreturn]] void complain(const place& at, const std::string& what);

struct token {
  enum class kind {
    atom,    ///< also quoted
    keyword, ///< case, of, end, ...
    variable,
    integer,
    floating,
    string,
    macro, ///< ?NAME, without the question mark
    symbol,
    stop, ///< the full stop that ends a form
    end,  ///< of the file
  };
  kind type;
  std::string text;
  place at;

  bool is(std::string_view x) const {
    return text == x && (type == kind::symbol || type == kind::keyword);
  }
};

/// The tokens of an Erlang source. `file` must outlive them.
std::vector<token> tokens_of(const std::string& source,
                             const std::string& file);

} // namespace hornbeam::conformance
