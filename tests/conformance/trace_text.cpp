#include "trace_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <unordered_map>

namespace hornbeam::conformance {

namespace {

using runtime::term;
using kind = term::kind;

constexpr std::array reserved{
  "after",   "and",  "andalso", "band",  "begin", "bnot", "bor",  "bsl",
  "bsr",     "bxor", "case",    "catch", "cond",  "div",  "else", "end",
  "fun",     "if",   "let",     "maybe", "not",   "of",   "or",   "orelse",
  "receive", "rem",  "try",     "when",  "xor"};

std::string quoted(const std::string& text) {
  bool plain
    = !text.empty() && std::islower(static_cast<unsigned char>(text[0]))
      && std::all_of(text.begin(), text.end(),
                     [](char c) {
                       return std::isalnum(static_cast<unsigned char>(c))
                              || c == '_' || c == '@';
                     })
      && std::find(reserved.begin(), reserved.end(), text) == reserved.end();
  return plain ? text : "'" + text + "'";
}

/// The runtime's stack of an error is a list with a text for the reader.
bool is_stack(const term& x) {
  return x.is(kind::list) && !x.items().empty()
         && std::all_of(x.items().begin(), x.items().end(),
                        [](auto& i) { return i.is(kind::string); });
}

class printer {
public:
  explicit printer(const label_function& label) : label_(label) {}

  /// A sketch has ? for what has no number yet.
  std::string show(const term& x, bool sketch = false) {
    sketch_ = sketch;
    return shown(x);
  }

private:
  std::string shown(const term& x) {
    switch (x.type()) {
      case kind::pid:
        return "<p" + number(x, pids_) + ">";
      case kind::reference:
        return "#r" + number(x, refs_);
      case kind::extension:
        return x.tag() == "fun" ? "fun" : runtime::to_string(x);
      case kind::tuple:
        return "{" + all(x.items()) + "}";
      case kind::list:
        return is_stack(x) ? "'$stack'" : "[" + all(x.items()) + "]";
      case kind::map:
        return map(x);
      case kind::boolean:
        return x.as_bool() ? "true" : "false";
      case kind::atom:
        if (auto label = label_(std::string{x.text()}))
          return "'@" + *label + "'";
        return quoted(std::string{x.text()});
      case kind::floating: {
        auto text = runtime::to_string(x);
        bool whole = text.find_first_of(".e") == text.npos;
        return whole ? text + ".0" : text;
      }
      default:
        return runtime::to_string(x);
    }
  }

  std::string all(std::span<const term> xs) {
    std::string out;
    for (auto& x : xs)
      out += (out.empty() ? "" : ",") + shown(x);
    return out;
  }

  std::string map(const term& x) {
    auto pairs = x.pairs();
    std::sort(pairs.begin(), pairs.end());
    std::string out;
    for (auto& [key, value] : pairs) {
      out += out.empty() ? "" : ",";
      out += shown(key) + " => ";
      out += shown(value);
    }
    return "#{" + out + "}";
  }

  using numbers = std::unordered_map<term, std::size_t, runtime::term_hash>;

  std::string number(const term& x, numbers& known) {
    auto i = known.find(x);
    if (i == known.end()) {
      if (sketch_)
        return "?";
      i = known.emplace(x, known.size() + 1).first;
    }
    return std::to_string(i->second);
  }

  const label_function& label_;
  numbers pids_;
  numbers refs_;
  bool sketch_ = false;
};

} // namespace

std::vector<std::string> render(const std::vector<trace_line>& lines,
                                const label_function& label) {
  printer p{label};
  std::vector<std::string> out;
  for (auto i = lines.begin(); i != lines.end();) {
    if (i->group.empty()) {
      out.push_back(p.show(i++->what));
      continue;
    }
    auto end = std::find_if(i, lines.end(),
                            [&](auto& line) { return line.group != i->group; });
    std::vector<std::pair<std::string, term>> same;
    auto mark = "any " + i->group + ": ";
    for (; i != end; ++i)
      same.emplace_back(p.show(i->what, true), i->what);
    std::stable_sort(same.begin(), same.end(),
                     [](auto& a, auto& b) { return a.first < b.first; });
    for (auto& [sketch, what] : same)
      out.push_back(mark + p.show(what));
  }
  return out;
}

std::string compared(const std::vector<std::string>& expected,
                     const std::vector<std::string>& got) {
  std::size_t width = 10;
  for (auto& line : expected)
    width = std::max(width, line.size());
  std::ostringstream out;
  auto row = [&](const std::string& a, char mark, const std::string& b) {
    out << a << std::string(width - std::min(width, a.size()), ' ') << ' '
        << mark << ' ' << b << '\n';
  };
  row("Erlang", '|', "Hornbeam");
  for (std::size_t i = 0; i < std::max(expected.size(), got.size()); ++i) {
    auto a = i < expected.size() ? expected[i] : "(end)";
    auto b = i < got.size() ? got[i] : "(end)";
    row(a, a == b ? ' ' : '*', b);
  }
  return out.str();
}

} // namespace hornbeam::conformance
