#include "actors/tables.hpp"

#include <map>

#include "runtime/table/options_term.hpp"

namespace hornbeam::actors {

using namespace runtime;

namespace {

/// The arguments of one call.
class arguments {
public:
  explicit arguments(const operation& op) : op_(op) {}

  const term& at(std::size_t i) const { return op_.arg(i); }
  bool has(std::size_t i) const { return i < op_.size(); }
  std::int64_t ttl(std::size_t i) const {
    return has(i) ? at(i).as_int() : table::default_ttl;
  }
  /// `[x]`: one value or none.
  std::optional<term> maybe(std::size_t i) const {
    auto xs = at(i).items();
    if (xs.size() > 1)
      throw bad_term("operation '" + std::string{op_.name}
                     + "' takes a list "
                       "of one value or none, not of "
                     + std::to_string(xs.size()));
    return xs.empty() ? std::nullopt : std::optional{xs[0]};
  }
  term::entries entries(std::size_t i) const {
    term::entries out;
    for (auto& x : at(i).items()) {
      if (x.items().size() != 2)
        throw bad_term("an entry is a key and a value, not " + to_string(x));
      out.emplace_back(x.items()[0], x.items()[1]);
    }
    return out;
  }
  std::size_t limit(std::size_t i) const {
    auto n = at(i).as_int();
    if (n < 0)
      throw bad_term("a limit of " + std::to_string(n));
    return static_cast<std::size_t>(n);
  }

private:
  const operation& op_;
};

term number(std::size_t n) {
  return term{static_cast<std::int64_t>(n)};
}

term listed(std::optional<term> x) {
  return x ? term::list({*std::move(x)}) : term::list({});
}

term pairs(term::entries xs) {
  term::sequence out;
  for (auto& [key, value] : xs)
    out.push_back(term::tuple({std::move(key), std::move(value)}));
  return term::list(std::move(out));
}

/// `(position, delta)` or `(position, delta, threshold, reset)`.
std::vector<counter_op> counter_ops(const term& list) {
  std::vector<counter_op> out;
  for (auto& x : list.items()) {
    auto items = x.items();
    if ((items.size() != 2 && items.size() != 4) || items[0].as_int() < 0)
      throw bad_term("a step of a counter is (position, delta) or (position, "
                     "delta, threshold, reset), not "
                     + to_string(x));
    counter_op op{
      items[1], static_cast<std::size_t>(items[0].as_int()), {}, {}};
    if (items.size() == 4) {
      op.threshold = items[2];
      op.reset = items[3];
    }
    out.push_back(std::move(op));
  }
  return out;
}

using table_op = term (*)(table&, const arguments&);

const std::map<std::string, table_op, std::less<>> table_ops{
  {"get", [](table& t, const arguments& x) { return listed(t.get(x.at(0))); }},
  {"contains",
   [](table& t, const arguments& x) { return term{t.contains(x.at(0))}; }},
  {"set",
   [](table& t, const arguments& x) {
     t.set(x.at(0), x.at(1), x.ttl(2));
     return term{};
   }},
  {"insert_new",
   [](table& t, const arguments& x) {
     return term{t.insert_new(x.at(0), x.at(1), x.ttl(2))};
   }},
  {"take",
   [](table& t, const arguments& x) { return listed(t.take(x.at(0))); }},
  {"delete",
   [](table& t, const arguments& x) { return term{t.erase(x.at(0))}; }},
  {"delete_object",
   [](table& t, const arguments& x) {
     return number(t.erase_object(x.at(0), x.at(1)));
   }},
  {"swap",
   [](table& t, const arguments& x) {
     return listed(t.swap(x.at(0), x.at(1), x.ttl(2)));
   }},
  {"compare_and_swap",
   [](table& t, const arguments& x) {
     auto [done, found] = t.compare_and_swap(x.at(0), x.maybe(1), x.maybe(2),
                                             x.ttl(3));
     return term::tuple({term{done}, listed(std::move(found))});
   }},
  {"incr",
   [](table& t, const arguments& x) {
     return t.update_counter(x.at(0), x.at(1), x.ttl(2));
   }},
  {"update_counter",
   [](table& t, const arguments& x) {
     auto results = t.update_counter(x.at(0), counter_ops(x.at(1)), x.at(2),
                                     x.ttl(3));
     return term::list({results.begin(), results.end()});
   }},
  {"expire",
   [](table& t, const arguments& x) {
     return term{t.expire(x.at(0), x.at(1).as_int())};
   }},
  {"left_ms",
   [](table& t, const arguments& x) {
     auto left = t.left_ms(x.at(0));
     return left ? term::list({term{*left}}) : term::list({});
   }},
  {"get_many",
   [](table& t, const arguments& x) {
     auto keys = x.at(0).items();
     term::sequence out;
     for (auto& found : t.get_many(keys))
       out.push_back(listed(std::move(found)));
     return term::list(std::move(out));
   }},
  {"set_many",
   [](table& t, const arguments& x) {
     t.set_many(x.entries(0), x.ttl(1));
     return term{};
   }},
  {"insert_new_many",
   [](table& t, const arguments& x) {
     return term{t.insert_new(x.entries(0), x.ttl(1))};
   }},
  {"clear",
   [](table& t, const arguments&) {
     t.clear();
     return term{};
   }},
  {"size", [](table& t, const arguments&) { return number(t.size()); }},
  {"keys",
   [](table& t, const arguments& x) {
     auto keys = !x.has(0)
                   ? t.keys()
                   : t.keys(x.at(0).text(), x.has(1) ? x.limit(1) : SIZE_MAX);
     return term::list({keys.begin(), keys.end()});
   }},
  {"scan",
   [](table& t, const arguments& x) {
     auto batch = t.scan(x.at(0), x.limit(1));
     return term::tuple({pairs(std::move(batch.entries)), batch.next});
   }},
  {"watch_key",
   [](table& t, const arguments& x) {
     return number(t.watch(table_interest::in_key(x.at(0)), x.at(1)));
   }},
  {"watch_prefix",
   [](table& t, const arguments& x) {
     return number(t.watch(
       table_interest::in_prefix(std::string{x.at(0).text()}), x.at(1)));
   }},
  {"unwatch",
   [](table& t, const arguments& x) {
     return term{t.unwatch(static_cast<std::uint64_t>(x.at(0).as_int()))};
   }},
  {"info", [](table& t, const arguments&) { return t.info(); }},
};

class table_service : public service {
public:
  table_service(tables& all, std::string name)
    : all_(all), name_(std::move(name)) {}

