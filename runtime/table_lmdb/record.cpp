#include "runtime/table_lmdb/record.hpp"

#include <chrono>
#include <cstring>

#include "runtime/table_lmdb/key.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

using kind = term::kind;

constexpr std::uint8_t expires_mark = 2;
constexpr std::uint8_t key_mark = 4;

constexpr char form_wire = 0;
constexpr char form_integer = 1; // eight bytes: a counter keeps its size

} // namespace

std::int64_t wall_clock_ms() noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

lmdb_record lmdb_record::parse(std::string_view bytes) {
  if (bytes.size() < 2)
    throw decode_error("a value that ends too early");
  lmdb_record out;
  auto flags = static_cast<std::uint8_t>(bytes[0]);
  auto form = bytes[1];
  bytes.remove_prefix(2);
  out.used = (flags & lmdb_used_mark) != 0;
  if ((flags & (expires_mark | key_mark)) != 0) {
    wire_reader in{bytes};
    if ((flags & expires_mark) != 0)
      in >> out.expires;
    if ((flags & key_mark) != 0)
      out.key = in.take(in.length());
    bytes.remove_prefix(bytes.size() - in.remaining());
  }
  out.is_integer = form == form_integer;
  if ((form != form_wire && form != form_integer)
      || (out.is_integer && bytes.size() != 8))
    throw decode_error("a value of an unknown form");
  out.content = bytes;
  return out;
}

term lmdb_record::key_at(std::string_view where) const {
  return key.empty() ? decode_ordered(where) : decode(key);
}

term lmdb_record::value() const {
  if (!is_integer)
    return decode(content);
  std::int64_t x = 0;
  std::memcpy(&x, content.data(), sizeof x);
  return term{x};
}

lmdb_new_record::lmdb_new_record(const term* key, const term& value,
                                 std::int64_t expires, bool used) {
  bool integer = value.is(kind::integer);
  auto flags = static_cast<char>((used ? lmdb_used_mark : 0)
                                 | (expires != 0 ? expires_mark : 0)
                                 | (key != nullptr ? key_mark : 0));
  if (integer && expires == 0 && key == nullptr) {
    auto x = value.as_int();
    small_[0] = flags;
    small_[1] = form_integer;
    std::memcpy(small_.data() + 2, &x, sizeof x);
    head_ = {small_.data(), small_.size()};
    return;
  }
  large_ += flags;
  large_ += integer ? form_integer : form_wire;
  wire_writer out{large_};
  if (expires != 0)
    out << expires;
  if (key != nullptr)
    out << encode(*key);
  switch (value.type()) {
    case kind::integer: {
      auto x = value.as_int();
      out.save_binary(&x, sizeof x);
      break;
    }
    // What may be large is copied once, into its place in the map.
    case kind::atom:
    case kind::string:
    case kind::bytes:
      out << value.type() << static_cast<std::uint64_t>(value.text().size());
      tail_ = value.text();
      break;
    case kind::array: {
      auto& x = value.as_array();
      out << value.type() << x.dtype << x.shape
          << static_cast<std::uint64_t>(x.data.size());
      tail_ = x.data;
      break;
    }
    default:
      out << value;
  }
  head_ = large_;
}

void lmdb_new_record::copy_to(void* p) const noexcept {
  auto* to = static_cast<char*>(p);
  std::memcpy(to, head_.data(), head_.size());
  if (!tail_.empty())
    std::memcpy(to + head_.size(), tail_.data(), tail_.size());
}

} // namespace hornbeam::runtime
