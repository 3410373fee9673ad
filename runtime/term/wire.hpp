#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/serialization/serialization.hpp>
#include <boost/serialization/split_free.hpp>

#include "runtime/term/term.hpp"

// The portable form of everything that leaves a process: two classes that
// model Boost.Serialization's Archive concept. Integers are varints (signed
// ones zigzag), floats eight bytes little-endian, text a length and bytes.
// There are no pointers, no tracking and no versions but the one that the
// caller's header carries. The reader checks each length against the bytes
// that are there before it trusts it.

namespace hornbeam::runtime {

/// Raised for bytes that are not what a `wire_writer` wrote.
struct decode_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Levels that operations and their argument lists put around a value.
inline constexpr int message_depth = 16;

class wire_writer {
public:
  using is_saving = std::true_type;
  using is_loading = std::false_type;

  explicit wire_writer(std::string& out) noexcept : out_(out) {}

  template <class T>
  wire_writer& operator&(const T& x) {
    return *this << x;
  }
  template <class T>
  wire_writer& operator<<(const T& x) {
    if constexpr (std::is_same_v<T, bool>)
      out_.push_back(x ? 1 : 0);
    else if constexpr (std::is_enum_v<T>)
      varint(static_cast<std::uint64_t>(x));
    else if constexpr (std::is_floating_point_v<T>)
      fixed(static_cast<double>(x));
    else if constexpr (std::is_unsigned_v<T>)
      varint(x);
    else if constexpr (std::is_integral_v<T>)
      varint((static_cast<std::uint64_t>(x) << 1)
             ^ static_cast<std::uint64_t>(static_cast<std::int64_t>(x) >> 63));
    else
      boost::serialization::serialize_adl(*this, const_cast<T&>(x), 0u);
    return *this;
  }
  wire_writer& operator<<(std::string_view x) {
    varint(x.size());
    save_binary(x.data(), x.size());
    return *this;
  }
  wire_writer& operator<<(const std::string& x) {
    return *this << std::string_view{x};
  }
  template <class T>
  wire_writer& operator<<(const std::vector<T>& xs) {
    return *this << std::span<const T>{xs};
  }
  template <class T>
  wire_writer& operator<<(std::span<const T> xs) {
    varint(xs.size());
    for (auto& x : xs)
      *this << x;
    return *this;
  }
  template <class A, class B>
  wire_writer& operator<<(const std::pair<A, B>& x) {
    return *this << x.first << x.second;
  }
  void save_binary(const void* p, std::size_t n) {
    out_.append(static_cast<const char*>(p), n);
  }

private:
  void varint(std::uint64_t x) {
    char raw[10];
    std::size_t n = 0;
    for (; x >= 0x80; x >>= 7)
      raw[n++] = static_cast<char>(x | 0x80);
    raw[n++] = static_cast<char>(x);
    out_.append(raw, n); // at once: a string ends with a zero each time
  }
  void fixed(double x) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &x, sizeof bits);
    char raw[8];
    for (int i = 0; i < 8; ++i)
      raw[i] = static_cast<char>(bits >> (8 * i));
    out_.append(raw, sizeof raw);
  }

  std::string& out_;
};

class wire_reader {
public:
  using is_saving = std::false_type;
  using is_loading = std::true_type;

  /// Whoever made `in` keeps it alive while this reader is used.
  explicit wire_reader(std::string_view in) noexcept : in_(in) {}

  std::size_t remaining() const noexcept { return in_.size() - at_; }

  /// Raises `decode_error` if bytes are left.
  void finish() const {
    if (remaining() != 0)
      throw decode_error(std::to_string(remaining())
                         + " bytes behind the end of the value");
  }

  template <class T>
  wire_reader& operator&(T& x) {
    return *this >> x;
  }
  template <class T>
  wire_reader& operator>>(T& x) {
    if constexpr (std::is_same_v<T, bool>)
      x = byte() != 0;
    else if constexpr (std::is_enum_v<T>)
      x = static_cast<T>(varint());
    else if constexpr (std::is_floating_point_v<T>)
      x = static_cast<T>(fixed());
    else if constexpr (std::is_unsigned_v<T>)
      x = narrow<T>(varint());
    else if constexpr (std::is_integral_v<T>) {
      auto z = varint();
      x = static_cast<T>(static_cast<std::int64_t>((z >> 1) ^ (~(z & 1) + 1)));
    } else
      boost::serialization::serialize_adl(*this, x, 0u);
    return *this;
  }
  wire_reader& operator>>(std::string& x) {
    x = take(length());
    return *this;
  }
  template <class T>
  wire_reader& operator>>(std::vector<T>& xs) {
    auto n = length();
    xs.clear();
    xs.reserve(n < 4096 ? n : 4096);
    for (std::size_t i = 0; i < n; ++i) {
      T x{};
      *this >> x;
      xs.push_back(std::move(x));
    }
    return *this;
  }
  template <class A, class B>
  wire_reader& operator>>(std::pair<A, B>& x) {
    return *this >> x.first >> x.second;
  }
  void load_binary(void* p, std::size_t n) {
    auto from = take(n);
    std::memcpy(p, from.data(), n);
  }
  std::string_view take(std::size_t n) {
    if (n > remaining())
      throw decode_error("the value ends too early");
    auto from = in_.substr(at_, n);
    at_ += n;
    return from;
  }
  /// A count of things that take at least one byte each.
  std::size_t length() {
    auto n = varint();
    if (n > remaining())
      throw decode_error("a length of " + std::to_string(n) + " with "
                         + std::to_string(remaining()) + " bytes left");
    return static_cast<std::size_t>(n);
  }
  /// Counts nesting; the destructor of the result counts back. A value of the
  /// full depth travels inside the message that carries it.
  auto nested() {
    struct guard {
      int& depth;
      ~guard() { --depth; }
    };
    if (++depth_ > max_depth + message_depth) {
      --depth_;
      throw decode_error("nesting deeper than "
                         + std::to_string(max_depth + message_depth));
    }
    return guard{depth_};
  }

private:
  std::uint8_t byte() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::uint64_t varint() {
    std::uint64_t x = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      auto b = byte();
      if (shift == 63 && b > 1)
        break;
      x |= static_cast<std::uint64_t>(b & 0x7f) << shift;
      if ((b & 0x80) == 0)
        return x;
    }
    throw decode_error("an integer of more than 64 bits");
  }
  double fixed() {
    auto raw = take(8);
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i)
      bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[i]))
              << (8 * i);
    double x = 0;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  template <class T>
  static T narrow(std::uint64_t x) {
    if (static_cast<std::uint64_t>(static_cast<T>(x)) != x)
      throw decode_error("an integer out of range");
    return static_cast<T>(x);
  }

  std::string_view in_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

void save(wire_writer& ar, const term& x);
void load(wire_reader& ar, term& x);

/// Boost.Serialization's entry for terms.
template <class Archive>
void serialize(Archive& ar, term& x, unsigned) {
  if constexpr (Archive::is_saving::value)
    save(ar, x);
  else
    load(ar, x);
}

std::string encode(const term& x);
/// Raises `decode_error`.
term decode(std::string_view bytes);

} // namespace hornbeam::runtime
