#include "runtime/table_lmdb/file_reader.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/call/outcome.hpp"
#include "runtime/table_lmdb/environment.hpp"
#include "runtime/table_lmdb/key.hpp"
#include "runtime/table_lmdb/record.hpp"

namespace hornbeam::runtime {

namespace {

// -- how LMDB 0.9 lays out its file ------------------------------------------
//
// Each page begins with its number (8 bytes), 2 bytes that are not used, its
// flags (2), and where its free room begins and ends (2 each) or, of the first
// page of a large value, how many pages it has (4). Numbers are as the machine
// has them.
//
// A page of a tree then has the places of its nodes (2 bytes each) in the order
// of their keys, and at its end the nodes. A node is the size of its value (4),
// flags (2), the size of its key (2), the key, the value. Of a page with
// branches, the first six bytes are the number of a page instead, below which
// all keys are from this one on.

constexpr std::size_t page_header = 16;
constexpr std::size_t node_header = 8;
constexpr std::size_t tree_bytes = 48;
constexpr std::size_t commit_end = 152;
constexpr std::size_t most_depth = 32;
constexpr std::size_t longest_key = 511;
constexpr std::uint64_t no_page = ~std::uint64_t{0};

constexpr std::uint32_t magic = 0xBEEFC0DE;
constexpr std::uint32_t data_version = 1;
static_assert(MDB_VERSION_MAJOR == 0 && MDB_VERSION_MINOR == 9,
              "another LMDB has another layout");

constexpr std::uint16_t branch_page = 1;
constexpr std::uint16_t leaf_page = 2;
constexpr std::uint16_t large_page = 4;
constexpr std::uint16_t commit_page = 8;

constexpr std::uint16_t large_node = 1; ///< its value is the number of a page
constexpr std::uint16_t tree_node = 2;  ///< its value is a tree

constexpr std::uint16_t integer_keys = 8;  ///< of the list of free pages
constexpr std::uint16_t one_file = 0x4000; ///< an option that is kept there

constexpr std::string_view expiry_name = "\1expiry";

template <class T>
T load(const char* from, std::size_t offset) noexcept {
  T out{};
  std::memcpy(&out, from + offset, sizeof out);
  return out;
}

lmdb_tree load_tree(const char* from) noexcept {
  lmdb_tree out;
  out.flags = load<std::uint16_t>(from, 4);
  out.depth = load<std::uint16_t>(from, 6);
  out.entries = load<std::uint64_t>(from, 32);
  out.root = load<std::uint64_t>(from, 40);
  return out;
}

bool sound(const lmdb_tree& x, std::uint64_t last_page) noexcept {
  return x.root == no_page ? x.depth == 0 && x.entries == 0
                           : x.depth > 0 && x.depth <= most_depth && x.root >= 2
                               && x.root <= last_page;
}

/// The commit in a page's first bytes; null, and why not.
std::optional<lmdb_commit> load_commit(const char* page, std::uint64_t number,
                                       std::string& why) {
  lmdb_commit out;
  out.page_size = load<std::uint32_t>(page, 40);
  out.free_list = load_tree(page + 40);
  out.main = load_tree(page + 40 + tree_bytes);
  out.last_page = load<std::uint64_t>(page, 136);
  out.transaction = load<std::uint64_t>(page, 144);
  auto flags = out.free_list.flags & ~one_file;
  why = load<std::uint64_t>(page, 0) != number          ? "has another number"
        : load<std::uint16_t>(page, 10) != commit_page  ? "has other flags"
        : load<std::uint32_t>(page, 16) != magic        ? "is not LMDB's"
        : load<std::uint32_t>(page, 20) != data_version ? "is of another "
                                                          "version of LMDB"
        : !std::has_single_bit(out.page_size) || out.page_size < 512
            || out.page_size > 65536
          ? "has an impossible size of pages"
        : out.last_page < 1 || out.last_page >= no_page / out.page_size
          ? "has an impossible last page"
        : flags != integer_keys || out.main.flags != 0 ? "has unknown options"
        : !sound(out.free_list, out.last_page)
            || !sound(out.main, out.last_page)
          ? "leads nowhere"
          : "";
  return why.empty() ? std::optional{out} : std::nullopt;
}

/// A page of a tree.
struct page_view {
  const char* bytes;

