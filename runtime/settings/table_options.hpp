#pragma once

#include <cstdint>
#include <string>

namespace hornbeam::runtime {

/// Where the entries of a table are.
enum class table_engine : std::uint8_t {
  memory, ///< in this process
  lmdb,   ///< in a file that all processes of the host share
};

/// ETS's types.
enum class table_kind : std::uint8_t {
  set,           ///< one value a key; keys are compared exactly
  ordered_set,   ///< in key order; 1 and 1.0 are one key
  bag,           ///< several values a key, each once
  duplicate_bag, ///< several values a key
};

/// What processes other than the owner may do.
enum class table_access : std::uint8_t {
  open,     ///< all, ETS's `public`; the only one for a table without owner
  readable, ///< read: ETS's `protected`
  closed,   ///< nothing: ETS's `private`
};

/// When what was written to an lmdb table survives.
enum class table_durability : std::uint8_t {
  process, ///< the end of any process; not that of the machine
  always,  ///< a power cut too: an operation returns when it is on the disk
};

/// What a table is made with; two declarations of one table must be equal.
struct table_options {
  table_engine engine = table_engine::memory;
  table_kind kind = table_kind::set;
  table_access access = table_access::open;
  /// More entries than this, or more bytes of keys and values, and what was
  /// used least recently goes. 0: no bound.
  std::uint64_t max_entries = 0;
  std::uint64_t max_bytes = 0;
  /// How long an entry lives that is set without a time of its own, in
  /// milliseconds. 0: for ever.
  std::int64_t ttl_ms = 0;
  /// The node (`name@host`) where the entries are; empty: each node has a
  /// table of this name of its own.
  std::string home;

  // -- lmdb only -------------------------------------------------------------

  /// The file; empty: one of that name in the user's runtime directory.
  std::string path;
  table_durability durable = table_durability::process;
  /// The most that the file may hold, in bytes. 0: what the engine has as its
  /// default.
  std::uint64_t map_bytes = 0;

  bool operator==(const table_options&) const = default;
};

/// What two declarations of one table disagree in, as
/// `ttl_ms (0 and 500), engine (memory and lmdb)`; empty if in nothing.
std::string differences(const table_options& a, const table_options& b);

const char* name_of(table_engine x) noexcept;
const char* name_of(table_kind x) noexcept;
const char* name_of(table_access x) noexcept; ///< ETS's: `public`, ...
const char* name_of(table_durability x) noexcept;

} // namespace hornbeam::runtime
