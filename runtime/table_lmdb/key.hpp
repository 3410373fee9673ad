#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/term/term.hpp"

// How keys look in an LMDB file. Bytes compare there as the terms do in their
// total order (docs/terms.md), so a walk is in key order and all strings with
// a prefix are one range. LMDB takes keys of up to 511 bytes: of a longer one
// its first bytes are kept and a hash of all, and the key itself is part of
// the value. Among keys that are equal in those first bytes the order is that
// of the hashes.

namespace hornbeam::runtime {

/// A key as the file has it.
class lmdb_key {
public:
  /// The most bytes of a key that is kept as it is. An abridged one is longer,
  /// so that none can be taken for the other.
  static constexpr std::size_t max_whole = 479;
  static constexpr std::size_t max_bytes = 480;
  /// How many bytes of an abridged key are its own, the rest is the hash.
  static constexpr std::size_t kept = max_bytes - 16;

  explicit lmdb_key(const term& x);

  std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }
  /// Whether the value must hold the key as well.
  bool abridged() const noexcept { return size_ > max_whole; }

private:
  void abridge(std::string_view encoded);

  std::array<char, max_bytes> bytes_;
  std::size_t size_;
};

/// All of the bytes, of a key of any length.
std::string encode_ordered(const term& x);

/// The key that was written as `bytes`, which must not be abridged. Raises
/// `decode_error`.
term decode_ordered(std::string_view bytes);

/// With what the keys begin that are strings and begin with `prefix`.
std::string string_range(std::string_view prefix);

/// The least key there can be: what is below in a file is housekeeping.
inline constexpr std::string_view lmdb_first_key = "\x10";

} // namespace hornbeam::runtime
