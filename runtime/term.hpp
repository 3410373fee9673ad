#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/multiprecision/cpp_int.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

namespace hornbeam::runtime {

using big_integer = boost::multiprecision::cpp_int;

/// How deep lists, tuples, maps, sets and extensions may nest. Deeper values
/// are refused when they enter (from Python, from the wire), so that every
/// recursive walk over a term has a bounded stack.
inline constexpr int max_depth = 512;

/// One start of a node: its name and the random number of this start.
class origin {
public:
  origin(std::string name, std::uint64_t start)
    : incarnation(start), first_name_(std::move(name)) {}
  ~origin() { delete renamed_.load(); }
  origin(const origin&) = delete;
  origin& operator=(const origin&) = delete;

  const std::string& name() const noexcept {
    auto* x = renamed_.load(std::memory_order_acquire);
    return x != nullptr ? *x : first_name_;
  }
  /// A node that was started without a name gets one when it first joins
  /// others, at most once; pids made before carry the new name as well.
  void rename(std::string name) const {
    const std::string* none = nullptr;
    auto x = std::make_unique<const std::string>(std::move(name));
    if (renamed_.compare_exchange_strong(none, x.get()))
      x.release();
  }

  const std::uint64_t incarnation;

private:
  const std::string first_name_;
  mutable std::atomic<const std::string*> renamed_{nullptr};
};
using origin_ptr = std::shared_ptr<const origin>;

class process;
void intrusive_ptr_add_ref(process* x) noexcept;
void intrusive_ptr_release(process* x) noexcept;
using process_ptr = boost::intrusive_ptr<process>;

/// A process identifier, unique over all starts of all nodes.
struct pid {
  origin_ptr node;
  std::uint64_t serial = 0;
  /// The process itself where the pid was made: sending needs no look-up.
  process_ptr local = {};
};

/// A unique mark made by `make_ref`. An alias names its process as well.
struct reference {
  origin_ptr node;
  std::uint64_t serial = 0;
  std::uint64_t owner = 0; ///< serial of the process; 0 if it is no alias
  process_ptr local = {};  ///< the process of an alias, as in `pid`
};

/// An array of numbers: NumPy's dtype string, shape and C-ordered bytes.
struct array {
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::string data;
};

/// An immutable value that is cheap to copy: what is stored, sent and used
/// as a key. Equality is exact: `1`, `1.0` and `true` are three values.
class term {
public:
  enum class kind : std::uint8_t {
    none,
    boolean,
    integer,
    big_integer,
    floating,
    atom,
    reference,
    pid,
    tuple,
    map,
    set,
    list,
    string,
    bytes,
    array,
    extension,
  };
  using sequence = std::vector<term>;
  using entries = std::vector<std::pair<term, term>>;

  term() noexcept : kind_(kind::none) { value_.i = 0; }
  term(const term& other) noexcept;
  term(term&& other) noexcept : kind_(other.kind_), value_(other.value_) {
    other.kind_ = kind::none;
  }
  term& operator=(term other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(value_, other.value_);
    return *this;
  }
  ~term() {
    if (counted())
      release();
  }

  explicit term(bool x) noexcept : kind_(kind::boolean) { value_.i = x; }
  explicit term(std::int64_t x) noexcept : kind_(kind::integer) {
    value_.i = x;
  }
  explicit term(int x) noexcept : term(static_cast<std::int64_t>(x)) {}
  explicit term(std::uint64_t x);
  explicit term(double x) noexcept : kind_(kind::floating) { value_.d = x; }
  /// Takes the 64-bit form if `x` fits, so that equal integers are equal.
  explicit term(big_integer x);
  explicit term(pid x);
  explicit term(reference x);
  explicit term(array x);

  static term atom(std::string text);
  /// An atom that lives as long as the program, since copies of it are not
  /// counted: only for constants, each call makes one for ever.
  static term constant(std::string text);
  static term string(std::string utf8);
  static term bytes(std::string data);
  static term list(sequence xs);
  static term tuple(sequence xs);
  /// Keeps the order of `xs`; of equal keys the last value wins.
  static term map(entries xs);
  static term set(sequence xs);
  static term extension(std::string tag, term value);

  kind type() const noexcept { return kind_; }
  bool is(kind k) const noexcept { return kind_ == k; }
  bool is_none() const noexcept { return kind_ == kind::none; }
  bool is_atom(std::string_view text) const noexcept {
    return kind_ == kind::atom && text_view() == text;
  }
  bool is_any_integer() const noexcept {
    return kind_ == kind::integer || kind_ == kind::big_integer;
  }

  /// The accessors below throw `bad_term` if the kind is another.
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_double() const;
  big_integer as_big() const;      ///< of both integer kinds
  const std::string& text() const; ///< of atom, string and bytes
  const sequence& items() const;   ///< of list, tuple and set
  const entries& pairs() const;
  const runtime::pid& as_pid() const;
  const runtime::reference& as_reference() const;
  const runtime::array& as_array() const;
  const std::string& tag() const;
  const term& inner() const; ///< of extension

  /// The value of `key` in a map, or null.
  const term* find(const term& key) const;

  std::size_t hash() const noexcept;
  /// Levels of nesting: 1 for a value without items.
  int depth() const noexcept;

  friend bool operator==(const term& a, const term& b) noexcept;
  /// The total order of terms, see docs/terms.md.
  friend std::strong_ordering operator<=>(const term& a,
                                          const term& b) noexcept;

  struct object;

private:
  term(kind k, object* p) noexcept : kind_(k) { value_.p = p; }
  bool counted() const noexcept {
    return kind_ > kind::integer && kind_ != kind::floating;
  }
  void release() noexcept;
  const std::string& text_view() const noexcept;

  kind kind_;
  union {
    std::int64_t i;
    double d;
    object* p;
  } value_;
};

/// Raised when a term is not of the kind that an operation needs.
struct bad_term : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

const char* kind_name(term::kind k) noexcept;

/// Erlang's way to print: `{'ok', [1, "two"]}`.
std::string to_string(const term& x);
/// `<node.incarnation.serial>`
std::string to_string(const pid& x);

struct term_hash {
  std::size_t operator()(const term& x) const noexcept { return x.hash(); }
};

} // namespace hornbeam::runtime
