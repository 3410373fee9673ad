#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

namespace hornbeam::config {

/// `FILE:LINE: KEY: what`, thrown.
[[noreturn]] void fail_at(const std::string& file, const toml::node& where,
                          const std::string& key, const std::string& what);

/// Reads the keys of one TOML table. Each `read` leaves its output alone if
/// the key is missing and raises `config_error` if its value is of no use.
/// The keys that were asked for are the known ones: `finish` refuses others,
/// so there is no second list of them to keep in step.
class table_reader {
public:
  table_reader(const toml::table& table, std::string name, std::string file);

  void read(std::string_view key, std::string& out);
  void read(std::string_view key, bool& out);
  void read(std::string_view key, std::vector<std::string>& out);
  template <std::integral T>
  void read(std::string_view key, T& out, std::int64_t least,
            std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
    if (auto* x = find(key))
      out = static_cast<T>(integer(key, *x, least, most));
  }
  /// One of the values of an enumeration, by its word. False if it is not said.
  template <class Enum>
  bool read_word(std::string_view key, Enum& out) {
    std::string text;
    read(key, text);
    if (text.empty())
      return false;
    std::string known;
    for (auto value : values_of(out)) {
      std::string word{name_of(value)};
      if (text == word) {
        out = value;
        return true;
      }
      known += (known.empty() ? "\"" : ", \"") + word + '"';
    }
    fail(key, "must be one of " + known + ", not \"" + text + '"');
  }
  /// The value of `key` or null, for what the readers above can't read.
  const toml::node* find(std::string_view key);
  void finish() const;

  bool has(std::string_view key) const { return table_.contains(key); }
  /// Complains about `key`, or about the table where the key is missing.
  [[noreturn]] void fail(std::string_view key, const std::string& what) const;

private:
  std::int64_t integer(std::string_view key, const toml::node& x,
                       std::int64_t least, std::int64_t most) const;

  const toml::table& table_;
  std::string name_;
  std::string file_;
  std::vector<std::string> known_;
};

/// "a string", "an integer", ...: what a message calls it.
std::string kind_of(const toml::node& x);

} // namespace hornbeam::config
