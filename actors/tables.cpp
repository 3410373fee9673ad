#include "actors/tables.hpp"

#include <unordered_map>

namespace hornbeam::actors {

using namespace runtime;

namespace {

using table_op = term (*)(memory_table&, const operation&);

const std::unordered_map<std::string, table_op> table_ops{
  {"get",
   [](memory_table& t, const operation& op) {
     return t.get(op.arg(0)).value_or(op.arg(1));
   }},
  {"contains", [](memory_table& t,
                  const operation& op) { return term{t.contains(op.arg(0))}; }},
  {"set",
   [](memory_table& t, const operation& op) {
     t.set(op.arg(0), op.arg(1));
     return term{};
   }},
  {"insert_new",
   [](memory_table& t, const operation& op) {
     return term{t.insert_new(op.arg(0), op.arg(1))};
   }},
  {"delete", [](memory_table& t,
                const operation& op) { return term{t.erase(op.arg(0))}; }},
  {"take",
   [](memory_table& t, const operation& op) {
     return t.take(op.arg(0)).value_or(op.arg(1));
   }},
  {"incr",
   [](memory_table& t, const operation& op) {
     return t.update_counter(op.arg(0), op.arg(1));
   }},
  {"get_multi",
   [](memory_table& t, const operation& op) {
     term::entries out;
     for (auto& key : op.arg(0).items())
       out.emplace_back(key, t.get(key).value_or(term{}));
     return term::map(std::move(out));
   }},
  {"keys",
   [](memory_table& t, const operation& op) {
     return term::list(op.size() == 0 ? t.keys() : t.keys(op.arg(0).text()));
   }},
  {"size",
   [](memory_table& t, const operation&) {
     return term{static_cast<std::int64_t>(t.size())};
   }},
  {"clear",
   [](memory_table& t, const operation&) {
     t.clear();
     return term{};
   }},
};

class table_service : public service {
public:
  explicit table_service(std::shared_ptr<memory_table> t)
    : table_(std::move(t)) {}

  void handle(call& c) override {
    operation op{c.op};
    auto i = table_ops.find(op.name);
    if (i == table_ops.end())
      throw bad_term("tables know no operation '" + op.name + "'");
    auto result = i->second(*table_, op);
    if (c.reply)
      c.reply(std::move(result));
  }

private:
  std::shared_ptr<memory_table> table_;
};

} // namespace

std::unique_ptr<service> make_table_service(
  std::shared_ptr<memory_table> table) {
  return std::make_unique<table_service>(std::move(table));
}

} // namespace hornbeam::actors
