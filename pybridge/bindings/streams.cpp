#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/completions.hpp"
#include "pybridge/values/convert.hpp"
#include "runtime/net/event_loop.hpp"

namespace hornbeam::pybridge {

using namespace runtime;
using actors::stream_reader;

namespace {

/// A stream as Python holds it.
struct python_stream {
  /// Raises in a forked child: streams stay with the parent.
  stream_reader& get() const {
    if (created_in != fork_generation())
      raise(left_to_parent("stream"));
    return *reader;
  }

  /// Whether something has come.
  bool poll() {
    if (!last)
      items = get().take();
    return last || !items.empty();
  }
  /// The same, before `until`. Without Python's lock.
  bool fetch(clock::time_point until) {
    items = reader->next(until);
    return !items.empty();
  }
  /// `(more, chunks)`. What the handler raised is raised after the chunks that
  /// came before it.
  py::object take() {
    py::list chunks;
    for (auto& x : items) {
      if (auto* chunk = std::get_if<term>(&x))
        chunks.append(to_python(*chunk));
      else
        last = std::move(x);
    }
    items.clear();
    if (last && chunks.empty())
      if (auto* why = std::get_if<failure>(&*last))
        raise(*why);
    bool more = !last || std::holds_alternative<failure>(*last);
    return py::make_tuple(more, chunks);
  }

  std::shared_ptr<stream_reader> reader;
  std::uint32_t created_in = fork_generation();
  std::vector<stream_reader::item> items = {};
  std::optional<stream_reader::item> last = {};
};

} // namespace

void bind_streams(py::module_& m) {
  using guard = py::call_guard<native_call>;

  using holder = std::unique_ptr<python_stream, leak_after_fork<python_stream>>;
  py::class_<python_stream, holder>(m, "Stream")
    .def(
      "next",
      [](python_stream& s, const py::object& timeout_ms) {
        // What is there already needs no wait, and Python's lock is kept.
        if (!s.poll()) {
          auto until = to_deadline(timeout_ms);
          bool ready = wait_until_ready([&](auto at) { return s.fetch(at); },
                                        until);
          if (!ready)
            raise({error_code::timeout, "stream: no chunk in time"});
        }
        return s.take();
      },
      guard())
    // What is there now, or None.
    .def(
      "poll",
      [](python_stream& s) -> py::object {
        return s.poll() ? s.take() : py::none();
      },
      guard())
    .def(
      "notify",
      [](python_stream& stream, const std::shared_ptr<completions>& c,
         std::uint64_t key) {
        auto& s = stream.get();
        s.start();
        s.notify_once([c, key] { c->add({key, term{}, nullptr}); });
      },
      guard())
    .def(
      "close",
      [](python_stream& s) {
        if (s.created_in != fork_generation())
          return;
        without_gil free;
        event_loop::batch_sends_scope here; // nobody waits for that
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
      return std::unique_ptr<python_stream, leak_after_fork<python_stream>>(
        new python_stream{stream_reader::open(node().streams, std::move(x))});
    },
    guard());
}

} // namespace hornbeam::pybridge
