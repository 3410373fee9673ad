#include "runtime/table/counter.hpp"

namespace hornbeam::runtime {

namespace {

using kind = term::kind;

void check_integer(const term& x, const char* what) {
  if (!x.is_any_integer())
    throw bad_term(std::string{"the "} + what
                   + " of a counter must be an integer, not "
                   + kind_name(x.type()));
}

bool negative(const term& x) {
  return x.is(kind::integer) ? x.as_int() < 0 : x.as_big() < 0;
}

/// The result of one op on one integer.
term step(const term& key, const term& value, const counter_op& op) {
  auto sum = count(key, value, op.delta);
  if (op.threshold.has_value() != op.reset.has_value())
    throw bad_term("a counter has both a threshold and a reset value, or "
                   "neither");
  if (!op.threshold)
    return sum;
  check_integer(*op.threshold, "threshold");
  check_integer(*op.reset, "reset value");
  bool over = negative(op.delta) ? sum < *op.threshold : sum > *op.threshold;
  return over ? *op.reset : sum;
}

} // namespace

term count(const term& key, const term& value, const term& delta) {
  check_integer(delta, "delta");
  if (!value.is_any_integer())
    throw bad_term("the value of " + to_string(key) + " is no integer but "
                   + kind_name(value.type()) + "; it is unchanged");
  std::int64_t sum = 0;
  if (value.is(kind::integer) && delta.is(kind::integer)
      && !__builtin_add_overflow(value.as_int(), delta.as_int(), &sum))
    return term{sum};
  return term{big_integer{value.as_big() + delta.as_big()}};
}

term count(const term& key, const term& value, std::span<const counter_op> ops,
           std::vector<term>* results) {
  auto now = value;
  for (auto& op : ops) {
    if (op.position == 0) {
      now = step(key, now, op);
      if (results != nullptr)
        results->push_back(now);
      continue;
    }
    if (!now.is(kind::tuple) && !now.is(kind::list))
      throw bad_term("the value of " + to_string(key) + " is "
                     + kind_name(now.type()) + ", which has no item "
                     + std::to_string(op.position) + "; it is unchanged");
    term::sequence items{now.items().begin(), now.items().end()};
    if (op.position > items.size())
      throw bad_term("the value of " + to_string(key) + " has "
                     + std::to_string(items.size()) + " items, no item "
                     + std::to_string(op.position) + "; it is unchanged");
    auto& item = items[op.position - 1];
    item = step(key, item, op);
    if (results != nullptr)
      results->push_back(item);
    now = now.is(kind::tuple) ? term::tuple(std::move(items))
                              : term::list(std::move(items));
  }
  return now;
}

} // namespace hornbeam::runtime
