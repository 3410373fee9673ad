#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "interpreter/lexer.hpp"
#include "runtime/term/term.hpp"

namespace hornbeam::conformance {

using runtime::term;

struct node;
using node_ptr = std::unique_ptr<node>;
using nodes = std::vector<node_ptr>;

/// A clause of a function, a fun, `case`, `if`, `receive` or `try`.
struct clause {
  place at;
  nodes patterns;
  std::string error_class; ///< of `catch`: an atom, a variable, or empty
  std::string stack;       ///< of `catch`: the variable for the stack
  /// Alternatives (;) of conditions that must all hold (,); none: true.
  std::vector<nodes> guard;
  nodes body;
};

/// An expression or a pattern; both are written in the same way.
struct node {
  enum class kind {
    literal,       ///< value
    variable,      ///< text
    tuple,         ///< parts
    list,          ///< parts; with `tail` the last one is the tail
    map,           ///< parts: key, value, key, value, ...
    map_update,    ///< parts: the map, then keys and values
    call,          ///< parts: module or null, function, arguments ...
    operation,     ///< text, parts: one or two
    match,         ///< parts: pattern, expression
    block,         ///< parts
    branch,        ///< case: parts: the expression; clauses
    condition,     ///< if: clauses
    receive,       ///< clauses; parts: timeout; rest: its body
    attempt,       ///< parts: the body; clauses (of), handlers, rest (after)
    function,      ///< fun: clauses
    reference,     ///< fun text/arity
    comprehension, ///< parts: the expression; generators and filters in rest
    generator,     ///< parts: pattern, list
  };
  kind type;
  place at;
  std::string text;
  term value;
  nodes parts;
  std::vector<clause> clauses;
  std::vector<clause> handlers;
  nodes rest;
  bool tail = false;
  bool timed = false;
  std::size_t arity = 0;
};

/// A module: its functions by name and number of arguments.
struct module {
  std::string name;
  std::map<std::pair<std::string, std::size_t>, std::vector<clause>> functions;
  std::deque<std::string> files;
};

} // namespace hornbeam::conformance
