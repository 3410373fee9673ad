#include "config/json.hpp"

#include <nlohmann/json.hpp>

namespace hornbeam::config {

using nlohmann::json;

std::string to_json(const node_config& x) {
  auto peers = json::array();
  for (auto& p : x.node.peers)
    peers.push_back({{"name", p.name}, {"address", p.address}});
  auto tables = json::object();
  for (auto& t : x.node.tables)
    tables[t.name] = {
      {"engine", name_of(t.options.engine)},
      {"kind", name_of(t.options.kind)},
      {"max_entries", t.options.max_entries},
      {"max_bytes", t.options.max_bytes},
      {"ttl_ms", t.options.ttl_ms},
      {"home", t.options.home},
      {"path", t.options.path},
      {"durable", name_of(t.options.durable)},
      {"map_bytes", t.options.map_bytes},
    };
  auto& n = x.node;
  auto& p = x.python;
  json out = {
    {"node",
     {
       {"name", n.name},
       {"cluster", n.cluster},
       {"listen", n.listen},
       {"host", n.host},
       {"port", n.port},
       {"secret", n.secret},
       {"insecure_loopback_without_tls", n.insecure_loopback_without_tls},
       {"hidden", n.hidden},
       {"peers", peers},
       {"workers", n.workers},
       {"heartbeat_ms", n.heartbeat_ms},
       {"detection_ms", n.detection_ms},
       {"connect_ms", n.connect_ms},
       {"flush_ms", n.flush_ms},
       {"tables", tables},
       {"plugins", x.plugins},
     }},
    {"log", {{"level", x.log_level}}},
    {"python",
     {
       {"path", p.path},
       {"modules", p.modules},
       {"exports", p.exports},
       {"pool", p.pool},
       {"call_timeout_ms", p.call_timeout_ms},
       {"task_keep_ms", p.task_keep_ms},
       {"task_keep_count", p.task_keep_count},
     }},
  };
  // Paths need not be UTF-8: what is not is shown as such, not an exception.
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace hornbeam::config
