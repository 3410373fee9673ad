#include <algorithm>
#include <iostream>

#include <unistd.h>

#include "config/load.hpp"
#include "launcher/commands.hpp"
#include "launcher/rows.hpp"
#include "runtime/call/failures.hpp"
#include "runtime/table_lmdb/file_tools.hpp"
#include "runtime/table_lmdb/files.hpp"

namespace hornbeam::launcher {

using namespace runtime;

namespace {

std::string size(std::uint64_t bytes) {
  constexpr const char* units[]{" B", " KiB", " MiB", " GiB", " TiB"};
  std::size_t i = 0;
  auto rest = bytes;
  for (; rest >= 10240 && i < 4; ++i)
    rest /= 1024;
  return std::to_string(rest) + units[i];
}

/// Those of the configuration lie where it says, the others are found.
std::vector<table_file> chosen(const state_options& opts) {
  auto all = table_files();
  auto cluster = opts.cluster;
  if (!opts.config.empty()) {
    auto config = config::load(opts.config);
    cluster = config.name;
    for (auto& x : config.nodes.front().node.tables) {
      if (x.options.path.empty())
        continue;
      try {
        all.push_back(look_at_table_file(x.options.path));
        all.back().cluster = cluster;
        all.back().table = x.name;
      } catch (const failed&) {
        // It was never used.
      }
    }
  }
  if (!cluster.empty())
    std::erase_if(all, [&](auto& x) { return x.cluster != cluster; });
  return all;
}

std::string name_of(const table_file& x) {
  return x.cluster + "/" + x.table;
}

/// The one that `name` means. Raises `failed`.
table_file find(const std::vector<table_file>& all, const std::string& name) {
  std::vector<table_file> found;
  for (auto& x : all)
    if (name == name_of(x) || name == x.table || name == x.path)
      found.push_back(x);
  if (found.empty() && name.find('/') != std::string::npos)
    return look_at_table_file(name);
  if (found.size() == 1)
    return found.front();
  std::string known;
  for (auto& x : found.empty() ? all : found)
    known += (known.empty() ? "" : ", ") + printable(name_of(x));
  if (found.empty()) {
    auto why = no_table(name);
    why.message += known.empty() ? "" : "; there are: " + known;
    throw failed{std::move(why)};
  }
  throw failed{error_code::not_found,
               "several tables are called '" + name + "': " + known};
}

} // namespace

namespace {

std::string path_of(const state_options& opts) {
  return find(chosen(opts), opts.table).path;
}

void require_new_file(const state_options& opts) {
  if (!opts.force && ::access(opts.file.c_str(), F_OK) == 0)
    throw failed{error_code::refused,
                 "there is a file " + opts.file + "; --force replaces it"};
}

void list_damages(const lmdb_findings& found) {
  for (auto& x : found.examples)
    std::cout << "  " << x << '\n';
  if (auto more = found.damages - found.examples.size(); more != 0)
    std::cout << "  and " << more << " more\n";
}

} // namespace

int run_state_check(const state_options& opts) {
  auto all = chosen(opts);
  std::vector<table_file> targets;
  for (auto& name : opts.tables)
    targets.push_back(find(all, name));
  bool whole = true;
  for (auto& x : opts.tables.empty() ? all : targets) {
    lmdb_findings found;
    try {
      found = check_table_file(x.path);
    } catch (const failed& e) {
      std::cerr << "hornbeam: " << e.what() << '\n';
      whole = false;
      continue;
    }
    std::cout << printable(x.path) << ": ";
    if (found.damages == 0 && found.is_table) {
      std::cout << "whole, " << found.entries << " entries on " << found.pages
                << " pages\n";
      continue;
    }
    whole = false;
    if (found.damages == 0)
      std::cout << "no table\n";
    else
      std::cout << "damaged\n";
    list_damages(found);
  }
  return whole ? 0 : 1;
}

int run_state_dump(const state_options& opts) {
  require_new_file(opts);
  auto path = path_of(opts);
  auto found = dump_table_file(path, opts.file);
  std::cout << "wrote " << found.entries << " entries of " << path << " to "
            << opts.file << '\n';
  return 0;
}

int run_state_salvage(const state_options& opts) {
  require_new_file(opts);
  auto path = path_of(opts);
  auto found = salvage_table_file(path, opts.file);
  std::cout << "wrote " << found.entries << " entries of " << path << " to "
            << opts.file << '\n';
  if (found.doubtful != 0)
    std::cout << found.doubtful
              << " of them may be of before, or have been removed: the way to "
                 "them is damaged\n";
  if (found.damages != 0)
    std::cout << "damaged:\n";
  list_damages(found);
  return 0;
}

int run_state_restore(const state_options& opts) {
  auto& name = opts.table;
  bool new_path = name.find('/') != std::string::npos
                  && ::access(name.c_str(), F_OK) != 0;
  auto path = new_path ? name : path_of(opts);
  auto done = restore_table_file(path, opts.file, opts.force);
  if (!done.set_aside.empty())
    std::cout << "set the damaged file aside as " << done.set_aside << '\n';
  std::cout << "restored " << done.entries << " entries of " << opts.file
            << " to " << path << '\n';
  return 0;
}

int run_state_list(const state_options& opts) {
  std::vector<row> rows{
    {"TABLE", "ENTRIES", "SIZE", "WRITER", "PROCESSES", "FILE"}};
  for (auto& x : chosen(opts)) {
    std::string users;
    for (auto id : x.users)
      users += (users.empty() ? "" : ",") + std::to_string(id);
    rows.push_back(
      {name_of(x), x.error.empty() ? std::to_string(x.entries) : x.error,
       size(x.bytes), x.writer == 0 ? "-" : std::to_string(x.writer),
       users.empty() ? "-" : users, x.path});
  }
  print(rows);
  return 0;
}

int run_state_remove(const state_options& opts) {
  auto all = chosen(opts);
  std::vector<table_file> targets; // all are looked up before one is removed
  for (auto& name : opts.tables)
    targets.push_back(find(all, name));
  for (auto& x : targets) {
    remove_table_file(x.path, opts.force);
    std::cout << "removed " << x.path << '\n';
  }
  return 0;
}

} // namespace hornbeam::launcher