  std::size_t count() const noexcept {
    return (load<std::uint16_t>(bytes, 12) - page_header) / 2;
  }
  const char* node(std::size_t i) const noexcept {
    return bytes + load<std::uint16_t>(bytes, page_header + 2 * i);
  }
  std::uint16_t flags(std::size_t i) const noexcept {
    return load<std::uint16_t>(node(i), 4);
  }
  std::string_view key(std::size_t i) const noexcept {
    return {node(i) + node_header, load<std::uint16_t>(node(i), 6)};
  }
  std::uint64_t size(std::size_t i) const noexcept {
    return load<std::uint32_t>(node(i), 0);
  }
  /// Behind the key.
  const char* value(std::size_t i) const noexcept {
    return key(i).data() + key(i).size();
  }
  std::uint64_t child(std::size_t i) const noexcept {
    return size(i) | std::uint64_t{flags(i)} << 32;
  }
};

/// Keys from `low` on, below `high` if there is one.
struct key_range {
  std::string_view low;
  std::optional<std::string_view> high;
};
struct lost_range {
  explicit lost_range(const key_range& x) : low(x.low) {
    if (x.high)
      high.emplace(*x.high);
  }
  bool contains(std::string_view key) const {
    return key >= low && (!high || key < *high);
  }
  std::string low;
  std::optional<std::string> high;
};

// -- the walk ----------------------------------------------------------------

enum class tree_kind : std::uint8_t { main, expiry, free_list };

class walker {
public:
  using each_entry = lmdb_file_reader::each_entry;

  walker(const lmdb_file_reader& file, const lmdb_commit& of,
         const each_entry& f, bool lenient)
    : file_(file),
      of_(of),
      f_(f),
      lenient_(lenient),
      used_(std::min(of.last_page, file.file_bytes() / of.page_size) + 2),
      size_at_(of.page_size / 2) {
    used_[0] = used_[1] = true;
  }

  lmdb_findings take() { return std::move(found_); }
  void damage(std::string what) {
    constexpr std::size_t most_examples = 20;
    if (found_.damages++ < most_examples)
      found_.examples.push_back(std::move(what));
  }
  void walk_all();
  /// What is left of the entries that were below a damaged page.
  void walk_orphans();
  void lose_all() { lost_.emplace_back(key_range{}); }

private:
  /// A page on the way from the root to where the walk is.
  struct step {
    std::vector<char> bytes;
    std::uint64_t number = 0;
    std::size_t next = 0;
    key_range keys;
    page_view page() const noexcept { return {bytes.data()}; }
  };

  void walk(const lmdb_tree& tree, tree_kind kind);
  bool enter(step& at, std::uint64_t number, const key_range& keys, bool leaf);
  void leave_out(const step& at);
  const char* flaw_of(const char* page, std::uint64_t number, bool leaf);
  const char* flaw_of_nodes(const page_view& page, bool leaf);
  bool less(std::string_view a, std::string_view b) const noexcept;
  const char* flaw_of_keys(const page_view& page, const key_range& keys,
                           bool leaf) const noexcept;
  void look_at(const step& at);
  void look_at_entry(const page_view& page, std::size_t i,
                     std::uint64_t number);
  void look_at_free(std::string_view key, std::string_view list,
                    std::uint64_t number);
  bool claim(std::uint64_t number);
  const char* read_value(const page_view& page, std::size_t i, bool whole,
                         std::string_view& out);
  bool deliver(std::string_view key, std::string_view value);
  void rescue(const page_view& page);
  std::string at(std::uint64_t number, const char* what) const {
    return "page " + std::to_string(number) + " " + what;
  }

