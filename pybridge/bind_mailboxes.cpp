#include "pybridge/completions.hpp"
#include "pybridge/module.hpp"
#include "pybridge/python_mailbox.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

py::object message(const std::optional<topic_message>& x) {
  if (!x)
    return py::none();
  return py::make_tuple(text_to_python(x->topic), to_python(x->body));
}

mailbox::predicate only(const py::object& topic) {
  if (topic.is_none())
    return {};
  return [wanted = to_text(topic, "topic")](const topic_message& x) {
    return x.topic == wanted;
  };
}

} // namespace

void bind_mailboxes(py::module_& m) {
  using guard = py::call_guard<native_call>;

  using holder
    = std::unique_ptr<python_mailbox, leave_to_parent<python_mailbox>>;
  py::class_<python_mailbox, holder>(m, "Mailbox")
    .def(py::init<>(), guard())
    .def_property_readonly(
      "pid", [](python_mailbox& x) { return to_python(term{x.id()}); })
    .def_property_readonly("closed",
                           [](python_mailbox& x) { return x.closed(); })
    .def("__len__", [](python_mailbox& x) { return x.box()->size(); })
    .def(
      "subscribe",
      [](python_mailbox& x, const py::object& topic) {
        return node().topics.subscribe(to_text(topic, "topic"), x.box());
      },
      guard())
    .def(
      "unsubscribe",
      [](python_mailbox& x, const py::object& topic) {
        return node().topics.unsubscribe(to_text(topic, "topic"), x.box());
      },
      guard())
    // The first message (of `topic`, unless None): (topic, body), or None.
    .def(
      "receive",
      [](python_mailbox& x, const py::object& timeout_ms,
         const py::object& topic) {
        auto until = to_deadline(timeout_ms);
        auto match = only(topic);
        auto box = x.box();
        std::optional<topic_message> out;
        wait_in_slices(
          [&](auto at) {
            out = box->receive(at, match);
            return out || box->closed();
          },
          until);
        return message(out);
      },
      py::arg("timeout_ms"), py::arg("topic") = py::none(), guard())
    .def(
      "notify",
      [](python_mailbox& x, const std::shared_ptr<completions>& c,
         std::uint64_t key) {
        x.box()->notify_once([c, key] { c->add({key, term{}, false}); });
      },
      guard())
    .def("close", &python_mailbox::close, guard());

  m.def(
    "publish",
    [](const py::object& topic, const py::object& body) {
      auto name = to_text(topic, "topic");
      auto x = to_term(body, "message");
      auto& t = node().topics;
      without_gil free;
      return t.publish(name, x);
    },
    guard());
  m.def(
    "subscribers",
    [](const py::object& topic) {
      return node().topics.count(to_text(topic, "topic"));
    },
    guard());
  m.def(
    "topic_names",
    [] { return list_of_text(node().topics.directory().names()); }, guard());
}

} // namespace hornbeam::pybridge
