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

/// A stream as Python holds it.
struct python_stream {
  /// Raises in a forked child: streams stay with the parent.
  stream_reader& get() const {
    if (made != era())
      raise({error_code::ended,
             "this stream belongs to the process that forked",
             {},
             {},
             {}});
    return *reader;
  }
  std::shared_ptr<stream_reader> reader;
  std::uint32_t made = era();
};

} // namespace

void bind_streams(py::module_& m) {
  using guard = py::call_guard<native_call>;

  using holder = std::unique_ptr<python_stream, leave_to_parent<python_stream>>;
  py::class_<python_stream, holder>(m, "Stream")
    .def(
      "next",
      [](python_stream& stream, const py::object& timeout_ms) {
        auto& s = stream.get();
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
      [](python_stream& s) -> py::object {
        auto x = s.get().next(clock::now());
        return x ? item_to_python(*x) : py::none();
      },
      guard())
    .def(
      "notify",
      [](python_stream& stream, const std::shared_ptr<completions>& c,
         std::uint64_t key) {
        auto& s = stream.get();
        s.start();
        s.notify_once([c, key] { c->add({key, term{}, false}); });
      },
      guard())
    .def(
      "close",
      [](python_stream& s) {
        if (s.made != era())
          return;
        without_gil free;
        s.reader->close();
      },
      guard());
  m.def(
    "open_stream",
    [](const text& name, const text& action, const py::object& args,
       const py::dict& kwargs, const py::object& timeout_ms,
       std::uint32_t depth) {
      actors::invocation x{name,
                           action,
                           to_sequence(args, "args"),
                           to_entries(kwargs, "kwargs"),
                           {},
                           to_deadline(timeout_ms),
                           depth};
      return std::unique_ptr<python_stream, leave_to_parent<python_stream>>(
        new python_stream{stream_reader::open(node().streams, std::move(x))});
    },
    guard());
}

} // namespace hornbeam::pybridge
