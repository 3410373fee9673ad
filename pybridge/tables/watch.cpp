#include "pybridge/tables/watch.hpp"

#include "pybridge/calls/call_helpers.hpp"
#include "runtime/process/self.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

constexpr std::size_t event_size = 6; ///< see `table::watch`

term end_event(const std::string& table) {
  return term::tuple({term::atom("table_event"), term{0}, term::string(table),
                      term::atom("end"), term{}, term::map({})});
}

term numbered(const term& event, std::int64_t number) {
  auto items = event.to_sequence();
  items[1] = term{number};
  return term::tuple(std::move(items));
}

process_body forward(self me, std::string table, std::string node,
                     std::int64_t number, term to) {
  if (!node.empty())
    me.monitor_node(node, true);
  me.monitor(to);
  auto topic = term::string("table:" + table);
  for (;;) {
    auto m = co_await me.receive();
    if (m.is_atom("stop"))
      co_return;
    if (!m.is(term::kind::tuple))
      continue;
    if (m.items().front().is_atom("DOWN"))
      co_return;
    bool lost = m.items().front().is_atom("nodedown");
    auto event = lost ? end_event(table) : m;
    if (event.items().size() != event_size)
      continue;
    bool end = event.items()[3].is_atom("end");
    me.send(to, actors::topic_message(topic, numbered(event, number)));
    if (end)
      co_return;
  }
}

} // namespace

table_watch::table_watch(const table_handle& t, const table_interest& what,
                         std::int64_t number, const term& to)
  : table_(t), number_(number) {
  auto& processes = node().node->processes();
  forwarder_ = processes.spawn(forward, t.name(), t.node(), number, to);
  try {
    number_there_ = what.key ? t.ask("watch_key", {*what.key, forwarder_})
                             : t.ask("watch_prefix",
                                     {term::string(what.prefix), forwarder_});
  } catch (...) {
    processes.send(forwarder_, term::atom("stop"));
    throw;
  }
}

bool table_watch::close() {
  if (created_in_ != fork_generation() || number_there_.is_none())
    return false;
  auto number = std::exchange(number_there_, {});
  node().node->processes().send(forwarder_, term::atom("stop"));
  return table_.ask("unwatch", {std::move(number)}).as_bool();
}

} // namespace hornbeam::pybridge
