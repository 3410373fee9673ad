#pragma once

#include <array>
#include <cstdint>
#include <optional>
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

/// When all pages of an lmdb table's file are looked at before it is used.
enum class table_check : std::uint8_t {
  after_crash, ///< once the machine has started anew, or damage was met
  always,      ///< whenever a process opens it that nobody else uses
  never,
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
  table_check check = table_check::after_crash;

  bool operator==(const table_options&) const = default;
};

/// Which tables have an option.
enum class table_option_use : std::uint8_t {
  any,
  owned, ///< those that belong to a process, so none that is declared in a file
  lmdb,  ///< those of that engine
};

/// An option as all see it who read, send, compare or show it.
template <class T>
struct table_option {
  const char* name;
  T table_options::*member;
  table_option_use use = table_option_use::any;
  std::int64_t least = 0; ///< of a number in a file
  std::int64_t most = INT64_MAX;
};
template <class T, class... More>
table_option(const char*, T table_options::*, More...) -> table_option<T>;

constexpr std::int64_t least_map_bytes = std::int64_t{1} << 20;
constexpr std::int64_t most_map_bytes = std::int64_t{1} << 46;
/// Where none are given. It is a bound, not memory: a file takes what it needs.
constexpr std::uint64_t default_map_bytes = std::uint64_t{4} << 30;

/// Calls `f` with each option. This is the list of them.
template <class F>
void each_table_option(F f) {
  using use = table_option_use;
  using x = table_options;
  f(table_option{"engine", &x::engine});
  f(table_option{"kind", &x::kind});
  f(table_option{"access", &x::access, use::owned});
  f(table_option{"max_entries", &x::max_entries});
  f(table_option{"max_bytes", &x::max_bytes});
  f(table_option{"ttl_ms", &x::ttl_ms});
  f(table_option{"home", &x::home});
  f(table_option{"path", &x::path, use::lmdb});
  f(table_option{"durable", &x::durable, use::lmdb});
  f(table_option{"map_bytes", &x::map_bytes, use::lmdb, least_map_bytes,
                 most_map_bytes});
  f(table_option{"check", &x::check, use::lmdb});
}

/// What two declarations of one table disagree in, as
/// `ttl_ms (0 and 500), engine (memory and lmdb)`; empty if in nothing.
std::string differences(const table_options& a, const table_options& b);

/// Why no table can be made with `x` for all to use: the option, and what is
/// wrong with it; nothing if one can.
struct table_mistake {
  const char* option;
  const char* why;
};
std::optional<table_mistake> mistake_in(const table_options& x);
/// Why there can be no table file at `options.path`, as far as the file system
/// tells by now: a folder that is missing may be made until it is opened.
/// `here`: it is to be this process that opens it.
std::optional<std::string> mistake_in_path(const table_options& x, bool here);
/// The bound of an lmdb table is beyond what its file can hold.
bool never_evicts(const table_options& x) noexcept;
inline constexpr auto must_evict = "must be less than map_bytes, or the file "
                                   "is full before anything is evicted";
inline constexpr auto needs_lmdb = "is for tables with engine = \"lmdb\" only";

const char* name_of(table_engine x) noexcept;
const char* name_of(table_kind x) noexcept;
const char* name_of(table_access x) noexcept; ///< ETS's: `public`, ...
const char* name_of(table_durability x) noexcept;
const char* name_of(table_check x) noexcept;

// All that there are, in the order in which users are told of them.
constexpr auto values_of(table_engine) {
  return std::array{table_engine::memory, table_engine::lmdb};
}
constexpr auto values_of(table_kind) {
  return std::array{table_kind::set, table_kind::ordered_set, table_kind::bag,
                    table_kind::duplicate_bag};
}
constexpr auto values_of(table_access) {
  return std::array{table_access::open, table_access::readable,
                    table_access::closed};
}
constexpr auto values_of(table_durability) {
  return std::array{table_durability::process, table_durability::always};
}
constexpr auto values_of(table_check) {
  return std::array{table_check::after_crash, table_check::always,
                    table_check::never};
}

} // namespace hornbeam::runtime
