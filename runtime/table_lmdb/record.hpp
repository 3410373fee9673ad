#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/term/term.hpp"

// How values look in an LMDB file: a byte of flags, a byte that says how the
// value is written, when it expires (if it does), the key (if it is abridged,
// see key.hpp), the value.

namespace hornbeam::runtime {

/// A value as it lies in the map; refers to it.
struct lmdb_record {
  /// Raises `decode_error`.
  static lmdb_record parse(std::string_view bytes);

  bool used = false;        ///< since the hand of eviction came by
  std::int64_t expires = 0; ///< milliseconds since 1970; 0: never
  std::string_view key;     ///< in wire form; empty if it is not abridged
  bool is_integer = false;
  std::string_view content;

  term value() const;
  /// The key of the entry whose key the file has as `where`.
  term key_at(std::string_view where) const;
  bool expired(std::int64_t now) const noexcept {
    return expires != 0 && expires <= now;
  }
};

/// A value to be written; refers to the term that it was made of.
class lmdb_new_record {
public:
  /// `key` is null unless it is abridged; `used` says that it was there.
  lmdb_new_record(const term* key, const term& value, std::int64_t expires,
                  bool used);

  std::size_t size() const noexcept { return head_.size() + tail_.size(); }
  void copy_to(void* p) const noexcept;

private:
  std::array<char, 10> small_;
  std::string large_;
  std::string_view head_;
  std::string_view tail_;
};

/// The position of the byte with the mark `used`, and the mark.
inline constexpr std::uint8_t lmdb_used_mark = 1;

/// Milliseconds since 1970: files may outlive the machine's start.
std::int64_t wall_clock_ms() noexcept;

} // namespace hornbeam::runtime
