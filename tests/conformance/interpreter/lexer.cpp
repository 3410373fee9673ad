#include "interpreter/lexer.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace hornbeam::conformance {

namespace {

constexpr std::array keywords{
  "after", "andalso", "begin", "case",   "catch",   "div", "end", "fun",
  "if",    "not",     "of",    "orelse", "receive", "rem", "try", "when"};
/// Longer ones first.
constexpr std::array symbols{
  "=:=", "=/=", "->", "<-", "=>", ":=", "==", "/=", "=<", ">=", "++",
  "--",  "||",  "(",  ")",  "[",  "]",  "{",  "}",  ",",  ";",  ":",
  "=",   "!",   "|",  "#",  "<",  ">",  "+",  "-",  "*",  "/"};

bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '@';
}

class lexer {
public:
  lexer(const std::string& source, const std::string& file)
    : rest_(source), at_{&file, 1} {}

  std::vector<token> run() {
    for (skip(); !rest_.empty(); skip())
      next();
    out_.push_back({token::kind::end, "", at_});
    return std::move(out_);
  }

private:
  void skip() {
    while (!rest_.empty()) {
      if (rest_[0] == '%')
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      else if (std::isspace(static_cast<unsigned char>(rest_[0])))
        take(1);
      else
        return;
    }
  }

  std::string take(std::size_t n) {
    std::string x{rest_.substr(0, n)};
    at_.line += static_cast<int>(std::count(x.begin(), x.end(), '\n'));
    rest_.remove_prefix(n);
    return x;
  }

  template <class Test>
  std::string take_while(Test test) {
    auto end = std::find_if_not(rest_.begin(), rest_.end(), test);
    return take(static_cast<std::size_t>(end - rest_.begin()));
  }

  void add(token::kind type, std::string text) {
    out_.push_back({type, std::move(text), at_});
  }

  void next() {
    auto c = static_cast<unsigned char>(rest_[0]);
    if (std::islower(c)) {
      auto name = take_while(is_name);
      bool reserved = std::find(keywords.begin(), keywords.end(), name)
                      != keywords.end();
      add(reserved ? token::kind::keyword : token::kind::atom, name);
    } else if (std::isupper(c) || c == '_') {
      add(token::kind::variable, take_while(is_name));
    } else if (std::isdigit(c)) {
      number();
    } else if (c == '\'' || c == '"') {
      quoted(rest_[0]);
    } else if (c == '?') {
      take(1);
      add(token::kind::macro, take_while(is_name));
    } else if (c == '.') {
      take(1);
      add(token::kind::stop, ".");
    } else {
      symbol();
    }
  }

  void number() {
    auto digit = [](char c) {
      return std::isdigit(static_cast<unsigned char>(c)) != 0;
    };
    auto text = take_while(digit);
    if (rest_.size() > 1 && rest_[0] == '.' && digit(rest_[1])) {
      text += take(1);
      text += take_while(digit);
      add(token::kind::floating, text);
    } else {
      add(token::kind::integer, text);
    }
  }

  void quoted(char mark) {
    auto end = rest_.find(mark, 1);
    if (end == rest_.npos || rest_.substr(0, end).find('\\') != rest_.npos)
      complain(at_, "a quoted text has no end, or an escape in it");
    auto text = take(end + 1);
    add(mark == '"' ? token::kind::string : token::kind::atom,
        text.substr(1, text.size() - 2));
  }

  void symbol() {
    for (std::string_view s : symbols)
      if (rest_.starts_with(s)) {
        add(token::kind::symbol, take(s.size()));
        return;
      }
    complain(at_, std::string{"unknown character '"} + rest_[0] + "'");
  }

  std::string_view rest_;
  place at_;
  std::vector<token> out_;
};

} // namespace

void complain(const place& at, const std::string& what) {
  throw script_error((at.file ? *at.file : std::string{"?"}) + ":"
                     + std::to_string(at.line) + ": " + what);
}

std::vector<token> tokens_of(const std::string& source,
                             const std::string& file) {
  return lexer{source, file}.run();
}

} // namespace hornbeam::conformance
