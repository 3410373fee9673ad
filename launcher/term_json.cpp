#include "launcher/term_json.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

namespace hornbeam::launcher {

namespace {

using namespace runtime;
using json = nlohmann::ordered_json; // keys keep their order, as in a dict

term from_json(const json& x, int depth) {
  if (depth > max_depth)
    throw bad_term("an argument nests deeper than " + std::to_string(max_depth)
                   + " levels");
  switch (x.type()) {
    case json::value_t::boolean:
      return term{x.get<bool>()};
    case json::value_t::number_integer:
      return term{x.get<std::int64_t>()};
    case json::value_t::number_unsigned:
      return term{x.get<std::uint64_t>()};
    case json::value_t::number_float:
      return term{x.get<double>()};
    case json::value_t::string:
      return term::string(x.get<std::string>());
    case json::value_t::array: {
      term::sequence items;
      for (auto& item : x)
        items.push_back(from_json(item, depth + 1));
      return term::list(std::move(items));
    }
    case json::value_t::object: {
      term::entries pairs;
      for (auto& [key, value] : x.items())
        pairs.emplace_back(term::string(key), from_json(value, depth + 1));
      return term::map(std::move(pairs));
    }
    default:
      return {};
  }
}

std::string base64(std::string_view data) {
  constexpr char digits[]
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < data.size(); i += 3) {
    unsigned group = 0;
    auto n = std::min<std::size_t>(3, data.size() - i);
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8
              | (j < n ? static_cast<unsigned char>(data[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      out += j <= n ? digits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

bool is_text(const term& x) {
  return x.is(term::kind::string) || x.is(term::kind::atom);
}

json as_json(const term& x) {
  using kind = term::kind;
  switch (x.type()) {
    case kind::none:
      return nullptr;
    case kind::boolean:
      return x.as_bool();
    case kind::integer:
      return x.as_int();
    case kind::floating:
      if (!std::isfinite(x.as_double()))
        return to_string(x);
      return x.as_double();
    case kind::atom:
    case kind::string:
      return x.text();
    case kind::bytes:
      return {{"$bytes", base64(x.text())}};
    case kind::array:
      return {{"$array",
               {{"dtype", x.as_array().dtype}, {"shape", x.as_array().shape}}}};
    case kind::list:
    case kind::tuple:
    case kind::set: {
      auto out = json::array();
      for (auto& item : x.items())
        out.push_back(as_json(item));
      return out;
    }
    case kind::map: {
      auto out = json::object();
      for (auto& [key, value] : x.pairs())
        out[is_text(key) ? std::string{key.text()} : to_string(key)]
          = as_json(value);
      return out;
    }
    default:
      return to_string(x);
  }
}

} // namespace

term from_argument(const std::string& text) {
  auto x = json::parse(text, nullptr, false);
  return x.is_discarded() ? term::string(text) : from_json(x, 1);
}

std::string to_json(const term& x) {
  return as_json(x).dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace hornbeam::launcher
