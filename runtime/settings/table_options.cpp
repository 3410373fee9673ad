#include "runtime/settings/table_options.hpp"

#include <type_traits>

namespace hornbeam::runtime {

namespace {

std::string shown(std::uint64_t x) {
  return std::to_string(x);
}
std::string shown(std::int64_t x) {
  return std::to_string(x);
}
std::string shown(const std::string& x) {
  return '\'' + x + '\'';
}
template <class Enum>
requires std::is_enum_v<Enum> std::string shown(Enum x) {
  return name_of(x);
}

} // namespace

std::string differences(const table_options& a, const table_options& b) {
  std::string out;
  each_table_option([&](auto option) {
    auto& x = a.*option.member;
    auto& y = b.*option.member;
    if (x == y)
      return;
    if (!out.empty())
      out += ", ";
    out += std::string{option.name} + " (" + shown(x) + " and " + shown(y)
           + ")";
  });
  return out;
}

const char* name_of(table_engine x) noexcept {
  return x == table_engine::lmdb ? "lmdb" : "memory";
}

const char* name_of(table_kind x) noexcept {
  switch (x) {
    case table_kind::ordered_set:
      return "ordered_set";
    case table_kind::bag:
      return "bag";
    case table_kind::duplicate_bag:
      return "duplicate_bag";
    default:
      return "set";
  }
}

const char* name_of(table_access x) noexcept {
  switch (x) {
    case table_access::readable:
      return "protected";
    case table_access::closed:
      return "private";
    default:
      return "public";
  }
}

const char* name_of(table_durability x) noexcept {
  return x == table_durability::always ? "always" : "process";
}

} // namespace hornbeam::runtime
