#pragma once

#include <atomic>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
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

/// One start of a node: its name and the random number of this start. There
/// is one object for each, which lives as long as the program: pids and
/// references by the million refer to it without counting.
class origin {
public:
  /// The one with this name and number, made when first asked for. Never
  /// waits: a forked child may call it whatever its parent was doing.
  static const origin* of(std::string_view name, std::uint64_t start);
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
      static_cast<void>(x.release()); // it is never freed
  }

  const std::uint64_t incarnation;

private:
  origin(std::string_view name, std::uint64_t start)
    : incarnation(start), first_name_(name) {}

  const std::string first_name_;
  const origin* next_ = nullptr; ///< of those known
  mutable std::atomic<const std::string*> renamed_{nullptr};
};
using origin_ptr = const origin*;

class process;
void intrusive_ptr_add_ref(process* x) noexcept;
void intrusive_ptr_release(process* x) noexcept;
using process_ptr = boost::intrusive_ptr<process>;

/// A process identifier, unique over all starts of all nodes.
struct pid {
  origin_ptr node = nullptr;
  std::uint64_t serial = 0;
  /// The process itself where the pid was made: sending needs no look-up.
  process_ptr local = {};
};

/// A unique mark made by `make_ref`. An alias names its process as well.
struct reference {
  origin_ptr node = nullptr;
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

/// What the hashes of this process depend on: whoever sends keys can't choose
/// them so that they collide.
struct hash_seed {
  std::uint64_t a;
  std::uint64_t b;
};
extern const hash_seed process_seed;

/// An immutable value that is cheap to copy: what is stored, sent and used
/// as a key. Equality is exact: `1`, `1.0` and `true` are three values.
///
/// Two words: the first holds the kind and where the value is. Numbers and
/// texts of up to 14 bytes are in the term itself; all else is an object with
/// a count of the terms that share it, its text or items right behind the
/// count.
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

  term() noexcept : head_(0) { value_.i = 0; }
  term(const term& other) noexcept : head_(other.head_), value_(other.value_) {
    if (on_heap())
      share();
  }
  term(term&& other) noexcept : head_(other.head_), value_(other.value_) {
    other.head_ = 0;
  }
  term& operator=(term other) noexcept {
    std::swap(head_, other.head_);
    std::swap(value_, other.value_);
    return *this;
  }
  ~term() {
    if (on_heap())
      release();
  }

  explicit term(bool x) noexcept : head_(head(kind::boolean)) { value_.i = x; }
  explicit term(std::int64_t x) noexcept : head_(head(kind::integer)) {
    value_.i = x;
  }
  explicit term(int x) noexcept : term(static_cast<std::int64_t>(x)) {}
  explicit term(std::uint64_t x);
  explicit term(double x) noexcept : head_(head(kind::floating)) {
    value_.d = x;
  }
  /// Takes the 64-bit form if `x` fits, so that equal integers are equal.
  explicit term(big_integer x);
  explicit term(pid x);
  explicit term(reference x);
  explicit term(array x);

  /// Texts and sequences of 4 Gi bytes or items are refused with `bad_term`.
  static term atom(std::string_view text) { return {kind::atom, text}; }
  /// An atom that lives as long as the program, since copies of it are not
  /// counted: only for constants, each call may make one for ever.
  static term constant(std::string_view text);
  static term string(std::string_view utf8) { return {kind::string, utf8}; }
  static term bytes(std::string_view data) { return {kind::bytes, data}; }
  static term list(sequence xs);
  static term tuple(sequence xs);
  /// A tuple of these terms, without a vector on the way.
  template <class... Ts>
  static term tuple_of(Ts&&... xs) {
    auto* p = make_object(sizeof...(Ts) * sizeof(term), sizeof...(Ts));
    auto* at = reinterpret_cast<term*>(p + 1);
    (new (at++) term(std::forward<Ts>(xs)), ...);
    return {kind::tuple, p};
  }
  /// Keeps the order of `xs`; of equal keys the last value wins.
  static term map(entries xs);
  static term set(sequence xs);
  static term extension(std::string tag, term value);

  kind type() const noexcept { return static_cast<kind>(head_ & 0xff); }
  bool is(kind k) const noexcept { return type() == k; }
  bool is_none() const noexcept { return is(kind::none); }
  bool is_atom(std::string_view text) const noexcept {
    return is(kind::atom) && text_view() == text;
  }
  bool is_any_integer() const noexcept {
    return is(kind::integer) || is(kind::big_integer);
  }

