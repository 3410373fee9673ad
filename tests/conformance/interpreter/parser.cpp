#include "interpreter/parser.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "interpreter/syntax.hpp"

namespace hornbeam::conformance {

namespace {

void read_into(module& into, const std::filesystem::path& path);

/// -name(...). Only -module and -include mean something here.
void read_attribute(syntax& s, module& into,
                    const std::filesystem::path& folder) {
  s.expect("-");
  auto name = s.take();
  if (name.text == "module") {
    s.expect("(");
    into.name = s.take().text;
  } else if (name.text == "include") {
    s.expect("(");
    read_into(into, folder / s.expect(token::kind::string, "a file").text);
  } else if (name.text != "compile" && name.text != "import"
             && name.text != "export" && name.text != "behaviour") {
    complain(name.at, "unknown attribute -" + name.text);
  }
  while (s.take().type != token::kind::stop)
    if (s.peek().type == token::kind::end)
      complain(name.at, "the attribute -" + name.text + " has no end");
}

void read_function(syntax& s, module& into) {
  auto name = s.peek();
  std::vector<clause> xs;
  do {
    if (s.expect(token::kind::atom, "a function").text != name.text)
      complain(s.peek().at, "a clause of another function than " + name.text);
    xs.push_back(s.function_clause());
  } while (s.accept(";"));
  s.expect(token::kind::stop, "a full stop");
  auto arity = xs.front().patterns.size();
  into.functions[{name.text, arity}] = std::move(xs);
}

void read_into(module& into, const std::filesystem::path& path) {
  std::ifstream in{path};
  if (!in)
    throw script_error(path.string() + ": can't be read");
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto& file = into.files.emplace_back(path.filename().string());
  syntax s{tokens_of(text, file), into.name};
  while (s.peek().type != token::kind::end) {
    if (s.peek().is("-"))
      read_attribute(s, into, path.parent_path());
    else
      read_function(s, into);
  }
}

} // namespace

std::shared_ptr<const module> parse_file(const std::string& path) {
  auto out = std::make_shared<module>();
  read_into(*out, path);
  return out;
}

} // namespace hornbeam::conformance
