#include "actors/services.hpp"

#include <thread>

#include "actors/tables.hpp"
#include "runtime/process/self.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::actors {

using namespace runtime;

services::services(std::shared_ptr<runtime::node> n, tasks::limits keep)
  : node(std::move(n)),
    topics(*node, node->processes(), silent_),
    hooks("hook", *node, silent_),
    functions("function", *node, silent_),
    rpc(*node),
    tasks(*node, hooks, keep),
    streams(*node, hooks) {}

namespace {

/// Other nodes make no more tables here by asking for them.
constexpr std::size_t most_made_for_others = 10'000;

/// A call of a handler that may take its time.
process_body run_apart(self, std::function<void()> f) {
  f();
  co_return;
}

} // namespace

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
  node.add_service("tables",
                   [self = self.get()] { return self->make_tables_service(); });
  for (auto& t : known) {
    if (t->owner_serial() != 0)
      continue; // its owner has stayed with the parent
    node.tables().adopt(t);
    self->serve(t->name());
  }
  for (auto& x : declared)
    self->declare_table(x.name, x.options);
  node.on_call([&x = *self](const std::string& service, call& c) {
    return answer_inline(x.node->tables(), service, c)
           || x.hooks.answer_inline(service, c)
           || x.functions.answer_inline(service, c)
           || x.streams.answer_inline(service, c);
  });
  for (auto* x : {&self->hooks, &self->functions}) {
    if (!node.settings().serve)
      x->serve_nobody();
    x->run_with([&node](std::function<void()> f) {
      node.processes().spawn(run_apart, std::move(f));
    });
  }
  // Tables are made when they are first asked for, from here or elsewhere.
  node.on_unknown_service([&x = *self](const std::string& name) {
    constexpr std::string_view prefix = "table:";
    if (!name.starts_with(prefix) || name.size() == prefix.size())
      return false;
    auto table = name.substr(prefix.size());
    // Whoever wants a table of a third node asks that one.
    auto home = x.node->tables().options_of(table).home;
    if (!home.empty() && home != x.node->name())
      return false;
    lock_scope guard{x.tables_mutex_};
    if (x.served_.size() >= most_made_for_others)
      return false;
    x.serve(table);
    return true;
  });
  self->table("state");
  self->add_builtins();
  node.start_networking();
  return self;
}

services::~services() {
  stop(); // the actors refer to the members below
}

// -- tables -------------------------------------------------------------------

namespace {

/// Hears of nodes that come and go, for the tables that are there.
class tables_service : public service {
public:
  tables_service(std::function<std::vector<std::string>()> names,
                 std::function<void(const peer_event&)> f)
    : names_(std::move(names)), peer_(std::move(f)) {}

  void handle(call& c) override {
    if (operation op{c.op}; op.name != "names")
      throw bad_term("tables know no operation '" + std::string{op.name} + "'");
    term::sequence out;
    for (auto& name : names_())
      out.push_back(term::string(name));
    if (c.reply)
      c.reply(term::list(std::move(out)));
  }
  void peer(const peer_event& e) override { peer_(e); }

private:
  std::function<std::vector<std::string>()> names_;
  std::function<void(const peer_event&)> peer_;
};

} // namespace

std::unique_ptr<service> services::make_tables_service() {
  return std::make_unique<tables_service>(
    [this] {
      std::vector<std::string> out;
      for (auto& t : node->tables().all())
        out.push_back(t->name());
      return out;
    },
    [this](const peer_event& e) {
      lock_scope guard{tables_mutex_};
      for (auto& [name, t] : remote_tables_)
        t->peer(e);
    });
}

/// Called with `tables_mutex_` held.
void services::serve(const std::string& name) {
  if (served_.insert(name).second)
    node->add_service("table:" + name, [&all = node->tables(), name] {
      return make_table_service(all, name);
    });
}

table_ptr services::table(const std::string& name) {
  {
    lock_scope guard{tables_mutex_};
    if (auto i = remote_tables_.find(name); i != remote_tables_.end())
      return i->second;
    auto options = node->tables().options_of(name);
    if (!options.home.empty()) {
      auto t = std::make_shared<remote_table>(name, options, node);
      remote_tables_.emplace(name, t);
      return t;
    }
  }
  auto t = node->tables().open(name); // which may wait for other processes
  lock_scope guard{tables_mutex_};
  serve(name);
  return t;
}