  /// The accessors below throw `bad_term` if the kind is another. What they
  /// refer to lives as long as this very term: texts may be in it.
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_double() const;
  big_integer as_big() const;          ///< of both integer kinds
  std::string_view text() const;       ///< of atom, string and bytes
  std::span<const term> items() const; ///< of list, tuple and set
  sequence to_sequence() const;        ///< a copy of the items
  /// Item `i`, counted from 0; `bad_term` if there are not so many.
  const term& at(std::size_t i) const;
  const entries& pairs() const;
  const runtime::pid& as_pid() const;
  const runtime::reference& as_reference() const;
  const runtime::array& as_array() const;
  const std::string& tag() const;
  const term& inner() const; ///< of extension

  /// The value of `key` in a map, or null.
  const term* find(const term& key) const;

  std::size_t hash() const noexcept {
    if (on_heap() || is(kind::floating))
      return hash_of_object();
    return mix(head_, word());
  }
  /// Levels of nesting: 1 for a value without items.
  int depth() const noexcept;

  friend bool operator==(const term& a, const term& b) noexcept {
    if (a.head_ != b.head_) // of texts in the term their size as well
      return false;
    return a.word() == b.word()
           || ((a.on_heap() || a.is(kind::floating)) && same_object(a, b));
  }
  /// The total order of terms, see docs/terms.md.
  friend std::strong_ordering operator<=>(const term& a,
                                          const term& b) noexcept;

  /// The shared part of a value; what it consists of comes behind it.
  struct alignas(8) object {
    std::atomic<std::uint32_t> refs{1};
    std::uint32_t size = 0; ///< bytes of a text, items of a sequence
  };

private:
  static_assert(std::endian::native == std::endian::little,
                "texts begin in the third byte of `head_`");
  static constexpr std::size_t inline_text = 14;
  /// In the second byte of `head_`, where texts in the term have their size.
  static constexpr std::uint64_t heap = 0xff;
  /// From this count on nobody counts: threads that copy such a term don't
  /// fight for it.
  static constexpr std::uint32_t immortal = 1u << 31;

  static constexpr std::uint64_t head(kind k,
                                      std::uint64_t where = 0) noexcept {
    return static_cast<std::uint64_t>(k) | where << 8;
  }
  static std::size_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    return fold(a ^ process_seed.a, b ^ process_seed.b);
  }
  static std::size_t hash_of_bytes(std::size_t h, std::string_view x) noexcept;
  static std::size_t fold(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    auto x = static_cast<wide>(a) * b;
    return static_cast<std::size_t>(x) ^ static_cast<std::size_t>(x >> 64);
  }
  static object* make_object(std::size_t bytes, std::size_t size);
  static bool same_object(const term& a, const term& b) noexcept;

  term(kind k, object* p) noexcept : head_(head(k, heap)) { value_.p = p; }
  term(kind k, std::string_view text);
  static term sequence_term(kind k, sequence xs);

  bool on_heap() const noexcept { return (head_ >> 8 & 0xff) == heap; }
  std::uint64_t word() const noexcept {
    return std::bit_cast<std::uint64_t>(value_);
  }
  void share() const noexcept {
    if (value_.p->refs.load(std::memory_order_relaxed) < immortal)
      value_.p->refs.fetch_add(1, std::memory_order_relaxed);
  }
  void release() noexcept {
    auto& refs = value_.p->refs;
    auto n = refs.load(std::memory_order_acquire);
    // The only share needs no atomic step: nobody else can copy it.
    if (n == 1
        || (n < immortal && refs.fetch_sub(1, std::memory_order_acq_rel) == 1))
      destroy();
  }
  void destroy() noexcept;
  std::size_t hash_of_object() const noexcept;
  std::string_view text_view() const noexcept {
    if (on_heap())
      return {reinterpret_cast<const char*>(value_.p + 1), value_.p->size};
    return {reinterpret_cast<const char*>(this) + 2, head_ >> 8 & 0xff};
  }
  std::span<const term> item_view() const noexcept {
    return {reinterpret_cast<const term*>(value_.p + 1), value_.p->size};
  }

  std::uint64_t head_;
  union {
    std::int64_t i;
    double d;
    object* p;
  } value_;
};
static_assert(sizeof(term) == 16);

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
