#include "runtime/table_lmdb/key.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>

#include "runtime/table/sha256.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

using kind = term::kind;

// The first byte of each kind, in the order of docs/terms.md. 0 ends a list.
constexpr unsigned char tag_none = 0x10;
constexpr unsigned char tag_false = 0x14;
constexpr unsigned char tag_true = 0x15;
constexpr unsigned char tag_minus_infinity = 0x20;
constexpr unsigned char tag_negative = 0x21;
constexpr unsigned char tag_positive = 0x22;
constexpr unsigned char tag_infinity = 0x23;
constexpr unsigned char tag_nan = 0x24;
constexpr unsigned char tag_atom = 0x30;
constexpr unsigned char tag_reference = 0x38;
constexpr unsigned char tag_pid = 0x40;
constexpr unsigned char tag_tuple = 0x48;
constexpr unsigned char tag_map = 0x50;
constexpr unsigned char tag_set = 0x58;
constexpr unsigned char tag_list = 0x60;
constexpr unsigned char tag_string = 0x68;
constexpr unsigned char tag_bytes = 0x70;
constexpr unsigned char tag_array = 0x78;
constexpr unsigned char tag_extension = 0x80;

// What follows the whole part of a number. A float that equals an integer
// comes after it, -0.0 before 0.0; of a negative number, more fraction is less.
constexpr unsigned char mark_integer = 0x02;
constexpr unsigned char mark_minus_zero = 0x03;
constexpr unsigned char mark_float = 0x04;
constexpr unsigned char mark_fraction_above = 0x05;
constexpr unsigned char mark_fraction_below = 0x01;

constexpr unsigned char long_number = 0xff; // then its length in four bytes

class encoder {
public:
  explicit encoder(std::string& out) : out_(out) {}

  /// `inside` of another term, text needs an end.
  void put(const term& x, bool inside);

private:
  void byte(unsigned char x) { out_.push_back(static_cast<char>(x)); }
  template <class T>
  void fixed(T x) {
    for (int shift = 8 * sizeof x - 8; shift >= 0; shift -= 8)
      byte(static_cast<unsigned char>(x >> shift));
  }
  void text(unsigned char tag, std::string_view x, bool inside) {
    byte(tag);
    if (inside)
      ended(x);
    else
      out_.append(x);
  }
  /// 0 ends it and is followed by a tag or another 0; inside it is `0 0xff`.
  void ended(std::string_view x) {
    for (char c : x) {
      out_ += c;
      if (c == 0)
        byte(0xff);
    }
    byte(0);
  }
  /// The whole part, without its sign: first its length, so that more digits
  /// are more.
  void magnitude(const unsigned char* digits, std::size_t n, bool negative) {
    unsigned char flip = negative ? 0xff : 0;
    byte(negative ? tag_negative : tag_positive);
    if (n < long_number) {
      byte(static_cast<unsigned char>(n) ^ flip);
    } else {
      byte(long_number ^ flip);
      fixed(static_cast<std::uint32_t>(n) ^ (negative ? ~0u : 0u));
    }
    for (std::size_t i = 0; i < n; ++i)
      byte(digits[i] ^ flip);
  }
  void magnitude(std::uint64_t x, bool negative) {
    unsigned char digits[8];
    auto n = static_cast<std::size_t>(8 - std::countl_zero(x) / 8);
    for (std::size_t i = 0; i < n; ++i)
      digits[i] = static_cast<unsigned char>(x >> (8 * (n - 1 - i)));
    magnitude(digits, n, negative);
  }
  void magnitude(const big_integer& x, bool negative) {
    std::vector<unsigned char> digits;
    if (x != 0)
      export_bits(x, std::back_inserter(digits), 8);
    magnitude(digits.data(), digits.size(), negative);
  }
  void floating(double x);
  void origin(origin_ptr x) {
    ended(x->name());
    fixed(x->incarnation);
  }
  void count(std::size_t n) { fixed(static_cast<std::uint32_t>(n)); }

  std::string& out_;
};

void encoder::floating(double x) {
  if (std::isnan(x))
    return byte(tag_nan);
  if (std::isinf(x))
    return byte(x < 0 ? tag_minus_infinity : tag_infinity);
  bool negative = x < 0;
  auto whole = std::trunc(std::fabs(x));
  auto fraction = std::fabs(x) - whole; // exact
  if (whole < 18446744073709551616.0)
    magnitude(static_cast<std::uint64_t>(whole), negative);
  else
    magnitude(big_integer{whole}, negative);
  if (fraction == 0)
    return byte(x == 0 && std::signbit(x) ? mark_minus_zero : mark_float);
  byte(negative ? mark_fraction_below : mark_fraction_above);
  auto bits = std::bit_cast<std::uint64_t>(fraction);
  fixed(negative ? ~bits : bits);
}