table_ptr services::table(const std::string& name,
                          const table_options& options) {
  declare_table(name, options);
  return table(name);
}

void services::declare_table(const std::string& name, table_options options) {
  if (!options.home.empty())
    options.home = node->full_name(options.home);
  if (options.home == node->name())
    options.home.clear();
  node->tables().declare(name, options);
}

table_ptr services::new_table(const std::string& name,
                              const table_options& options,
                              const table_ownership& whose) {
  if (!options.home.empty())
    throw failed{error_code::bad_value,
                 "the new table '" + name
                   + "' is of this node: it has no other home"};
  auto t = node->tables().create(name, options, whose);
  lock_scope guard{tables_mutex_};
  serve(name);
  return t;
}

namespace {

term strings(const std::vector<std::string>& xs) {
  term::sequence out;
  for (auto& x : xs)
    out.push_back(term::string(x));
  return term::list(std::move(out));
}

} // namespace

term services::status() {
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
  std::vector<std::string> peers; // workers too, which `nodes()` leaves out
  for (auto& x : node->members())
    if (x.is != member::role::hidden && x.name != node->name())
      peers.push_back(x.name);
  auto up = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now()
                                                                  - started_);
  term::entries out;
  auto put = [&](const char* key, term value) {
    out.emplace_back(term::string(key), std::move(value));
  };
  put("node", term::string(node->name()));
  put("address", term::string(node->address()));
  put("uptime_ms", number(up.count()));
  put("peers", strings(peers));
  put("hooks", strings(hooks.directory().local_names()));
  put("functions", strings(functions.directory().local_names()));
  put("topics", strings(topics.directory().local_names()));
  put("tasks_running", number(running));
  put("tasks_kept", number(kept));
  put("calls_open", number(node->open_requests()));
  put("processes", number(node->processes().all().size()));
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
      if (x.action == "inference_counts")
        return term::tuple_of(term{inference.hits.load()},
                              term{inference.misses.load()});
      return failure{error_code::not_found,
                     "the module hornbeam has no function '" + x.action
                       + "' of " + std::to_string(x.args.size())
                       + " arguments; it has status(), node(), "
                         "inference_counts() and echo(x)"};
    }));
  rpc.add_module(
    "erlang", make_function([this](const invocation& x) -> outcome {
      if (x.args.empty() && x.action == "node")
        return term::string(node->name());
      if (x.args.empty() && x.action == "nodes")
        return strings(node->peers());
      auto is_name = [&](const term& y) {
        return y.is(term::kind::string) || y.is(term::kind::atom);
      };
      if (x.action == "system_info" && x.args.size() == 1
          && is_name(x.args[0])) {
        auto what = x.args[0].text();
        if (what == "process_count")
          return term{
            static_cast<std::int64_t>(node->processes().all().size())};
        if (what == "schedulers")
          return term{
            static_cast<std::int64_t>(std::thread::hardware_concurrency())};
        throw bad_term("system_info knows no '" + std::string{what}
                       + "'; it knows process_count and schedulers");
      }
      return failure{error_code::not_found,
                     "the module erlang has no function '" + x.action + "' of "
                       + std::to_string(x.args.size())
                       + " arguments; it has node(), nodes() and "
                         "system_info(name)"};
    }));
  handler_options quick;
  quick.quick = true;
  functions.add(
    "hornbeam.term_size", make_function([](const invocation& x) -> outcome {
      if (x.args.size() != 1)
        throw bad_term("hornbeam.term_size takes one argument");
      return term{static_cast<std::int64_t>(encode(x.args[0]).size())};
    }),
    quick);
  functions.add("hornbeam.to_string",
                make_function([](const invocation& x) -> outcome {
                  if (x.args.size() != 1)
                    throw bad_term("hornbeam.to_string takes one argument");
                  return term::string(to_string(x.args[0]));
                }));
}

} // namespace hornbeam::actors
