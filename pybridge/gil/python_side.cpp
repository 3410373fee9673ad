#include "pybridge/gil/python_side.hpp"

#include <string>
#include <utility>

namespace hornbeam::pybridge {

namespace {

using side = python_side;

constexpr std::pair<const char*, PyObject * side::*> objects[] = {
  {"atom", &side::atom},
  {"missing", &side::missing},
  {"encode", &side::encode},
  {"decode", &side::decode},
  {"exception", &side::exception},
  {"translate", &side::translate},
  {"deadline", &side::deadline},
  {"depth", &side::depth},
  {"permits", &side::permits},
  {"task", &side::task},
  {"owner", &side::owner},
  {"owner_type", &side::owner_type},
  {"caller", &side::caller},
  {"of_table_call", &side::of_table_call},
  {"left_ms", &side::left_ms},
  {"supervisor", &side::supervisor},
  {"predicate", &side::predicate},
  {"refuse_dead", &side::refuse_dead},
  {"settings", &side::settings},
  {"ensure", &side::ensure},
  {"running_loop", &side::running_loop},
  {"hooks", &side::hooks},
  {"functions", &side::functions},
  {"execute", &side::execute},
  {"call", &side::call},
  {"execute_async", &side::execute_async},
  {"await_result", &side::await_result},
  {"finish", &side::finish},
  {"fail", &side::fail},
  {"go_on", &side::go_on},
  {"go_on_task", &side::go_on_task},
  {"go_on_stream", &side::go_on_stream},
  {"calls", &side::calls},
  {"results", &side::results},
  {"local_result", &side::local_result},
};

} // namespace

void set_python_side(const py::dict& x) {
  if (x.size() != std::size(objects) + 1)
    throw py::type_error("this is not what the native module asks for");
  python_side out;
  for (auto [name, to] : objects) {
    if (!x.contains(name))
      throw py::type_error("the native module also needs " + std::string{name});
    out.*to = py::object(x[name]).release().ptr();
  }
  out.max_depth = py::cast<long>(x["max_depth"]);
  detail::given = out;
}

} // namespace hornbeam::pybridge