  const lmdb_file_reader& file_;
  const lmdb_commit& of_;
  const each_entry& f_;
  const bool lenient_;
  std::vector<bool> used_;              ///< pages that were met
  std::set<std::uint64_t> used_behind_; ///< the same, behind the file's end
  std::vector<std::uint16_t> size_at_; ///< of nodes, by their place; else zeros
  std::vector<step> steps_;
  std::string large_; ///< the value of several pages that was read last
  tree_kind kind_ = tree_kind::main;
  std::uint64_t entries_ = 0; ///< of this tree
  std::optional<lmdb_tree> expiry_;
  lmdb_findings found_;
  std::vector<lost_range> lost_;
  std::optional<std::set<std::string>> rescued_;
};

bool walker::claim(std::uint64_t number) {
  if (number < 2 || number > of_.last_page)
    return false;
  if (number >= used_.size())
    return used_behind_.insert(number).second;
  if (used_[number])
    return false;
  used_[number] = true;
  return true;
}

bool walker::less(std::string_view a, std::string_view b) const noexcept {
  if (kind_ != tree_kind::free_list)
    return a < b;
  return load<std::uint64_t>(a.data(), 0) < load<std::uint64_t>(b.data(), 0);
}

/// The nodes must lie one behind the other from where the free room ends to the
/// end of the page: LMDB moves all that is below a node which it removes.
const char* walker::flaw_of_nodes(const page_view& page, bool leaf) {
  constexpr auto nodes = "has nodes that overlap or leave gaps";
  auto end = of_.page_size;
  auto upper = load<std::uint16_t>(page.bytes, 14);
  auto n = page.count();
  const char* flaw = nullptr;
  for (std::size_t i = 0; i < n && flaw == nullptr; ++i) {
    std::size_t place = load<std::uint16_t>(page.bytes, page_header + 2 * i);
    if (place % 2 != 0 || place < upper || place + node_header > end) {
      flaw = nodes;
      break;
    }
    auto key = page.key(i).size();
    std::uint64_t size = node_header + key;
    if (leaf)
      size += page.flags(i) == large_node ? sizeof(std::uint64_t)
                                          : page.size(i);
    size += size % 2;
    auto longest = kind_ == tree_kind::free_list ? sizeof(std::uint64_t)
                                                 : longest_key;
    bool first_branch = !leaf && i == 0; // whose key counts for nothing
    if (place + size > end || size_at_[place / 2] != 0)
      flaw = nodes;
    else if (key > longest
             || (!first_branch
                 && (key == 0
                     || (kind_ == tree_kind::free_list && key != longest))))
      flaw = "has a key of an impossible length";
    else
      size_at_[place / 2] = static_cast<std::uint16_t>(size);
  }
  std::size_t seen = 0;
  if (flaw == nullptr) {
    std::size_t place = upper;
    while (place < end && size_at_[place / 2] != 0) {
      place += std::exchange(size_at_[place / 2], 0);
      ++seen;
    }
    if (place == end && seen == n)
      return nullptr;
    flaw = nodes;
  }
  std::fill(size_at_.begin(), size_at_.end(), 0);
  return flaw;
}

const char* walker::flaw_of_keys(const page_view& page, const key_range& keys,
                                 bool leaf) const noexcept {
  constexpr auto order = "has keys out of order";
  std::size_t first = leaf ? 0 : 1;
  auto n = page.count();
  if (n <= first)
    return nullptr;
  auto last = page.key(first);
  if (!keys.low.empty() && less(last, keys.low))
    return order;
  for (std::size_t i = first + 1; i < n; ++i) {
    auto key = page.key(i);
    if (!less(last, key))
      return order;
    last = key;
  }
  return keys.high && !less(last, *keys.high) ? order : nullptr;
}

const char* walker::flaw_of(const char* page, std::uint64_t number, bool leaf) {
  auto lower = load<std::uint16_t>(page, 12);
  auto upper = load<std::uint16_t>(page, 14);
  if (load<std::uint64_t>(page, 0) != number)
    return "has another number";
  if (load<std::uint16_t>(page, 10) != (leaf ? leaf_page : branch_page))
    return "is of another kind";
  if (lower < page_header || lower % 2 != 0 || lower > upper
      || upper > of_.page_size)
    return "has an impossible beginning";
  page_view x{page};
  // LMDB leaves a single branch only in its list of free pages.
  std::size_t least = leaf || kind_ == tree_kind::free_list ? 1 : 2;
  if (x.count() < least)
    return "has too few nodes";
  return flaw_of_nodes(x, leaf);
}

bool walker::enter(step& at, std::uint64_t number, const key_range& keys,
                   bool leaf) {
  at.bytes.resize(of_.page_size);
  at.number = number;
  at.next = 0;
  at.keys = keys;
  const char* flaw = nullptr;
  bool there = false;
  if (!claim(number))
    flaw = number > of_.last_page || number < 2 ? "is none of this file"
                                                : "is used twice";
  else if (!file_.read(number * of_.page_size, at.bytes.data(),
                       at.bytes.size()))
    flaw = "can't be read, or lies behind the file's end";
  else {
    there = true;
    flaw = flaw_of(at.bytes.data(), number, leaf);
    if (flaw == nullptr)
      flaw = flaw_of_keys(at.page(), keys, leaf);
  }
  if (flaw == nullptr) {
    ++found_.pages;
    return true;
  }
  damage(this->at(number, flaw));
  if (kind_ == tree_kind::main && lenient_) {
    lost_.emplace_back(keys);
    if (there && leaf)
      leave_out(at);
  }
  return false;
}

/// Takes from a damaged page what can be read of it.
void walker::leave_out(const step& at) {
  if (load<std::uint64_t>(at.bytes.data(), 0) == at.number
      && load<std::uint16_t>(at.bytes.data(), 10) == leaf_page)
    rescue(at.page());
}

void walker::walk(const lmdb_tree& tree, tree_kind kind) {
  kind_ = kind;
  entries_ = 0;
  auto before = found_.damages;
  if (!sound(tree, of_.last_page)) {
    damage("a tree leads nowhere");
    if (kind == tree_kind::main)
      lose_all();
    return;
  }
  if (tree.root == no_page)
    return;
  steps_.resize(std::max<std::size_t>(steps_.size(), tree.depth));
  std::size_t depth = 0;
  bool inside = enter(steps_[0], tree.root, {}, tree.depth == 1);
  while (inside) {
    auto& at = steps_[depth];
    auto page = at.page();
    bool leaf = depth + 1 == tree.depth;
    if (leaf)
      look_at(at);
    if (leaf || at.next == page.count()) {
      inside = depth > 0;
      depth -= inside ? 1 : 0;
      continue;
    }
    auto i = at.next++;
    key_range keys = at.keys;
    if (i > 0)
      keys.low = page.key(i);
    if (i + 1 < page.count())
      keys.high = page.key(i + 1);
    if (enter(steps_[depth + 1], page.child(i), keys, depth + 2 == tree.depth))
      ++depth;
  }
  if (before == found_.damages && entries_ != tree.entries)
    damage("a tree has " + std::to_string(entries_) + " entries, not "
           + std::to_string(tree.entries));
}

void walker::look_at(const step& at) {
  auto page = at.page();
  auto n = page.count();
  entries_ += n;
  for (std::size_t i = 0; i < n; ++i) {
    auto flags = page.flags(i);
    if (kind_ == tree_kind::main) {
      look_at_entry(page, i, at.number);
      continue;
    }
    if (kind_ == tree_kind::expiry) {
      if (flags != 0 || page.size(i) != 0
          || page.key(i).size() <= sizeof(std::int64_t))
        damage(this->at(at.number, "is none of the order of expiry"));
      continue;
    }
    std::string_view list;
    if (auto* flaw = flags > large_node ? "has a node of an unknown kind"
                                        : read_value(page, i, true, list))
      damage(this->at(at.number, flaw));
    else
      look_at_free(page.key(i), list, at.number);
  }
}

void walker::look_at_entry(const page_view& page, std::size_t i,
                           std::uint64_t number) {
  auto key = page.key(i);
  auto flags = page.flags(i);
  if (key == expiry_name && flags == tree_node && page.size(i) == tree_bytes) {
    expiry_ = load_tree(page.value(i));
    if (expiry_->flags != 0)
      damage(at(number, "has an order of expiry of an unknown kind"));
    return;
  }
  std::string_view value;
  auto* flaw = flags > large_node ? "has a node of an unknown kind"
                                  : read_value(page, i, bool{f_}, value);
  if (flaw != nullptr)
    return damage(at(number, flaw));
  if (key == lmdb_header_key) {
    found_.is_table = true;
    return;
  }
  if (f_) {
    if (!deliver(key, value) && !lenient_)
      damage(at(number, "has an entry that can't be read"));
    return;
  }
  ++found_.entries;
  if (key < lmdb_first_key)
    return damage(at(number, "has an entry that is none of a table"));
  if (flags == large_node)
    return; // of which only the pages were looked at
  try {
    lmdb_record::parse(value);
  } catch (const std::exception&) {
    damage(at(number, "has a value that can't be read"));
  }
}

/// Each list has its length, and pages in descending order.
void walker::look_at_free(std::string_view key, std::string_view list,
                          std::uint64_t number) {
  constexpr auto word = sizeof(std::uint64_t);
  if (load<std::uint64_t>(key.data(), 0) > of_.transaction)
    return damage(at(number, "lists free pages of a later commit"));
  if (list.size() < word
      || load<std::uint64_t>(list.data(), 0) > list.size() / word - 1)
    return damage(at(number, "has a list of free pages that ends too early"));
  auto n = load<std::uint64_t>(list.data(), 0);
  auto before = no_page;
  for (std::uint64_t i = 1; i <= n; ++i) {
    auto page = load<std::uint64_t>(list.data(), i * word);
    if (page >= before || !claim(page))
      return damage(at(number, "lists pages as free that are not"));
    before = page;
  }
}

/// The bytes of a value; of one of several pages only if it is wanted whole.
/// Null, or what is wrong.
const char* walker::read_value(const page_view& page, std::size_t i, bool whole,
                               std::string_view& out) {
  auto size = page.size(i);
  if (page.flags(i) != large_node) {
    out = {page.value(i), size};
    return nullptr;
  }
  constexpr auto bad = "has a large value whose pages are damaged";
  auto first = load<std::uint64_t>(page.value(i), 0);
  std::array<char, page_header> header{};
  auto from = first * of_.page_size;
  if (first < 2 || first > of_.last_page
      || !file_.read(from, header.data(), header.size())
      || load<std::uint64_t>(header.data(), 0) != first
      || load<std::uint16_t>(header.data(), 10) != large_page)
    return bad;
  std::uint64_t n = load<std::uint32_t>(header.data(), 12);
  if (n > of_.last_page - first + 1 || n * of_.page_size < page_header + size
      || from + n * of_.page_size > file_.file_bytes())
    return bad;
  for (auto k = first; k < first + n; ++k)
    if (!claim(k))
      return bad;
  found_.pages += n;
  if (!whole)
    return nullptr;
  large_.resize(size);
  if (!file_.read(from + page_header, large_.data(), size))
    return bad;
  out = large_;
  return nullptr;
}

/// False if it is no entry that can be read.
bool walker::deliver(std::string_view key, std::string_view value) {
  try {
    auto record = lmdb_record::parse(value);
    record.key_at(key);
    record.value();
  } catch (const std::exception&) {
    return false;
  }
  ++found_.entries;
  f_(key, value);
  return true;
}

// -- what no page leads to ---------------------------------------------------

/// Entries of a page that may be damaged: each node by itself.
void walker::rescue(const page_view& page) {
  auto lower = load<std::uint16_t>(page.bytes, 12);
  if (lower < page_header || lower > of_.page_size)
    return;
  if (!rescued_)
    rescued_.emplace();
  for (std::size_t i = 0; i < page.count(); ++i) {
    std::size_t place = load<std::uint16_t>(page.bytes, page_header + 2 * i);
    if (place < lower || place + node_header > of_.page_size)
      continue;
    auto key = page.key(i);
    auto flags = page.flags(i);
    auto size = flags == large_node ? sizeof(std::uint64_t) : page.size(i);
    if (flags > large_node || key.size() > longest_key
        || place + node_header + key.size() + size > of_.page_size
        || key < lmdb_first_key || rescued_->contains(std::string{key})
        || std::none_of(lost_.begin(), lost_.end(),
                        [&](auto& x) { return x.contains(key); }))
      continue;
    std::string_view value;
    if (read_value(page, i, true, value) == nullptr && deliver(key, value)) {
      rescued_->emplace(key);
      ++found_.doubtful;
    }
  }
}

void walker::walk_orphans() {
  if (lost_.empty())
    return;
  kind_ = tree_kind::main;
  std::vector<char> bytes(of_.page_size);
  auto last = std::min(of_.last_page, file_.file_bytes() / of_.page_size);
  for (std::uint64_t i = 2; i <= last; ++i)
    if (!used_[i] && file_.read(i * of_.page_size, bytes.data(), bytes.size())
        && flaw_of(bytes.data(), i, true) == nullptr) {
      used_[i] = true;
      ++found_.pages;
      rescue({bytes.data()});
    }
}

void walker::walk_all() {
  walk(of_.main, tree_kind::main);
  if (expiry_)
    walk(*expiry_, tree_kind::expiry);
  walk(of_.free_list, tree_kind::free_list);
}

} // namespace

// -- the file ----------------------------------------------------------------

std::string lmdb_findings::summary() const {
  if (damages == 0)
    return {};
  auto out = examples.front();
  if (damages > 1)
    out += " (and " + std::to_string(damages - 1) + " more)";
  return out;
}

lmdb_file_reader::lmdb_file_reader(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info {};
  std::string why;
  if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0)
    why = std::strerror(errno);
  else if (!S_ISREG(info.st_mode))
    why = "it is no file";
  if (!why.empty()) {
    if (descriptor_ >= 0)
      ::close(descriptor_);
    throw failed{error_code::not_found,
                 "can't read the table file " + path_ + ": " + why};
  }
  file_bytes_ = static_cast<std::uint64_t>(info.st_size);
  std::array<char, commit_end> page{};
  std::string flaws[2];
  std::optional<lmdb_commit> commits[2];
  auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  bool lmdb = false;
  int others = 0;
  for (unsigned i = 0; i < 2; ++i) {
    if (!read(i * size, page.data(), page.size())) {
      flaws[i] = "can't be read";
      continue;
    }
    if (load<std::uint32_t>(page.data(), 16) == magic) {
      lmdb = true;
      others += load<std::uint32_t>(page.data(), 20) != data_version ? 1 : 0;
    }
    commits[i] = load_commit(page.data(), i, flaws[i]);
    if (commits[i])
      size = commits[i]->page_size;
  }
  foreign_ = !lmdb;
  other_version_ = others == 2;
  for (unsigned i = 0; i < 2; ++i)
    if (!commits[i] && bad_start_.empty())
      bad_start_ = "page " + std::to_string(i) + " " + flaws[i];
  if (commits[0] && commits[1]
      && commits[0]->page_size != commits[1]->page_size)
    bad_start_ = "pages 0 and 1 have different sizes of pages";
  bool second = commits[1]
                && (!commits[0]
                    || commits[0]->transaction < commits[1]->transaction);
  last_ = commits[second ? 1 : 0];
  other_ = commits[second ? 0 : 1];
}