template <class Items>
auto sorted(const Items& xs) {
  std::vector<const typename Items::value_type*> out;
  out.reserve(xs.size());
  for (auto& x : xs)
    out.push_back(&x);
  std::sort(out.begin(), out.end(), [](auto* a, auto* b) { return *a < *b; });
  return out;
}

void encoder::put(const term& x, bool inside) {
  switch (x.type()) {
    case kind::none:
      return byte(tag_none);
    case kind::boolean:
      return byte(x.as_bool() ? tag_true : tag_false);
    case kind::integer: {
      auto i = x.as_int();
      auto size = static_cast<std::uint64_t>(i);
      magnitude(i < 0 ? 0 - size : size, i < 0);
      return byte(mark_integer);
    }
    case kind::big_integer: {
      auto i = x.as_big();
      bool negative = i < 0;
      magnitude(big_integer{abs(i)}, negative);
      return byte(mark_integer);
    }
    case kind::floating:
      return floating(x.as_double());
    case kind::atom:
      return text(tag_atom, x.text(), inside);
    case kind::string:
      return text(tag_string, x.text(), inside);
    case kind::bytes:
      return text(tag_bytes, x.text(), inside);
    case kind::reference:
      byte(tag_reference);
      origin(x.as_reference().node);
      fixed(x.as_reference().serial);
      return fixed(x.as_reference().owner);
    case kind::pid:
      byte(tag_pid);
      origin(x.as_pid().node);
      return fixed(x.as_pid().serial);
    case kind::tuple:
      byte(tag_tuple);
      count(x.items().size());
      for (auto& y : x.items())
        put(y, true);
      return;
    case kind::list:
      byte(tag_list);
      for (auto& y : x.items())
        put(y, true);
      return byte(0);
    case kind::set:
      byte(tag_set);
      count(x.items().size());
      for (auto* y : sorted(x.items()))
        put(*y, true);
      return;
    case kind::map:
      byte(tag_map);
      count(x.pairs().size());
      for (auto* y : sorted(x.pairs())) {
        put(y->first, true);
        put(y->second, true);
      }
      return;
    case kind::array: {
      auto& a = x.as_array();
      byte(tag_array);
      ended(a.dtype);
      for (auto n : a.shape) {
        byte(1);
        fixed(n);
      }
      byte(0);
      return ended(a.data);
    }
    case kind::extension:
      byte(tag_extension);
      ended(x.tag());
      return put(x.inner(), true);
  }
}

class decoder {
public:
  explicit decoder(std::string_view in) : in_(in) {}

  term get(bool inside);
  bool done() const { return at_ == in_.size(); }

private:
  unsigned char byte() {
    if (done())
      throw decode_error("a key ends too early");
    return static_cast<unsigned char>(in_[at_++]);
  }
  template <class T>
  T fixed() {
    T x = 0;
    for (std::size_t i = 0; i < sizeof x; ++i)
      x = static_cast<T>(x << 8 | byte());
    return x;
  }
  std::string ended() {
    std::string out;
    for (;;) {
      auto c = byte();
      if (c == 0) {
        if (done() || static_cast<unsigned char>(in_[at_]) != 0xff)
          return out;
        ++at_;
      }
      out.push_back(static_cast<char>(c));
    }
  }
  std::string text(bool inside) {
    if (inside)
      return ended();
    std::string out{in_.substr(at_)};
    at_ = in_.size();
    return out;
  }
  term number(bool negative);
  origin_ptr origin() {
    auto name = ended();
    return runtime::origin::of(name, fixed<std::uint64_t>());
  }
  term::sequence items(std::size_t n) {
    term::sequence out;
    for (std::size_t i = 0; i < n; ++i)
      out.push_back(get(true));
    return out;
  }

