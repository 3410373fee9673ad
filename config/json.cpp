#include "config/json.hpp"

#include <type_traits>

#include <nlohmann/json.hpp>

namespace hornbeam::config {

using nlohmann::json;

std::string to_json(const node_config& x) {
  auto peers = json::array();
  for (auto& p : x.node.peers)
    peers.push_back({{"name", p.name}, {"address", p.address}});
  auto tables = json::object();
  for (auto& t : x.node.tables)
    runtime::each_table_option([&, &out = tables[t.name]](auto option) {
      auto& value = t.options.*option.member;
      if (option.use == runtime::table_option_use::owned)
        return;
      if constexpr (std::is_enum_v<std::decay_t<decltype(value)>>)
        out[option.name] = name_of(value);
      else
        out[option.name] = value;
    });
  auto& n = x.node;
  auto& p = x.python;
  json out = {
    {"node",
     {
       {"name", n.name},
       {"cluster", n.cluster},
       {"listen", n.listen},
       {"host", n.host},
       {"advertise", n.advertise},
       {"secret", n.secret},
       {"insecure_loopback_without_tls", n.insecure_loopback_without_tls},
       {"remote_debug", n.remote_debug},
       {"hidden", n.hidden},
       {"serve", n.serve},
       {"peers", peers},
       {"tables", tables},
       {"plugins", x.plugins},
     }},
    {"log", {{"level", x.log_level}}},
    {"python",
     {
       {"path", p.path},
       {"modules", p.modules},
       {"exports", p.exports},
       {"start", p.start},
       {"pool", p.pool},
       {"call_timeout_ms", p.call_timeout_ms},
       {"task_keep_ms", p.task_keep_ms},
       {"task_keep_count", p.task_keep_count},
       {"task_keep_bytes", p.task_keep_bytes},
     }},
  };
  runtime::each_node_number(
    [&](auto option) { out["node"][option.name] = n.*option.member; });
  // Paths need not be UTF-8: what is not is shown as such, not an exception.
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace hornbeam::config
