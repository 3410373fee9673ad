#include "pybridge/completions.hpp"
#include "pybridge/convert.hpp"
#include "pybridge/module.hpp"

namespace hornbeam::pybridge {

using namespace runtime;
using actors::stream_reader;

namespace {

/// `(True, chunk)`, `(False, None)` at the end; raises what the handler did.
py::object item_to_python(const stream_reader::item& x) {
  if (auto* chunk = std::get_if<term>(&x))
    return py::make_tuple(true, to_python(*chunk));
  if (auto* why = std::get_if<failure>(&x))
    raise(*why);
  return py::make_tuple(false, py::none());
}

} // namespace

void bind_streams(py::module_& m) {
  using guard = py::call_guard<native_call>;

  py::class_<stream_reader, std::shared_ptr<stream_reader>>(m, "Stream")
    .def(
      "next",
      [](stream_reader& s, const py::object& timeout_ms) {
        auto until = to_deadline(timeout_ms);
        std::optional<stream_reader::item> x;
        bool ready = wait_in_slices(
          [&](auto at) {
            x = s.next(at);
            return x.has_value();
          },
          until);
        if (!ready)
          raise({error_code::timeout, "stream: no chunk in time", {}, {}, {}});
        return item_to_python(*x);
      },
      guard())
    // What is there now, or None.
    .def(
      "poll",
      [](stream_reader& s) -> py::object {
        auto x = s.next(clock::now());
        return x ? item_to_python(*x) : py::none();
      },
      guard())
    .def(
      "notify",
      [](stream_reader& s, const std::shared_ptr<completions>& c,
         std::uint64_t key) {
        s.start();
        s.notify_once([c, key] { c->add({key, term{}, false}); });
      },
      guard())
    .def(
      "close",
      [](stream_reader& s) {
        without_gil free;
        s.close();
      },
      guard());
  m.def(
    "open_stream",
    [](const std::string& name, const std::string& action,
       const py::object& args, const py::dict& kwargs,
       const py::object& timeout_ms, std::uint32_t depth) {
      actors::invocation x{name, action, to_sequence(args, "args"),
                           to_entries(kwargs, "kwargs"), {},
                           to_deadline(timeout_ms), depth};
      return stream_reader::open(node().streams, std::move(x));
    },
    guard());
}

} // namespace hornbeam::pybridge