  void handle(call& c) override {
    operation op{c.op};
    term result;
    if (op.name == "open") {
      auto options = to_table_options(op.arg(0));
      options.home.clear(); // this is it
      table_ = all_.open(name_, options);
    } else {
      result = operate(table(), c.op);
    }
    if (c.reply)
      c.reply(std::move(result));
  }

private:
  runtime::table& table() {
    if (!table_)
      table_ = all_.open(name_);
    else if (table_->ended())
      if (auto found = all_.find(name_))
        table_ = found;
    return *table_;
  }

  tables& all_;
  const std::string name_;
  table_ptr table_;
};

} // namespace

term operate(table& t, const term& op) {
  operation x{op};
  auto i = table_ops.find(x.name);
  if (i == table_ops.end())
    throw bad_term("tables know no operation '" + std::string{x.name} + "'");
  return i->second(t, arguments{x});
}

std::unique_ptr<service> make_table_service(tables& all, std::string name) {
  return std::make_unique<table_service>(all, std::move(name));
}

bool answer_inline(const tables& all, const std::string& service, call& c) {
  constexpr std::string_view prefix = "table:";
  if (!service.starts_with(prefix))
    return false;
  auto t = all.find(service.substr(prefix.size()));
  if (!t || t->options().engine != table_engine::memory)
    return false;
  outcome answer;
  try {
    operation op{c.op};
    if (op.name == "keys" || op.name == "scan" || op.name == "open")
      return false;
    answer = operate(*t, c.op);
  } catch (...) {
    answer = current_failure();
  }
  if (c.reply)
    c.reply(std::move(answer));
  return true;
}

std::vector<std::string> table_operations() {
  std::vector<std::string> out;
  out.reserve(table_ops.size());
  for (auto& [name, op] : table_ops)
    out.push_back(name);
  return out;
}

} // namespace hornbeam::actors
