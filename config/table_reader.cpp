#include "config/table_reader.hpp"

#include <algorithm>
#include <numeric>

#include "config/error.hpp"

#include "runtime/settings/settings.hpp"

namespace hornbeam::config {

namespace {

/// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      auto swapped = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({swapped, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string join(const std::vector<std::string>& xs) {
  std::string out;
  for (auto& x : xs)
    out += (out.empty() ? "" : ", ") + x;
  return out;
}

} // namespace

void fail_at(const std::string& file, const toml::node& where,
             const std::string& key, const std::string& what) {
  throw config_error(file + ":" + std::to_string(where.source().begin.line)
                     + ": " + key + ": " + what);
}

std::string kind_of(const toml::node& x) {
  switch (x.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or a time";
  }
}

table_reader::table_reader(const toml::table& table, std::string name,
                           std::string file)
  : table_(table), name_(std::move(name)), file_(std::move(file)) {}

const toml::node* table_reader::find(std::string_view key) {
  known_.emplace_back(key);
  return table_.get(key);
}

void table_reader::fail(std::string_view key, const std::string& what) const {
  auto* x = table_.get(key);
  auto full = name_.empty() ? std::string{key} : name_ + "." + std::string{key};
  fail_at(file_, x ? *x : table_, full, what);
}

void table_reader::read(std::string_view key, std::string& out) {
  auto* x = find(key);
  if (!x)
    return;
  auto* text = x->as_string();
  if (!text)
    fail(key, "must be a string, not " + kind_of(*x));
  if (text->get().empty())
    fail(key, "must not be empty; leave the key out for its default");
  out = text->get();
}

void table_reader::read(std::string_view key, bool& out) {
  auto* x = find(key);
  if (!x)
    return;
  auto* flag = x->as_boolean();
  if (!flag)
    fail(key, "must be true or false, not " + kind_of(*x));
  out = flag->get();
}

void table_reader::read(std::string_view key, std::vector<std::string>& out) {
  auto* x = find(key);
  if (!x)
    return;
  auto* list = x->as_array();
  if (!list)
    fail(key,
         "must be a list of strings as [\"a\", \"b\"], not " + kind_of(*x));
  out.clear();
  for (auto& item : *list) {
    auto* text = item.as_string();
    if (!text || text->get().empty())
      fail_at(file_, item, name_ + "." + std::string{key},
              "must be a list of strings, but one item is "
                + (text ? "empty" : kind_of(item)));
    out.push_back(text->get());
  }
}

std::int64_t table_reader::integer(std::string_view key, const toml::node& x,
                                   std::int64_t least,
                                   std::int64_t most) const {
  auto* number = x.as_integer();
  if (!number)
    fail(key, "must be an integer, not " + kind_of(x));
  auto value = number->get();
  if (value >= least && value <= most)
    return value;
  fail(key, "must be " + runtime::bounds_text(least, most) + ", not "
              + std::to_string(value));
}

void table_reader::finish() const {
  for (auto&& entry : table_) {
    auto& key = entry.first; // not a binding: lambdas of clang can't take those
    auto& value = entry.second;
    if (std::find(known_.begin(), known_.end(), key.str()) != known_.end())
      continue;
    auto nearest
      = std::min_element(known_.begin(), known_.end(), [&](auto& a, auto& b) {
          return distance(a, key.str()) < distance(b, key.str());
        });
    auto close = nearest != known_.end()
                 && distance(*nearest, key.str())
                      <= std::max<std::size_t>(2, nearest->size() / 3);
    // The line of the key, not of its value, which may be a table elsewhere.
    auto full = name_.empty() ? std::string{key.str()}
                              : name_ + "." + std::string{key.str()};
    auto line = value.is_table() ? value.source().begin.line
                                 : key.source().begin.line;
    throw config_error(file_ + ":" + std::to_string(line) + ": " + full
                       + ": there is no such key"
                       + (close ? "; did you mean " + *nearest + "?"
                                : "; known are " + join(known_)));
  }
}

} // namespace hornbeam::config
