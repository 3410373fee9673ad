#include "runtime/term/term_size.hpp"

namespace hornbeam::runtime {

namespace {

constexpr std::size_t header = 24; ///< of what is not inline, with malloc's

template <class Items>
std::size_t bytes_of_all(const Items& xs) noexcept {
  std::size_t n = header;
  for (auto& x : xs)
    n += bytes_of(x);
  return n;
}

} // namespace

std::size_t bytes_of(const term& x) noexcept {
  using kind = term::kind;
  auto inline_part = sizeof(term);
  switch (x.type()) {
    case kind::none:
    case kind::boolean:
    case kind::integer:
    case kind::floating:
      return inline_part;
    case kind::atom:
    case kind::string:
    case kind::bytes:
      return inline_part + header + x.text().size();
    case kind::list:
    case kind::tuple:
    case kind::set:
      return inline_part + bytes_of_all(x.items());
    case kind::map: {
      auto n = inline_part + header;
      for (auto& [k, v] : x.pairs())
        n += bytes_of(k) + bytes_of(v);
      return n;
    }
    case kind::array:
      return inline_part + header + x.as_array().data.size()
             + 8 * x.as_array().shape.size();
    case kind::extension:
      return inline_part + header + x.tag().size() + bytes_of(x.inner());
    default:
      return inline_part + 2 * header;
  }
}

} // namespace hornbeam::runtime
