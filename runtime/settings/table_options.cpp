#include "runtime/settings/table_options.hpp"

#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <type_traits>

#include <unistd.h>

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

bool never_evicts(const table_options& x) noexcept {
  auto map = x.map_bytes != 0 ? x.map_bytes : default_map_bytes;
  return x.engine == table_engine::lmdb && x.max_bytes >= map;
}

std::optional<table_mistake> mistake_in(const table_options& x) {
  std::optional<table_mistake> out;
  if (x.engine != table_engine::lmdb)
    each_table_option([&, plain = table_options{}](auto option) {
      if (option.use == table_option_use::lmdb
          && x.*option.member != plain.*option.member)
        out = {option.name, needs_lmdb};
    });
  if (out)
    return out;
  constexpr auto least = static_cast<std::uint64_t>(least_map_bytes);
  constexpr auto most = static_cast<std::uint64_t>(most_map_bytes);
  if (x.map_bytes != 0 && (x.map_bytes < least || x.map_bytes > most))
    return table_mistake{"map_bytes", "must be between 1 MiB and 64 TiB"};
  if (x.path.find('\0') != std::string::npos)
    return table_mistake{"path", "has a zero byte"};
  if (never_evicts(x))
    return table_mistake{"max_bytes", must_evict};
  if (x.access != table_access::open)
    return table_mistake{"access", "must be \"public\" for a table that no "
                                   "process owns"};
  if (x.engine == table_engine::lmdb && x.kind != table_kind::set)
    return table_mistake{"kind",
                         "a table with engine = \"lmdb\" is a set, whose "
                         "keys are in order; leave the key out"};
  if (x.durable == table_durability::always && x.path.empty())
    return table_mistake{"durable",
                         "\"always\" needs a path on a disk: without one the "
                         "file lies in memory"};
  return out;
}

std::optional<std::string> mistake_in_path(const table_options& x, bool here) {
  namespace fs = std::filesystem;
  if (x.engine != table_engine::lmdb || x.path.empty() || !x.home.empty())
    return std::nullopt;
  constexpr std::size_t ending = 5; // as `-lock`
  fs::path file{x.path};
  for (auto& part : file)
    if (auto most = NAME_MAX - (part == file.filename() ? ending : 0);
        part.string().size() > most)
      return "has a name of more than " + std::to_string(most) + " bytes";
  if (x.path.size() >= PATH_MAX - ending)
    return "has more than " + std::to_string(PATH_MAX - ending - 1) + " bytes";
  std::error_code none;
  auto there = fs::status(file, none);
  if (fs::is_directory(there))
    return x.path + " is a folder";
  if (fs::exists(there))
    return std::nullopt;
  auto folder = fs::absolute(file, none).parent_path();
  while (folder != folder.parent_path()
         && fs::status(folder, none).type() == fs::file_type::not_found)
    folder = folder.parent_path();
  auto found = fs::status(folder, none);
  if (fs::exists(found) && !fs::is_directory(found))
    return folder.string() + " is no folder";
  if (here && ::access(folder.c_str(), W_OK | X_OK) != 0)
    return "nothing can be made in " + folder.string() + ": "
           + std::strerror(errno);
  return std::nullopt;
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

const char* name_of(table_check x) noexcept {
  switch (x) {
    case table_check::always:
      return "always";
    case table_check::never:
      return "never";
    default:
      return "after_crash";
  }
}

} // namespace hornbeam::runtime
