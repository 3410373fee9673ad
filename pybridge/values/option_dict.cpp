#include "pybridge/values/option_dict.hpp"

#include <array>

#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

template <class Number>
void choose_number(Number& out, const std::string& option, py::handle value) {
  auto n = to_term(value, option.c_str());
  if (!n.is(term::kind::integer))
    throw py::type_error(option + " must be an integer, not "
                         + Py_TYPE(value.ptr())->tp_name);
  if (n.as_int() < 0)
    throw py::value_error(option + " can't be negative");
  out = static_cast<Number>(n.as_int());
}

template <class Word, std::size_t N>
void choose_word(Word& out, const std::string& option, py::handle value,
                 const std::array<Word, N>& words) {
  auto asked = to_text(value, option.c_str());
  std::string known;
  for (auto x : words) {
    if (asked == name_of(x)) {
      out = x;
      return;
    }
    known += std::string{known.empty() ? "" : ", "} + name_of(x);
  }
  throw py::value_error(option + " can't be '" + asked
                        + "'; there are: " + known);
}

void set_option(table_options& x, const std::string& name, py::handle value) {
  using std::array;
  if (name == "engine")
    choose_word(x.engine, name, value,
                array{table_engine::memory, table_engine::lmdb});
  else if (name == "kind")
    choose_word(x.kind, name, value,
                array{table_kind::set, table_kind::ordered_set, table_kind::bag,
                      table_kind::duplicate_bag});
  else if (name == "access")
    choose_word(
      x.access, name, value,
      array{table_access::open, table_access::readable, table_access::closed});
  else if (name == "max_entries")
    choose_number(x.max_entries, name, value);
  else if (name == "max_bytes")
    choose_number(x.max_bytes, name, value);
  else if (name == "ttl_ms")
    choose_number(x.ttl_ms, name, value);
  else if (name == "home")
    x.home = to_text(value, "home");
  else if (name == "path")
    x.path = to_text(value, "path");
  else if (name == "durable")
    choose_word(x.durable, name, value,
                array{table_durability::process, table_durability::always});
  else if (name == "map_bytes")
    choose_number(x.map_bytes, name, value);
  else
    throw py::type_error("tables have no option '" + name
                         + "'; there are: engine, kind, access, max_entries, "
                           "max_bytes, ttl_ms, home, path, durable, map_bytes");
}

} // namespace

table_options to_table_options(const py::dict& from) {
  table_options out;
  for (auto [name, value] : from)
    set_option(out, to_text(name, "the name of an option"), value);
  return out;
}

} // namespace hornbeam::pybridge
