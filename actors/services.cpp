#include "actors/services.hpp"

#include "actors/tables.hpp"
#include "runtime/wire.hpp"

namespace hornbeam::actors {

using namespace runtime;

services::services(std::shared_ptr<runtime::node> n, tasks::limits keep)
  : node(std::move(n)),
    topics(*node),
    hooks("hook", *node),
    functions("function", *node),
    rpc(*node),
    tasks(*node, hooks, keep),
    streams(*node, hooks) {}

std::shared_ptr<services> services::start(node_settings settings,
                                          tasks::limits keep,
                                          const std::vector<table_ptr>& known) {
  auto declared = settings.tables;
  auto cluster = settings.cluster;
  std::shared_ptr<services> self{
    new services(runtime::node::start(std::move(settings)), keep)};
  auto& node = *self->node;
  node.tables().set_cluster(cluster);
  node.add_service("topics", [&x = self->topics] { return x.make_service(); });
  node.add_service("hooks", [&x = self->hooks] { return x.make_service(); });
  node.add_service("functions",
                   [&x = self->functions] { return x.make_service(); });
  node.add_service("rpc", [&x = self->rpc] { return x.make_service(); });
  node.add_service("tasks", [&x = self->tasks] { return x.make_service(); });
  node.add_service("streams",
                   [&x = self->streams] { return x.make_service(); });
  for (auto& t : known) {
    node.tables().adopt(t);
    node.add_service("table:" + t->name(),
                     [t] { return make_table_service(t); });
  }
  for (auto& x : declared)
    node.tables().declare(x.name, x.options);
  // Tables are made when they are first asked for, from here or elsewhere.
  node.on_unknown_service([&x = *self](const std::string& name) {
    constexpr std::string_view prefix = "table:";
    if (!name.starts_with(prefix) || name.size() == prefix.size())
      return false;
    x.table(name.substr(prefix.size()));
    return true;
  });
  self->table("state");
  self->add_builtins();
  node.open_doors();
  return self;
}

services::~services() {
  stop(); // the actors refer to the members below
}

table_ptr services::table(const std::string& name) {
  std::lock_guard guard{tables_mutex_};
  if (auto known = node->tables().find(name))
    return known;
  auto t = node->tables().open(name);
  node->add_service("table:" + name, [t] { return make_table_service(t); });
  return t;
}

term services::status() {
  auto strings = [](const std::vector<std::string>& xs) {
    term::sequence out;
    for (auto& x : xs)
      out.push_back(term::string(x));
    return term::list(std::move(out));
  };
  auto number = [](auto n) { return term{static_cast<std::int64_t>(n)}; };
  auto [running, kept] = tasks.count();
  auto [consumed, provided] = streams.count();
  term::entries sizes;
  for (auto& t : node->tables().all())
    try {
      sizes.emplace_back(term::string(t->name()), number(t->size()));
    } catch (const failed& e) { // of the file of a table
      sizes.emplace_back(term::string(t->name()), term::string(e.what()));
    }
  auto up = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now()
                                                                  - started_);
  term::entries out;
  auto put = [&](const char* key, term value) {
    out.emplace_back(term::string(key), std::move(value));
  };
  put("node", term::string(node->name()));
  put("address", term::string(node->address()));
  put("uptime_ms", number(up.count()));
  put("peers", strings(node->peers()));
  put("hooks", strings(hooks.directory().local_names()));
  put("functions", strings(functions.directory().local_names()));
  put("topics", strings(topics.directory().local_names()));
  put("tasks_running", number(running));
  put("tasks_kept", number(kept));
  put("streams_consumed", number(consumed));
  put("streams_provided", number(provided));
  put("lost_casts", number(node->lost_casts()));
  put("tables", term::map(std::move(sizes)));
  return term::map(std::move(out));
}

void services::add_builtins() {
  // Weak to nothing: handlers end with the tables of this object.
  rpc.add_module(
    "hornbeam", make_function([this](const invocation& x) -> outcome {
      if (x.action == "status")
        return status();
      if (x.action == "node")
        return term::string(node->name());
      if (x.action == "echo" && x.args.size() == 1)
        return x.args[0];
      return failure{error_code::not_found,
                     "the module hornbeam has no function '" + x.action
                       + "' of " + std::to_string(x.args.size())
                       + " arguments; it has status(), node() and echo(x)",
                     {},
                     {},
                     {}};
    }));
  functions.add(
    "hornbeam.term_size", make_function([](const invocation& x) -> outcome {
      if (x.args.size() != 1)
        throw bad_term("hornbeam.term_size takes one argument");
      return term{static_cast<std::int64_t>(encode(x.args[0]).size())};
    }));
  functions.add("hornbeam.to_string",
                make_function([](const invocation& x) -> outcome {
                  if (x.args.size() != 1)
                    throw bad_term("hornbeam.to_string takes one argument");
                  return term::string(to_string(x.args[0]));
                }));
}

} // namespace hornbeam::actors
