#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// A B+ tree of two levels: keys in the total order of terms, each once, as
/// sorted pieces of some hundred keys and the list of the pieces. About 20
/// bytes a key, one or two microseconds for a change among a million. Not safe
/// from several threads.
class ordered_index {
public:
  ordered_index() = default;
  /// Of keys in order, each once.
  explicit ordered_index(std::vector<term> sorted);

  /// False if it is there already.
  bool insert(const term& key);
  bool erase(const term& key);
  std::size_t size() const noexcept { return size_; }

  /// Appends up to `limit` keys to `out`: those from `from` on, or only those
  /// behind it. Null: from the first one. False if there are no more.
  bool collect(const term* from, bool behind, std::size_t limit,
               std::vector<term>& out) const;
  /// The same of string keys, as long as they start with `prefix`.
  bool collect(std::string_view prefix, const term* behind, std::size_t limit,
               std::vector<term>& out) const;

private:
  using piece = std::vector<term>;
  static constexpr std::size_t full = 256;

  struct place {
    std::size_t piece;
    std::size_t item;
  };
  /// The first key that is not less than `key`, or greater if `behind`.
  place lower_bound(const term& key, bool behind = false) const;
  /// Joins a piece that has become small with one beside it.
  void join(std::size_t i);
  template <class Wanted>
  bool collect_at(place at, std::size_t limit, std::vector<term>& out,
                  Wanted wanted) const;

  std::vector<std::unique_ptr<piece>> pieces_; ///< none of them empty
  std::size_t size_ = 0;
};

} // namespace hornbeam::runtime
