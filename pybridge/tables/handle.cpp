#include "pybridge/tables/handle.hpp"

#include "actors/tables.hpp"
#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

term ask_node(const std::string& to, const std::string& name, const term& op) {
  auto context = made(
    into_python([] { return PyObject_CallNoArgs(python().of_table_call); }));
  auto until = to_deadline(context[py::int_(0)]);
  auto depth = py::cast<std::uint32_t>(context[py::int_(1)]);
  auto& from = *node().node; // starts the node, which needs the lock
  auto answer = ask(
    [&](responder reply) {
      from.request(to, "table:" + name, op, until, depth, std::move(reply));
    },
    until, "table " + name + " on " + to);
  if (!answer)
    raise(answer.error());
  return *answer;
}

} // namespace

table_handle::table_handle(table_ptr table, const std::string& me)
  : name_(table->name()) {
  auto& options = table->options();
  if (options.home.empty() || options.home == me) {
    waits_ = options.engine != table_engine::memory;
    local_ = std::move(table);
  } else {
    node_ = options.home;
  }
}

table_handle table_handle::find(const std::string& name,
                                const std::string& node) {
  auto& services = pybridge::node();
  auto me = services.node->name();
  if (!node.empty() && node != me)
    return {name, node};
  return {services.table(name), me};
}

local_use table_handle::only_local(const char* operation) const {
  if (!local_)
    raise({error_code::refused, std::string{operation}
                                  + " needs a table of this node; table "
                                  + name_ + " is on " + node_});
  return local();
}

term table_handle::ask(const char* operation, term::sequence args,
                       effort e) const {
  args.insert(args.begin(), term::atom(operation));
  auto op = term::tuple(std::move(args));
  if (!local_)
    return ask_node(node_, name_, op);
  auto here = local();
  std::optional<without_gil> free;
  if (waits_ || e == effort::large)
    free.emplace();
  return actors::operate(*here, op);
}

} // namespace hornbeam::pybridge
