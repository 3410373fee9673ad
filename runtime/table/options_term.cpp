#include "runtime/table/options_term.hpp"

namespace hornbeam::runtime {

namespace {

void take(const term& from, std::string& x) {
  x = from.text();
}
void take(const term& from, std::int64_t& x) {
  x = from.as_int();
}
void take(const term& from, std::uint64_t& x) {
  if (from.as_int() < 0)
    throw bad_term("it is " + to_string(from));
  x = static_cast<std::uint64_t>(from.as_int());
}
template <class Enum>
requires std::is_enum_v<Enum>
void take(const term& from, Enum& x) {
  for (auto value : values_of(x))
    if (name_of(value) == from.text()) {
      x = value;
      return;
    }
  throw bad_term("it is " + to_string(from));
}

} // namespace

term to_term(const table_options& x) {
  const table_options defaults;
  term::entries out;
  each_table_option([&](auto option) {
    auto& value = x.*option.member;
    if (value != defaults.*option.member)
      out.emplace_back(term::atom(option.name), option_term(value));
  });
  return term::map(std::move(out));
}

table_options to_table_options(const term& x) {
  table_options out;
  std::size_t known = 0;
  each_table_option([&](auto option) {
    auto* found = x.find(term::atom(option.name));
    if (found == nullptr)
      return;
    ++known;
    try {
      take(*found, out.*option.member);
    } catch (const bad_term& e) {
      throw bad_term(std::string{"the option "} + option.name
                     + " of a table: " + e.what());
    }
  });
  if (known != x.pairs().size())
    throw bad_term("a table has options that this node does not know: "
                   + to_string(x));
  return out;
}

} // namespace hornbeam::runtime
