#include "pybridge/values/option_dict.hpp"

#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

void choose(std::string& out, const std::string& option, py::handle value) {
  out = to_text(value, option.c_str());
}

template <std::integral Number>
void choose(Number& out, const std::string& option, py::handle value) {
  auto n = to_term(value, option.c_str());
  if (!n.is_any_integer())
    throw py::type_error(option + " must be an integer, not "
                         + Py_TYPE(value.ptr())->tp_name);
  if (PyObject_RichCompareBool(value.ptr(), py::int_(0).ptr(), Py_LT) == 1)
    throw py::value_error(option + " can't be negative");
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  if (!n.is(term::kind::integer))
    throw py::value_error(option + " can't be more than "
                          + std::to_string(most));
  out = static_cast<Number>(n.as_int());
}

template <class Enum>
requires std::is_enum_v<Enum>
void choose(Enum& out, const std::string& option, py::handle value) {
  auto asked = to_text(value, option.c_str());
  std::string known;
  for (auto x : values_of(out)) {
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
  bool done = false;
  std::string known;
  each_table_option([&](auto option) {
    known += std::string{known.empty() ? "" : ", "} + option.name;
    if (name != option.name)
      return;
    choose(x.*option.member, name, value);
    done = true;
  });
  if (!done)
    throw py::type_error("tables have no option '" + name
                         + "'; there are: " + known);
}

} // namespace

table_options to_table_options(const py::dict& from) {
  table_options out;
  for (auto [name, value] : from)
    set_option(out, to_text(name, "the name of an option"), value);
  return out;
}

} // namespace hornbeam::pybridge
