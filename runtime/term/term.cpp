#include "runtime/term/term.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <unordered_map>

#include <sys/random.h>

namespace hornbeam::runtime {

namespace {

using kind = term::kind;

struct big_object : term::object {
  explicit big_object(big_integer x) : value(std::move(x)) {}
  big_integer value;
};

struct map_object : term::object {
  explicit map_object(term::entries xs) : pairs(std::move(xs)) {}
  term::entries pairs;
};

struct pid_object : term::object {
  explicit pid_object(pid x) : value(std::move(x)) {}
  pid value;
};

struct reference_object : term::object {
  explicit reference_object(reference x) : value(std::move(x)) {}
  reference value;
};

struct array_object : term::object {
  explicit array_object(array x) : value(std::move(x)) {}
  array value;
};

struct extension_object : term::object {
  extension_object(std::string t, term x)
    : tag(std::move(t)), value(std::move(x)) {}
  std::string tag;
  term value;
};

template <class T>
const T& as(const term::object* p) noexcept {
  return static_cast<const T&>(*p);
}

[[noreturn]] void wrong_kind(const char* wanted, kind got) {
  throw bad_term(std::string{"expected "} + wanted + ", got " + kind_name(got));
}

hash_seed new_seed() noexcept {
  hash_seed out{};
  // Without it, as in a very early boot, hashes are only hard to foresee.
  if (::getrandom(&out, sizeof out, GRND_NONBLOCK) != sizeof out) {
    auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    out = {static_cast<std::uint64_t>(now),
           reinterpret_cast<std::uintptr_t>(&out)};
  }
  return out;
}

std::uint64_t load(const char* from, std::size_t n) noexcept {
  std::uint64_t out = 0;
  std::memcpy(&out, from, n);
  return out;
}

/// Below this size a linear search beats a hash index.
constexpr std::size_t small_map = 8;

/// Removes the earlier ones of equal keys, keeping each key's first place.
template <class Items, class KeyOf>
void keep_last(Items& xs, KeyOf key_of) {
  auto out = xs.begin();
  if (xs.size() <= small_map) {
    for (auto i = xs.begin(); i != xs.end(); ++i) {
      auto same = std::find_if(xs.begin(), out, [&](const auto& x) {
        return key_of(x) == key_of(*i);
      });
      if (same != out)
        *same = std::move(*i);
      else if (out++ != i)
        *std::prev(out) = std::move(*i);
    }
  } else {
    std::unordered_map<term, std::size_t, term_hash> seen;
    seen.reserve(xs.size());
    for (auto i = xs.begin(); i != xs.end(); ++i) {
      auto [at, fresh]
        = seen.emplace(key_of(*i), static_cast<std::size_t>(out - xs.begin()));
      if (!fresh)
        xs[at->second] = std::move(*i);
      else if (out++ != i)
        *std::prev(out) = std::move(*i);
    }
  }
  xs.erase(out, xs.end());
}

/// Integers of both kinds and floats by value; a float equal to an integer
/// comes after it. NaN comes after all numbers.
std::strong_ordering compare_numbers(const term& a, const term& b) {
  auto by_kind = [&] { return a.type() <=> b.type(); };
  auto doubles = [](double x, double y) {
    if (std::isnan(x) || std::isnan(y))
      return static_cast<int>(std::isnan(x))
             <=> static_cast<int>(std::isnan(y));
    if (x != y)
      return x < y ? std::strong_ordering::less : std::strong_ordering::greater;
    // 0.0 and -0.0 are two keys.
    return static_cast<int>(std::signbit(y))
           <=> static_cast<int>(std::signbit(x));
  };
  bool fa = a.is(kind::floating);
  bool fb = b.is(kind::floating);
  if (fa && fb)
    return doubles(a.as_double(), b.as_double());
  if (!fa && !fb) {
    if (a.is(kind::integer) && b.is(kind::integer))
      return a.as_int() <=> b.as_int();
    auto c = a.as_big().compare(b.as_big());
    return c <=> 0;
  }
  auto integer_with_double = [](const term& i, double d) {
    if (std::isnan(d) || d == std::numeric_limits<double>::infinity())
      return -1;
    if (std::isinf(d))
      return 1;
    auto c = i.as_big().compare(big_integer{std::trunc(d)});
    if (c != 0)
      return c < 0 ? -1 : 1;
    auto rest = d - std::trunc(d);
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
  };
  int c = fa ? -integer_with_double(b, a.as_double())
             : integer_with_double(a, b.as_double());
  return c != 0 ? c <=> 0 : by_kind();
}

int rank(kind k) noexcept {
  switch (k) {
    case kind::big_integer:
    case kind::floating:
      return static_cast<int>(kind::integer);
    default:
      return static_cast<int>(k);
  }
}

std::strong_ordering compare_origins(origin_ptr a, origin_ptr b) noexcept {
  if (a == b)
    return std::strong_ordering::equal;
  if (auto c = a->name().compare(b->name()); c != 0)
    return c <=> 0;
  return a->incarnation <=> b->incarnation;
}

std::strong_ordering compare_sequences(std::span<const term> a,
                                       std::span<const term> b) noexcept {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    if (auto c = a[i] <=> b[i]; c != 0)
      return c;
  return a.size() <=> b.size();
}

template <class Items>
std::vector<const typename Items::value_type*> sorted(const Items& xs) {
  std::vector<const typename Items::value_type*> out;
  out.reserve(xs.size());
  for (auto& x : xs)
    out.push_back(&x);
  std::sort(out.begin(), out.end(), [](auto* l, auto* r) { return *l < *r; });
  return out;
}

/// Maps and sets: by size, then item by item in key order.
template <class Items>
std::strong_ordering compare_unordered(const Items& a, const Items& b) {
  if (a.size() != b.size())
    return a.size() <=> b.size();
  auto l = sorted(a);
  auto r = sorted(b);
  for (std::size_t i = 0; i < l.size(); ++i)
    if (auto c = *l[i] <=> *r[i]; c != 0)
      return c;
  return std::strong_ordering::equal;
}

template <class Items, class KeyOf, class Same>
bool equal_unordered(const Items& a, const Items& b, KeyOf key_of, Same same) {
  if (a.size() != b.size())
    return false;
  if (a.size() <= small_map)
    return std::all_of(a.begin(), a.end(), [&](const auto& x) {
      return std::any_of(b.begin(), b.end(),
                         [&](const auto& y) { return same(x, y); });
    });
  std::unordered_map<term, const typename Items::value_type*, term_hash> index;
  index.reserve(b.size());
  for (auto& y : b)
    index.emplace(key_of(y), &y);
  return std::all_of(a.begin(), a.end(), [&](const auto& x) {
    auto i = index.find(key_of(x));
    return i != index.end() && same(x, *i->second);
  });
}

const term& first_of(const std::pair<term, term>& x) noexcept {
  return x.first;
}
const term& itself(const term& x) noexcept {
  return x;
}

} // namespace

const origin* origin::of(std::string_view name, std::uint64_t start) {
  // Lists that only grow, from their front.
  static std::array<std::atomic<const origin*>, 256> known;
  auto& first = known[start % known.size()];
  auto* head = first.load(std::memory_order_acquire);
  std::unique_ptr<origin> fresh;
  const origin* seen = nullptr;
  for (;;) {
    for (auto* x = head; x != seen; x = x->next_)
      // Pids that Python has from before it was renamed have the first name.
      if (x->incarnation == start
          && (x->name() == name || x->first_name_ == name))
        return x;
    seen = head;
    if (!fresh)
      fresh.reset(new origin{name, start});
    fresh->next_ = head;
    if (first.compare_exchange_weak(head, fresh.get(),
                                    std::memory_order_acq_rel,
                                    std::memory_order_acquire))
      return fresh.release();
  }
}

term::term(std::uint64_t x) : term(big_integer{x}) {}

term::term(big_integer x) {
  if (x >= std::numeric_limits<std::int64_t>::min()
      && x <= std::numeric_limits<std::int64_t>::max()) {
    head_ = head(kind::integer);
    value_.i = static_cast<std::int64_t>(x);
  } else {
    head_ = head(kind::big_integer, heap);
    value_.p = new big_object(std::move(x));
  }
}

term::term(runtime::pid x) : term(kind::pid, new pid_object(std::move(x))) {}

term::term(runtime::reference x)
  : term(kind::reference, new reference_object(std::move(x))) {}

term::term(runtime::array x)
  : term(kind::array, new array_object(std::move(x))) {}

term::object* term::make_object(std::size_t bytes, std::size_t size) {
  if (size > std::numeric_limits<std::uint32_t>::max())
    throw bad_term("a value with " + std::to_string(size)
                   + " bytes or items: the limit is 4 Gi; an array has none");
  auto* p = new (::operator new(sizeof(object) + bytes)) object;
  p->size = static_cast<std::uint32_t>(size);
  return p;
}

namespace {

/// Up to 16 bytes as two words. To copy them through memory would be to wait
/// until single bytes that were stored can be loaded as a word.
std::pair<std::uint64_t, std::uint64_t> words_of(std::string_view x) {
  static_assert(std::endian::native == std::endian::little);
  auto load = [&]<class T>(T, std::size_t at) {
    T out;
    std::memcpy(&out, x.data() + at, sizeof out);
    return std::uint64_t{out};
  };
  auto n = x.size();
  auto bits = [](std::size_t bytes) { return 8 * bytes; };
  if (n > 8)
    return {load(std::uint64_t{}, 0),
            load(std::uint64_t{}, n - 8) >> bits(16 - n)};
  if (n >= 4)
    return {load(std::uint32_t{}, 0)
              | load(std::uint32_t{}, n - 4) << bits(n - 4),
            0};
  if (n == 0)
    return {0, 0};
  return {load(std::uint8_t{}, 0) | load(std::uint8_t{}, n / 2) << bits(n / 2)
            | load(std::uint8_t{}, n - 1) << bits(n - 1),
          0};
}

} // namespace

term::term(kind k, std::string_view text) {
  if (text.size() <= inline_text) {
    // Behind the two bytes of the head.
    auto [low, high] = words_of(text);
    head_ = head(k, text.size()) | low << 16;
    auto rest = low >> 48 | high << 16;
    std::memcpy(&value_, &rest, sizeof value_);
  } else {
    head_ = head(k, heap);
    value_.p = make_object(text.size(), text.size());
    std::memcpy(static_cast<void*>(value_.p + 1), text.data(), text.size());
  }
}

term term::constant(std::string_view text) {
  auto x = atom(text);
  if (x.on_heap())
    x.value_.p->refs.store(immortal, std::memory_order_relaxed);
  return x;
}

term term::sequence_term(kind k, sequence xs) {
  auto* p = make_object(xs.size() * sizeof(term), xs.size());
  std::uninitialized_move(xs.begin(), xs.end(), reinterpret_cast<term*>(p + 1));
  return {k, p};
}

term term::list(sequence xs) {
  return sequence_term(kind::list, std::move(xs));
}

term term::tuple(sequence xs) {
  return sequence_term(kind::tuple, std::move(xs));
}

term term::map(entries xs) {
  keep_last(xs, first_of);
  return {kind::map, new map_object(std::move(xs))};
}

term term::set(sequence xs) {
  keep_last(xs, itself);
  return sequence_term(kind::set, std::move(xs));
}

term term::extension(std::string tag, term value) {
  return {kind::extension,
          new extension_object(std::move(tag), std::move(value))};
}

void term::destroy() noexcept {
  auto* p = value_.p;
  switch (type()) {
    case kind::atom:
    case kind::string:
    case kind::bytes:
      ::operator delete(p);
      break;
    case kind::list:
    case kind::tuple:
    case kind::set:
      std::destroy_n(reinterpret_cast<term*>(p + 1), p->size);
      ::operator delete(p);
      break;
    case kind::big_integer:
      delete static_cast<big_object*>(p);
      break;
    case kind::map:
      delete static_cast<map_object*>(p);
      break;
    case kind::pid:
      delete static_cast<pid_object*>(p);
      break;
    case kind::reference:
      delete static_cast<reference_object*>(p);
      break;
    case kind::array:
      delete static_cast<array_object*>(p);
      break;
    case kind::extension:
      delete static_cast<extension_object*>(p);
      break;
    default:
      break;
  }
}

bool term::as_bool() const {
  if (type() != kind::boolean)
    wrong_kind("a boolean", type());
  return value_.i != 0;
}

std::int64_t term::as_int() const {
  if (type() != kind::integer)
    wrong_kind("a 64-bit integer", type());
  return value_.i;
}

double term::as_double() const {
  if (type() != kind::floating)
    wrong_kind("a float", type());
  return value_.d;
}

big_integer term::as_big() const {
  if (type() == kind::integer)
    return big_integer{value_.i};
  if (type() != kind::big_integer)
    wrong_kind("an integer", type());
  return as<big_object>(value_.p).value;
}

std::string_view term::text() const {
  auto k = type();
  if (k != kind::atom && k != kind::string && k != kind::bytes)
    wrong_kind("an atom, a string or bytes", k);
  return text_view();
}

std::span<const term> term::items() const {
  auto k = type();
  if (k != kind::list && k != kind::tuple && k != kind::set)
    wrong_kind("a list, a tuple or a set", k);
  return item_view();
}

term::sequence term::to_sequence() const {
  auto xs = items();
  return {xs.begin(), xs.end()};
}

const term& term::at(std::size_t i) const {
  auto xs = items();
  if (i >= xs.size())
    throw bad_term("item " + std::to_string(i + 1) + " of "
                   + std::to_string(xs.size()) + " in " + to_string(*this));
  return xs[i];
}

const term::entries& term::pairs() const {
  if (type() != kind::map)
    wrong_kind("a map", type());
  return as<map_object>(value_.p).pairs;
}

const pid& term::as_pid() const {
  if (type() != kind::pid)
    wrong_kind("a pid", type());
  return as<pid_object>(value_.p).value;
}

const reference& term::as_reference() const {
  if (type() != kind::reference)
    wrong_kind("a reference", type());
  return as<reference_object>(value_.p).value;
}

const array& term::as_array() const {
  if (type() != kind::array)
    wrong_kind("an array", type());
  return as<array_object>(value_.p).value;
}

const std::string& term::tag() const {
  if (type() != kind::extension)
    wrong_kind("an extension", type());
  return as<extension_object>(value_.p).tag;
}

const term& term::inner() const {
  if (type() != kind::extension)
    wrong_kind("an extension", type());
  return as<extension_object>(value_.p).value;
}

const term* term::find(const term& key) const {
  for (auto& [k, v] : pairs())
    if (k == key)
      return &v;
  return nullptr;
}

// Before all terms that are constants.
[[gnu::init_priority(101)]] const hash_seed process_seed = new_seed();

std::size_t term::hash_of_bytes(std::size_t h, std::string_view x) noexcept {
  auto* p = x.data();
  auto n = x.size();
  h ^= n;
  for (; n > 16; p += 16, n -= 16)
    h = fold(h ^ process_seed.a ^ load(p, 8), process_seed.b ^ load(p + 8, 8));
  // What is left is read in two parts, which may overlap.
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (n >= 8) {
    first = load(p, 8);
    last = load(p + n - 8, 8);
  } else if (n >= 4) {
    first = load(p, 4);
    last = load(p + n - 4, 4);
  } else if (n > 0) {
    first = load(p, 1) | load(p + n / 2, 1) << 8;
    last = load(p + n - 1, 1);
  }
  return fold(h ^ process_seed.a ^ first, process_seed.b ^ last);
}

std::size_t term::hash_of_object() const noexcept {
  auto h = static_cast<std::size_t>(type()) + 1;
  switch (type()) {
    case kind::floating:
      // All NaNs are one key.
      return mix(h, std::isnan(value_.d)
                      ? 0x7ff8
                      : std::bit_cast<std::uint64_t>(value_.d));
    case kind::big_integer: {
      auto& b = as<big_object>(value_.p).value.backend();
      for (unsigned i = 0; i < b.size(); ++i)
        h = mix(h, static_cast<std::size_t>(b.limbs()[i]));
      return mix(h, b.sign());
    }
    case kind::atom:
    case kind::string:
    case kind::bytes:
      return hash_of_bytes(h, text_view());
    case kind::list:
    case kind::tuple:
      for (auto& x : item_view())
        h = mix(h, x.hash());
      return mix(h, item_view().size());
    case kind::set: // order must not matter
      for (auto& x : item_view())
        h += mix(0, x.hash());
      return h;
    case kind::map:
      for (auto& [k, v] : as<map_object>(value_.p).pairs)
        h += mix(k.hash(), v.hash());
      return h;
    case kind::pid:
      return mix(h, as<pid_object>(value_.p).value.serial);
    case kind::reference:
      return mix(h, as<reference_object>(value_.p).value.serial);
    case kind::array:
      return hash_of_bytes(h, as<array_object>(value_.p).value.data);
    case kind::extension: {
      auto& x = as<extension_object>(value_.p);
      return mix(hash_of_bytes(h, x.tag), x.value.hash());
    }
    default: // in the term
      break;
  }
  return h;
}

int term::depth() const noexcept {
  int below = 0;
  auto look = [&](const term& x) { below = std::max(below, x.depth()); };
  switch (type()) {
    case kind::list:
    case kind::tuple:
    case kind::set:
      for (auto& x : item_view())
        look(x);
      break;
    case kind::map:
      for (auto& [k, v] : as<map_object>(value_.p).pairs) {
        look(k);
        look(v);
      }
      break;
    case kind::extension:
      look(as<extension_object>(value_.p).value);
      break;
    default:
      break;
  }
  return below + 1;
}

bool term::same_object(const term& a, const term& b) noexcept {
  switch (a.type()) {
    case kind::set:
      return equal_unordered(a.items(), b.items(), itself,
                             std::equal_to<term>{});
    case kind::map:
      return equal_unordered(
        a.pairs(), b.pairs(), first_of, [](const auto& x, const auto& y) {
          return x.first == y.first && x.second == y.second;
        });
    case kind::atom:
    case kind::string:
    case kind::bytes:
      return a.text_view() == b.text_view();
    case kind::list:
    case kind::tuple:
      return std::ranges::equal(a.item_view(), b.item_view());
    case kind::floating: // all NaNs are one value
      return std::isnan(a.value_.d) && std::isnan(b.value_.d);
    default:
      return (a <=> b) == 0;
  }
}

std::strong_ordering operator<=>(const term& a, const term& b) noexcept {
  if (auto c = rank(a.type()) <=> rank(b.type()); c != 0)
    return c;
  switch (a.type()) {
    case kind::none:
      return std::strong_ordering::equal;
    case kind::boolean:
      return a.value_.i <=> b.value_.i;
    case kind::integer:
    case kind::big_integer:
    case kind::floating:
      return compare_numbers(a, b);
    case kind::atom:
    case kind::string:
    case kind::bytes:
      return a.text_view().compare(b.text_view()) <=> 0;
    case kind::list:
      return compare_sequences(a.items(), b.items());
    case kind::tuple: // by size first, as Erlang has it
      if (a.items().size() != b.items().size())
        return a.items().size() <=> b.items().size();
      return compare_sequences(a.items(), b.items());
    case kind::set:
      return compare_unordered(a.items(), b.items());
    case kind::map:
      return compare_unordered(a.pairs(), b.pairs());
    case kind::pid: {
      auto& x = a.as_pid();
      auto& y = b.as_pid();
      auto c = compare_origins(x.node, y.node);
      return c != 0 ? c : x.serial <=> y.serial;
    }
    case kind::reference: {
      auto& x = a.as_reference();
      auto& y = b.as_reference();
      auto c = compare_origins(x.node, y.node);
      return c != 0 ? c : x.serial <=> y.serial;
    }
    case kind::array: {
      auto& x = a.as_array();
      auto& y = b.as_array();
      if (auto c = x.dtype.compare(y.dtype); c != 0)
        return c <=> 0;
      if (auto c = x.shape <=> y.shape; c != 0)
        return c;
      return x.data.compare(y.data) <=> 0;
    }
    case kind::extension: {
      if (auto c = a.tag().compare(b.tag()); c != 0)
        return c <=> 0;
      return a.inner() <=> b.inner();
    }
  }
  return std::strong_ordering::equal;
}

const char* kind_name(kind k) noexcept {
  switch (k) {
    case kind::none:
      return "none";
    case kind::boolean:
      return "a boolean";
    case kind::integer:
    case kind::big_integer:
      return "an integer";
    case kind::floating:
      return "a float";
    case kind::atom:
      return "an atom";
    case kind::reference:
      return "a reference";
    case kind::pid:
      return "a pid";
    case kind::tuple:
      return "a tuple";
    case kind::map:
      return "a map";
    case kind::set:
      return "a set";
    case kind::list:
      return "a list";
    case kind::string:
      return "a string";
    case kind::bytes:
      return "bytes";
    case kind::array:
      return "an array";
    case kind::extension:
      return "an extension";
  }
  return "a term";
}

std::string to_string(const pid& x) {
  return "<" + x.node->name() + "." + std::to_string(x.node->incarnation) + "."
         + std::to_string(x.serial) + ">";
}

namespace {

void quote(std::string& out, std::string_view text, char mark) {
  static constexpr char hex[] = "0123456789abcdef";
  out += mark;
  for (char c : text) {
    if (c == mark || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\x";
      out += hex[(c >> 4) & 15];
      out += hex[c & 15];
    } else {
      out += c;
    }
  }
  out += mark;
}

void print(std::string& out, const term& x);

void print_all(std::string& out, std::span<const term> xs, char open,
               char close) {
  out += open;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (i != 0)
      out += ", ";
    print(out, xs[i]);
  }
  out += close;
}

void print(std::string& out, const term& x) {
  switch (x.type()) {
    case kind::none:
      out += "none";
      break;
    case kind::boolean:
      out += x.as_bool() ? "true" : "false";
      break;
    case kind::integer:
      out += std::to_string(x.as_int());
      break;
    case kind::big_integer:
      out += x.as_big().str();
      break;
    case kind::floating: {
      char text[32];
      auto end = std::to_chars(text, text + sizeof text, x.as_double()).ptr;
      std::string_view shown{text, static_cast<std::size_t>(end - text)};
      out += shown;
      if (shown.find_first_not_of("-0123456789") == shown.npos)
        out += ".0"; // or it would read as an integer
      break;
    }
    case kind::atom:
      quote(out, x.text(), '\'');
      break;
    case kind::string:
      quote(out, x.text(), '"');
      break;
    case kind::bytes:
      out += "<<";
      quote(out, x.text(), '"');
      out += ">>";
      break;
    case kind::list:
      print_all(out, x.items(), '[', ']');
      break;
    case kind::tuple:
      print_all(out, x.items(), '{', '}');
      break;
    case kind::set:
      out += "set";
      print_all(out, x.items(), '(', ')');
      break;
    case kind::map: {
      out += "#{";
      bool first = true;
      for (auto& [k, v] : x.pairs()) {
        if (!first)
          out += ", ";
        first = false;
        print(out, k);
        out += " => ";
        print(out, v);
      }
      out += '}';
      break;
    }
    case kind::pid:
      out += to_string(x.as_pid());
      break;
    case kind::reference: {
      auto& r = x.as_reference();
      out += "#Ref<" + r.node->name() + "."
             + std::to_string(r.node->incarnation) + "."
             + std::to_string(r.serial) + ">";
      break;
    }
    case kind::array: {
      auto& a = x.as_array();
      out += "#Array<" + a.dtype + " [";
      for (std::size_t i = 0; i < a.shape.size(); ++i)
        out += (i != 0 ? ", " : "") + std::to_string(a.shape[i]);
      out += "]>";
      break;
    }
    case kind::extension:
      out += '#' + x.tag() + '(';
      print(out, x.inner());
      out += ')';
      break;
  }
}

} // namespace

std::string to_string(const term& x) {
  std::string out;
  print(out, x);
  return out;
}

} // namespace hornbeam::runtime
