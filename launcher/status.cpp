#include <algorithm>
#include <iomanip>
#include <iostream>

#include "launcher/cluster_client.hpp"
#include "launcher/rows.hpp"
#include "runtime/base/host_registry.hpp"

namespace hornbeam::launcher {

using namespace runtime;

namespace {

constexpr std::int64_t patience_ms = 2000;

std::string duration(std::int64_t ms) {
  auto s = ms / 1000;
  if (s < 60)
    return std::to_string(s) + "s";
  if (s < 3600)
    return std::to_string(s / 60) + "m" + std::to_string(s % 60) + "s";
  if (s < 86400)
    return std::to_string(s / 3600) + "h" + std::to_string(s / 60 % 60) + "m";
  return std::to_string(s / 86400) + "d" + std::to_string(s / 3600 % 24) + "h";
}

/// A number as it is; of lists and maps how much they hold.
std::string cell(const term& status, const std::string& key) {
  auto* x = status.is(term::kind::map) ? status.find(term::string(key))
                                       : nullptr;
  if (!x && status.is(term::kind::map))
    x = status.find(term::atom(key));
  if (!x)
    return "-";
  switch (x->type()) {
    case term::kind::integer:
      return key == "uptime_ms" ? duration(x->as_int())
                                : std::to_string(x->as_int());
    case term::kind::list:
    case term::kind::tuple:
    case term::kind::set:
      return std::to_string(x->items().size());
    case term::kind::map:
      return std::to_string(x->pairs().size());
    default:
      return to_string(*x);
  }
}

} // namespace

int run_status(const cluster_options& where) {
  cluster_client client{where};
  auto nodes = host_registry{client.cluster()}.all();
  if (nodes.empty()) {
    std::cerr << "hornbeam: no node of the cluster " << client.cluster()
              << " runs on this host\n";
    return 1;
  }
  auto until = deadline::in(patience_ms);
  std::vector<reply_slot_ptr> answers;
  for (auto& x : nodes) {
    auto slot = answers.emplace_back(std::make_shared<reply_slot>());
    client.call(x.name, "hornbeam", "status", {}, until, responder{slot});
  }
  const row keys{"uptime_ms", "peers",         "hooks",      "functions",
                 "topics",    "tasks_running", "tasks_kept", "tables"};
  std::vector<row> rows{{"NODE", "PID", "ADDRESS", "UP", "PEERS", "HOOKS",
                         "FUNCTIONS", "TOPICS", "TASKS", "KEPT", "TABLES"}};
  bool any = false;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    auto& r = rows.emplace_back(
      row{nodes[i].name, std::to_string(nodes[i].process), nodes[i].address});
    auto late = until.at + std::chrono::milliseconds(200);
    if (!answers[i]->wait_until(late)) {
      r.push_back("no answer within " + std::to_string(patience_ms) + " ms");
      continue;
    }
    auto x = answers[i]->take();
    if (!x) {
      r.push_back("no answer: " + x.error().message);
      continue;
    }
    any = true;
    for (auto& key : keys)
      r.push_back(cell(*x, key));
  }
  print(rows);
  return any ? 0 : 1;
}

} // namespace hornbeam::launcher