lmdb_file_reader::~lmdb_file_reader() {
  ::close(descriptor_);
}

bool lmdb_file_reader::read(std::uint64_t from, char* to,
                            std::size_t size) const noexcept {
  while (size > 0) {
    auto n = ::pread(descriptor_, to, size, static_cast<off_t>(from));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    from += static_cast<std::uint64_t>(n);
    to += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool lmdb_file_reader::too_short() const noexcept {
  return last_ && file_bytes_ / last_->page_size <= last_->last_page;
}

std::optional<lmdb_commit> lmdb_file_reader::commit(
  std::uint64_t transaction) const {
  for (auto* x : {&last_, &other_})
    if (*x && (*x)->transaction == transaction)
      return *x;
  return std::nullopt;
}

lmdb_findings lmdb_file_reader::check(const lmdb_commit& of,
                                      const each_entry& f) const {
  walker w{*this, of, f, false};
  if (!bad_start_.empty())
    w.damage(bad_start_);
  w.walk_all();
  return w.take();
}

lmdb_findings lmdb_file_reader::salvage(std::optional<lmdb_commit> of,
                                        const each_entry& f) const {
  bool any = of.has_value();
  if (!any) {
    of.emplace();
    of->page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    of->last_page = std::max<std::uint64_t>(file_bytes_ / of->page_size, 2) - 1;
  }
  walker w{*this, *of, f, true};
  if (!bad_start_.empty())
    w.damage(bad_start_);
  if (any)
    w.walk_all();
  else
    w.lose_all();
  w.walk_orphans();
  return w.take();
}

} // namespace hornbeam::runtime
