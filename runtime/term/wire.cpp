#include "runtime/term/wire.hpp"

#include <iterator>

namespace hornbeam::runtime {

namespace {

using kind = term::kind;

void save_origin(wire_writer& ar, origin_ptr x) {
  ar << x->name() << x->incarnation;
}

/// Pids of one node come in crowds: the last origin read is shared.
origin_ptr load_origin(wire_reader& ar) {
  thread_local origin_ptr last = nullptr;
  auto name = ar.take(ar.length());
  std::uint64_t incarnation = 0;
  ar >> incarnation;
  if (!last || last->incarnation != incarnation || last->name() != name)
    last = origin::of(name, incarnation);
  return last;
}

void save_big(wire_writer& ar, const big_integer& x) {
  std::string magnitude;
  export_bits(x, std::back_inserter(magnitude), 8);
  ar << (x < 0) << magnitude;
}

term load_big(wire_reader& ar) {
  bool negative = false;
  ar >> negative;
  auto raw = ar.take(ar.length());
  big_integer x;
  auto* p = reinterpret_cast<const unsigned char*>(raw.data());
  if (!raw.empty()) // Boost reads before the front of an empty range
    import_bits(x, p, p + raw.size(), 8);
  if (negative)
    x = -x;
  return term{std::move(x)};
}

/// What numpy says in front of the item size, as in `<f8`.
bool plausible(const array& x) {
  std::uint64_t n = 1;
  for (auto d : x.shape)
    if (__builtin_mul_overflow(n, d, &n))
      return false;
  if (x.dtype.size() < 3 || n == 0)
    return x.dtype.size() >= 3 && x.data.empty();
  return x.data.size() % n == 0;
}

} // namespace

void save(wire_writer& ar, const term& x) {
  ar << x.type();
  switch (x.type()) {
    case kind::none:
      break;
    case kind::boolean:
      ar << x.as_bool();
      break;
    case kind::integer:
      ar << x.as_int();
      break;
    case kind::big_integer:
      save_big(ar, x.as_big());
      break;
    case kind::floating:
      ar << x.as_double();
      break;
    case kind::atom:
    case kind::string:
    case kind::bytes:
      ar << x.text();
      break;
    case kind::list:
    case kind::tuple:
    case kind::set:
      ar << x.items();
      break;
    case kind::map:
      ar << x.pairs();
      break;
    case kind::pid:
      save_origin(ar, x.as_pid().node);
      ar << x.as_pid().serial;
      break;
    case kind::reference:
      save_origin(ar, x.as_reference().node);
      ar << x.as_reference().serial << x.as_reference().owner;
      break;
    case kind::array:
      ar << x.as_array().dtype << x.as_array().shape << x.as_array().data;
      break;
    case kind::extension:
      ar << x.tag() << x.inner();
      break;
  }
}

void load(wire_reader& ar, term& x) {
  auto deeper = ar.nested();
  auto text = [&] { return ar.take(ar.length()); };
  auto items = [&] {
    term::sequence xs;
    ar >> xs;
    return xs;
  };
  std::uint64_t k = 0;
  ar >> k;
  switch (static_cast<kind>(k)) {
    case kind::none:
      x = term{};
      return;
    case kind::boolean: {
      bool b = false;
      ar >> b;
      x = term{b};
      return;
    }
    case kind::integer: {
      std::int64_t i = 0;
      ar >> i;
      x = term{i};
      return;
    }
    case kind::big_integer:
      x = load_big(ar);
      return;
    case kind::floating: {
      double d = 0;
      ar >> d;
      x = term{d};
      return;
    }
    case kind::atom:
      x = term::atom(text());
      return;
    case kind::string:
      x = term::string(text());
      return;
    case kind::bytes:
      x = term::bytes(text());
      return;
    case kind::list:
      x = term::list(items());
      return;
    case kind::tuple:
      x = term::tuple(items());
      return;
    case kind::set:
      x = term::set(items());
      return;
    case kind::map: {
      term::entries xs;
      ar >> xs;
      x = term::map(std::move(xs));
      return;
    }
    case kind::pid: {
      pid p;
      p.node = load_origin(ar);
      ar >> p.serial;
      x = term{std::move(p)};
      return;
    }
    case kind::reference: {
      reference r;
      r.node = load_origin(ar);
      ar >> r.serial >> r.owner;
      x = term{std::move(r)};
      return;
    }
    case kind::array: {
      array a;
      ar >> a.dtype >> a.shape >> a.data;
      if (!plausible(a))
        throw decode_error("an array whose shape does not fit its bytes");
      x = term{std::move(a)};
      return;
    }
    case kind::extension: {
      std::string tag{text()};
      term inner;
      ar >> inner;
      x = term::extension(std::move(tag), std::move(inner));
      return;
    }
  }
  throw decode_error("an unknown kind of term: " + std::to_string(k));
}

std::string encode(const term& x) {
  std::string out;
  out.reserve(240); // most fit in it, and it need not grow again and again
  wire_writer{out} << x;
  return out;
}

term decode(std::string_view bytes) {
  wire_reader in{bytes};
  term x;
  in >> x;
  in.finish();
  return x;
}

} // namespace hornbeam::runtime
