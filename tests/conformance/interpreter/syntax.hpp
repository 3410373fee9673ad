#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "interpreter/ast.hpp"

namespace hornbeam::conformance {

node_ptr make(node::kind type, const place& at);

/// Reads clauses and expressions from tokens, by recursive descent.
class syntax {
public:
  /// `module` is what ?MODULE stands for.
  syntax(std::vector<token> xs, const std::string& module)
    : tokens_(std::move(xs)), module_(module) {}

  // -- tokens ----------------------------------------------------------------

  const token& peek(std::size_t ahead = 0) const;
  token take();
  bool accept(std::string_view x);
  void expect(std::string_view x);
  token expect(token::kind type, const char* what);

  // -- clauses ---------------------------------------------------------------

  clause function_clause();

private:
  void guard_and_body(clause& c);
  std::vector<nodes> guard();
  /// Expressions with commas between.
  nodes body();
  nodes until(std::string_view close);
  std::vector<clause> clauses_of_patterns();

  // -- expressions, by precedence --------------------------------------------

  node_ptr binary(token op, node_ptr a, node_ptr b);
  node_ptr expression();
  node_ptr logical();
  node_ptr conjunction();
  node_ptr comparison();
  node_ptr joined();
  node_ptr sum();
  node_ptr product();
  node_ptr prefixed();
  /// A primary expression and the calls and map updates behind it.
  node_ptr called();

  // -- primary expressions ---------------------------------------------------

  node_ptr literal(const place& at, term x);
  node_ptr primary();
  node_ptr compound(const token& t);
  node_ptr list(const place& at);
  node_ptr qualifier();
  node_ptr map();
  node_ptr fun(const place& at);
  node_ptr control(const token& t);
  node_ptr receive(const place& at);
  node_ptr attempt(const place& at);
  clause handler();

  std::vector<token> tokens_;
  std::size_t at_ = 0;
  const std::string& module_;
};

} // namespace hornbeam::conformance
