#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hornbeam::runtime {

/// A B+ tree of LMDB, as a commit leaves it.
struct lmdb_tree {
  std::uint16_t flags = 0;
  std::uint16_t depth = 0;
  std::uint64_t entries = 0;
  std::uint64_t root = 0;
};

/// A commit, as one of the first two pages of a file has it.
struct lmdb_commit {
  std::uint64_t page_size = 0;
  std::uint64_t last_page = 0;
  std::uint64_t transaction = 0;
  lmdb_tree free_list;
  lmdb_tree main;
};

/// What was found in a table file.
struct lmdb_findings {
  bool is_table = false; ///< it has our header
  std::uint64_t pages = 0;
  std::uint64_t entries = 0;
  std::uint64_t damages = 0;
  std::vector<std::string> examples; ///< the first of them
  /// Of the entries, those that no page in order leads to any more: some of
  /// them may be of before, or have been removed.
  std::uint64_t doubtful = 0;

  /// The first damage and how many there are; empty if there is none.
  std::string summary() const;
};

/// Reads a table file without LMDB, which trusts each page that it meets, so
/// that a damaged one can end the process. Here nothing is believed: each page
/// is one of its tree, in its place and used once; its nodes fill it without a
/// gap and are in order; and what is listed as free is in no tree.
///
/// LMDB has no checksums: bytes that change inside of a value are found only
/// where they make it unreadable.
///
/// The file must not be written meanwhile, or only behind a commit that a
/// reader of LMDB holds.
class lmdb_file_reader {
public:
  /// A key and a value as the file has them; valid during the call.
  using each_entry = std::function<void(std::string_view, std::string_view)>;

  /// Raises `failed` if it can't be opened.
  explicit lmdb_file_reader(std::string path);
  ~lmdb_file_reader();
  lmdb_file_reader(const lmdb_file_reader&) = delete;
  lmdb_file_reader& operator=(const lmdb_file_reader&) = delete;

  std::uint64_t file_bytes() const noexcept { return file_bytes_; }
  /// Neither of the first two pages is one of LMDB's.
  bool foreign() const noexcept { return foreign_; }
  /// Both are, but of a version that is not known here.
  bool other_version() const noexcept { return other_version_; }
  /// What is wrong with the first two pages; empty if nothing is.
  const std::string& bad_start() const noexcept { return bad_start_; }
  /// The file is shorter than its last commit says, which is damage unless the
  /// pages that are missing are free.
  bool too_short() const noexcept;
  /// The last commit, or the one that is left of the two.
  const std::optional<lmdb_commit>& last() const noexcept { return last_; }
  /// The one of that number, if it is one of the two.
  std::optional<lmdb_commit> commit(std::uint64_t transaction) const;

  /// Looks at all that belongs to the commit and calls `f` with each entry of
  /// the table that is where it should be.
  lmdb_findings check(const lmdb_commit& of, const each_entry& f = {}) const;
  /// The same, and calls `f` also with what is left where the way to it is
  /// damaged, of each key once. Without a commit that is all there is.
  lmdb_findings salvage(std::optional<lmdb_commit> of,
                        const each_entry& f) const;

  /// All of `size` bytes; false if the file ends before, or fails.
  bool read(std::uint64_t from, char* to, std::size_t size) const noexcept;

private:
  const std::string path_;
  int descriptor_ = -1;
  std::uint64_t file_bytes_ = 0;
  bool foreign_ = false;
  bool other_version_ = false;
  std::string bad_start_;
  std::optional<lmdb_commit> last_;
  std::optional<lmdb_commit> other_;
};

} // namespace hornbeam::runtime