  std::string_view in_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

term decoder::number(bool negative) {
  unsigned char flip = negative ? 0xff : 0;
  std::size_t n = byte() ^ flip;
  if (n == long_number)
    n = fixed<std::uint32_t>() ^ (negative ? ~0u : 0u);
  if (n > in_.size() - at_)
    throw decode_error("a number in a key ends too early");
  std::vector<unsigned char> digits(n);
  for (auto& d : digits)
    d = byte() ^ flip;
  big_integer whole;
  if (n != 0)
    import_bits(whole, digits.begin(), digits.end(), 8);
  auto sign = [&](double x) { return negative ? -x : x; };
  switch (byte()) {
    case mark_integer:
      return term{big_integer{negative ? -whole : whole}};
    case mark_minus_zero:
      return term{-0.0};
    case mark_float:
      return term{sign(static_cast<double>(whole))};
    case mark_fraction_above:
    case mark_fraction_below: {
      auto bits = fixed<std::uint64_t>();
      auto fraction = std::bit_cast<double>(negative ? ~bits : bits);
      return term{sign(static_cast<double>(whole) + fraction)};
    }
    default:
      throw decode_error("an unknown kind of number in a key");
  }
}

term decoder::get(bool inside) {
  if (++depth_ > max_depth)
    throw decode_error("a key that nests too deeply");
  struct leave {
    int& depth;
    ~leave() { --depth; }
  } guard{depth_};
  switch (byte()) {
    case tag_none:
      return term{};
    case tag_false:
      return term{false};
    case tag_true:
      return term{true};
    case tag_minus_infinity:
      return term{-HUGE_VAL};
    case tag_negative:
      return number(true);
    case tag_positive:
      return number(false);
    case tag_infinity:
      return term{HUGE_VAL};
    case tag_nan:
      return term{std::nan("")};
    case tag_atom:
      return term::atom(text(inside));
    case tag_string:
      return term::string(text(inside));
    case tag_bytes:
      return term::bytes(text(inside));
    case tag_reference: {
      reference x;
      x.node = origin();
      x.serial = fixed<std::uint64_t>();
      x.owner = fixed<std::uint64_t>();
      return term{std::move(x)};
    }
    case tag_pid: {
      pid x;
      x.node = origin();
      x.serial = fixed<std::uint64_t>();
      return term{std::move(x)};
    }
    case tag_tuple:
      return term::tuple(items(fixed<std::uint32_t>()));
    case tag_set:
      return term::set(items(fixed<std::uint32_t>()));
    case tag_list: {
      term::sequence out;
      while (!done() && in_[at_] != 0)
        out.push_back(get(true));
      byte();
      return term::list(std::move(out));
    }
    case tag_map: {
      term::entries out;
      for (auto n = fixed<std::uint32_t>(); n > 0; --n) {
        auto key = get(true);
        out.emplace_back(std::move(key), get(true));
      }
      return term::map(std::move(out));
    }
    case tag_array: {
      array x;
      x.dtype = ended();
      while (byte() == 1)
        x.shape.push_back(fixed<std::uint64_t>());
      x.data = ended();
      return term{std::move(x)};
    }
    case tag_extension: {
      auto tag = ended();
      return term::extension(std::move(tag), get(true));
    }
    default:
      throw decode_error("an unknown kind of key");
  }
}

} // namespace

lmdb_key::lmdb_key(const term& x) {
  if (x.is(kind::string) && x.text().size() < max_whole) {
    auto text = x.text(); // by far the most frequent
    bytes_[0] = static_cast<char>(tag_string);
    std::memcpy(bytes_.data() + 1, text.data(), text.size());
    size_ = text.size() + 1;
    return;
  }
  auto encoded = encode_ordered(x);
  size_ = std::min(encoded.size(), max_bytes);
  if (encoded.size() > max_whole)
    abridge(encoded);
  else
    std::memcpy(bytes_.data(), encoded.data(), size_);
}

void lmdb_key::abridge(std::string_view encoded) {
  std::memcpy(bytes_.data(), encoded.data(), kept);
  auto hash = sha256(encoded);
  static_assert(max_bytes - kept <= sizeof hash);
  std::memcpy(bytes_.data() + kept, hash.data(), max_bytes - kept);
  size_ = max_bytes;
}

std::string encode_ordered(const term& x) {
  std::string out;
  encoder{out}.put(x, false);
  return out;
}

term decode_ordered(std::string_view bytes) {
  decoder in{bytes};
  auto out = in.get(false);
  if (!in.done())
    throw decode_error("bytes behind the end of a key");
  return out;
}

std::string string_range(std::string_view prefix) {
  std::string out{static_cast<char>(tag_string)};
  // Of longer keys no more than this is in order.
  return out.append(prefix.substr(0, lmdb_key::kept - 1));
}

} // namespace hornbeam::runtime
