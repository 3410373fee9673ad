#include "runtime/settings/table_options.hpp"

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
  auto compare = [&](const char* what, auto table_options::*member) {
    if (a.*member == b.*member)
      return;
    if (!out.empty())
      out += ", ";
    out += std::string{what} + " (" + shown(a.*member) + " and "
           + shown(b.*member) + ")";
  };
  compare("engine", &table_options::engine);
  compare("kind", &table_options::kind);
  compare("access", &table_options::access);
  compare("max_entries", &table_options::max_entries);
  compare("max_bytes", &table_options::max_bytes);
  compare("ttl_ms", &table_options::ttl_ms);
  compare("home", &table_options::home);
  compare("path", &table_options::path);
  compare("durable", &table_options::durable);
  compare("map_bytes", &table_options::map_bytes);
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
