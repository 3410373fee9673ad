#include "runtime/table_lmdb/files.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/runtime_directory.hpp"
#include "runtime/call/outcome.hpp"
#include "runtime/table_lmdb/environment.hpp"
#include "runtime/table_lmdb/file_reader.hpp"

namespace hornbeam::runtime {

namespace {

namespace fs = std::filesystem;

constexpr const char* suffix = ".lmdb";

/// Beside the folders of the clusters, whose names have no `@`.
std::string folder_of_tables() {
  return runtime_directory() + "/@tables";
}

/// Letters, digits, `_`, `-` and (not in front) `.` as they are, the rest as
/// `%2F`.
std::string escape(const std::string& x) {
  std::string out;
  for (unsigned char c : x) {
    if (std::isalnum(c) || c == '_' || c == '-' || (c == '.' && !out.empty())) {
      out += static_cast<char>(c);
      continue;
    }
    constexpr const char* digits = "0123456789ABCDEF";
    out += {'%', digits[c >> 4], digits[c & 15]};
  }
  return out;
}

/// What nobody has escaped so stays as it is: it may be anybody's file.
std::string unescape(const std::string& x) {
  auto hex = [](unsigned char c) { return std::isxdigit(c) != 0; };
  std::string out;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] == '%' && i + 2 < x.size() && hex(x[i + 1]) && hex(x[i + 2])) {
      out += static_cast<char>(std::stoi(x.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += x[i];
    }
  return out;
}

/// Only what the file's first pages say: locks nothing, disturbs nobody.
void read_entries(table_file& x) {
  constexpr int most_tries = 3; // who writes may be in the middle of a page
  for (int i = 0; i < most_tries; ++i) {
    lmdb_file_reader file{x.path};
    if (!file.bad_start().empty()) {
      x.error = file.foreign() ? "is no table" : "is damaged";
      continue;
    }
    x.error.clear();
    auto all = file.last()->main.entries;
    x.entries = all - std::min<std::uint64_t>(lmdb_housekeeping, all);
    return;
  }
}

failed no_file(const std::string& path) {
  return {error_code::not_found,
          "there is no table file " + path + ": " + std::strerror(errno)};
}

} // namespace

std::string default_table_file(const std::string& cluster,
                               const std::string& table) {
  auto all = folder_of_tables();
  make_private_folder(all);
  auto folder = all + "/" + escape(cluster);
  make_private_folder(folder);
  require_default_table_file(table);
  return folder + "/" + escape(table) + suffix;
}

void require_default_table_file(const std::string& table) {
  if ((escape(table) + suffix).size() > 200)
    throw failed{error_code::bad_value,
                 "the name of the table '" + table
                   + "' is too long for a file: give the table a path"};
}

table_file look_at_table_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    throw no_file(path);
  table_file out;
  out.path = path;
  out.table = unescape(fs::path{path}.stem().string());
  out.bytes = static_cast<std::uint64_t>(info.st_blocks) * 512;
  auto lock_file = lmdb_lock_file::look(path);
  out.writer = lock_file.writer;
  out.users = lock_file.users;
  out.in_use = lock_file.in_use;
  if (!S_ISREG(info.st_mode))
    out.error = "is no file";
  else if (info.st_size == 0)
    out.error = "is empty";
  else
    read_entries(out);
  return out;
}

std::vector<table_file> table_files() {
  std::vector<table_file> out;
  std::error_code none;
  for (auto& folder : fs::directory_iterator{folder_of_tables(), none})
    for (auto& file : fs::directory_iterator{folder.path(), none}) {
      if (file.path().extension() != suffix)
        continue;
      try {
        out.push_back(look_at_table_file(file.path().string()));
        out.back().cluster = unescape(folder.path().filename().string());
      } catch (const failed&) {
        // Removed in this moment.
      }
    }
  std::sort(out.begin(), out.end(),
            [](auto& a, auto& b) { return a.path < b.path; });
  return out;
}

void remove_table_file(const std::string& path, bool force) {
  if (::access(path.c_str(), F_OK) != 0)
    throw no_file(path);
  if (fs::is_directory(path))
    throw failed{error_code::bad_value,
                 path + " is a folder, not the file of a table"};
  if (!force && ::access((path + "-gate").c_str(), F_OK) != 0)
    if (auto x = look_at_table_file(path); !x.error.empty())
      throw failed{error_code::bad_value,
                   path + " does not look like the file of a table (" + x.error
                     + "); --force removes it all the same"};
  lmdb_lock_file lock_file{path}; // nobody can open it meanwhile
  if (!lock_file.alone() && !force) {
    std::string who;
    for (auto x : lock_file.users())
      who += (who.empty() ? "" : ", ") + std::to_string(x);
    throw failed{error_code::refused,
                 "the table file " + path + " is in use by "
                   + (who.empty() ? "other processes" : "the processes " + who)
                   + "; --force removes it all the same, and they get errors"};
  }
  lock_file.set_removed();
  for (auto* end : {"", "-lock", "-gate"})
    if (::unlink((path + end).c_str()) != 0 && errno != ENOENT)
      throw failed{error_code::internal,
                   "can't remove " + path + end + ": " + std::strerror(errno)};
}

} // namespace hornbeam::runtime
