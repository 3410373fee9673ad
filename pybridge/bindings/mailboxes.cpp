#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/calls/completions.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/calls/python_mailbox.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/scheduler/coroutine_process.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

using kind = python_mailbox::kind;

/// The one topic that is wanted, if there is one.
std::optional<std::string> wanted(const py::object& topic) {
  if (topic.is_none())
    return std::nullopt;
  return to_text(topic, "topic");
}

python_mailbox::selection answers_to(const py::object& ref) {
  python_mailbox::selection out;
  if (!ref.is_none())
    out.ref = to_term(ref, "ref");
  return out;
}

/// (end, version), as `look` returns it.
python_mailbox::view seen_of(const py::tuple& x) {
  return {{}, x[0].cast<std::size_t>(), x[1].cast<std::uint64_t>()};
}

} // namespace

term address(py::handle to, const char* what) {
  auto x = to_term(to, what);
  if (x.is(term::kind::string))
    return term::atom(x.text());
  if (x.is(term::kind::pid) || x.is(term::kind::atom)
      || (x.is(term::kind::reference) && x.as_reference().owner != 0))
    return x;
  auto is_name = [](const term& n) {
    return n.is(term::kind::string) || n.is(term::kind::atom);
  };
  if (x.is(term::kind::tuple) && x.items().size() == 2 && is_name(x.items()[0])
      && is_name(x.items()[1])) {
    auto& n = *node().node;
    return term::tuple_of(
      term::atom(x.items()[0].text()),
      term::atom(n.full_name(std::string{x.items()[1].text()})));
  }
  PyErr_Format(PyExc_TypeError,
               "messages go to a pid, an alias, a name or (name, node), not "
               "to %R",
               to.ptr());
  throw py::error_already_set();
}

namespace {

/// False: `me` has been ended. What it has sent before that comes before the
/// news of its end.
bool send_by(python_mailbox* me, py::handle to, py::handle message) {
  auto whom = address(to, "to");
  auto x = to_term(message, "message");
  auto& processes = node().node->processes();
  if (whom.is(term::kind::atom) && !processes.whereis(std::string{whom.text()}))
    raise({error_code::not_found,
           "no process has the name '" + std::string{whom.text()} + "'"});
  bool near = whom.is(term::kind::pid) ? processes.is_local(whom.as_pid())
                                       : !whom.is(term::kind::tuple);
  std::optional<without_gil> free;
  if (!near) // a large message for another node takes a while to encode
    free.emplace();
  try {
    if (me != nullptr)
      me->send(whom, std::move(x));
    else
      processes.send(whom, std::move(x));
  } catch (const erlang_error&) {
    // It has lost its name since: as if it had ended a moment later.
  } catch (const process_killed&) {
    return false;
  }
  return true;
}

py::object send(py::handle to, py::handle message) {
  if (!send_by(spawned_caller().get(), to, message))
    made(PyObject_CallNoArgs(python().refuse_dead));
  return py::none();
}

py::object send_by_nobody(py::handle to, py::handle message) {
  send_by(nullptr, to, message);
  return py::none();
}

} // namespace

void bind_mailboxes(py::module_& m) {
  using guard = py::call_guard<native_call>;

  py::class_<python_mailbox, std::shared_ptr<python_mailbox>>(m, "Mailbox")
    .def(py::init([](bool spawned) { return make_mailbox(spawned); }),
         py::arg("spawned") = false, guard())
    .def_property_readonly("pid",
                           [](python_mailbox& x) { return to_python(x.pid()); })
    .def_property_readonly("closed",
                           [](python_mailbox& x) { return x.closed(); })
    .def_property_readonly("alive", [](python_mailbox& x) { return x.alive(); })
    .def_property_readonly("told", [](python_mailbox& x) { return x.told(); })
    // Raises if another process has ended it.
    .def("check", &python_mailbox::check, guard())
    .def("__len__", [](python_mailbox& x) { return x.size(); })
    .def(
      "subscribe",
      [](python_mailbox& x, const py::object& topic) {
        return x.subscribe(to_text(topic, "topic"));
      },
      guard())
    .def(
      "unsubscribe",
      [](python_mailbox& x, const py::object& topic) {
        return x.unsubscribe(to_text(topic, "topic"));
      },
      guard())
    // What a topic (or `topic`) has sent first: (topic, body), or None.
    .def(
      "receive_topic",
      [](python_mailbox& x, const py::object& timeout_ms,
         const py::object& topic) -> py::object {
        auto until = to_deadline(timeout_ms);
        auto got = x.receive({kind::of_topics, wanted(topic)}, until);
        if (!got)
          return py::none();
        auto items = got->items();
        return py::make_tuple(to_python(items[1]), to_python(items[2]));
      },
      py::arg("timeout_ms"), py::arg("topic") = py::none(), guard())
    // What a process has sent first, or `fallback`. With `ref`, only answers
    // that bear it.
    .def(
      "receive",
      [](python_mailbox& x, const py::object& timeout_ms,
         const py::object& fallback, const py::object& ref) {
        auto got = x.receive(answers_to(ref), to_deadline(timeout_ms));
        return got ? to_message(*got) : fallback;
      },
      py::arg("timeout_ms"), py::arg("fallback") = py::none(),
      py::arg("ref") = py::none(), guard())
    // Answers when there is something to receive, perhaps for nothing; returns
    // a number for `forget_notice`.
    .def(
      "notify",
      [](python_mailbox& x, const std::shared_ptr<completions>& c,
         std::uint64_t key, const py::object& ref) {
        return x.notify_once(answers_to(ref), [c, key] {
          c->add({key, term{}, nullptr});
        });
      },
      guard())
    .def(
      "notify_of_topic",
      [](python_mailbox& x, const std::shared_ptr<completions>& c,
         std::uint64_t key, const py::object& topic) {
        return x.notify_once({kind::of_topics, wanted(topic)}, [c, key] {
          c->add({key, term{}, nullptr});
        });
      },
      guard())
    // The messages behind what `seen` says has been looked at, each with its
    // place, and what has been seen by now: (end, version).
    .def(
      "look",
      [](python_mailbox& x, const py::tuple& seen) {
        auto found = x.look({}, seen_of(seen));
        py::list out;
        for (auto& [place, message] : found.messages)
          out.append(py::make_tuple(place, to_message(message)));
        return py::make_tuple(out, py::make_tuple(found.end, found.version));
      },
      guard())
    // Takes the message that is at `place`; false if some have left since.
    .def(
      "take",
      [](python_mailbox& x, std::size_t place, std::uint64_t version) {
        return x.take_at(place, version).has_value();
      },
      guard())
    .def(
      "wait_for_more",
      [](python_mailbox& x, const py::tuple& seen,
         const py::object& timeout_ms) {
        return x.wait_for_more(seen_of(seen), to_deadline(timeout_ms));
      },
      guard())
    .def(
      "notify_of_more",
      [](python_mailbox& x, const std::shared_ptr<completions>& c,
         std::uint64_t key, const py::tuple& seen) {
        return x.notify_of_more(seen_of(seen), [c, key] {
          c->add({key, term{}, nullptr});
        });
      },
      guard())
    .def_property_readonly("end_reason",
                           [](python_mailbox& x) -> py::object {
                             auto r = x.end_reason();
                             return r ? to_python(*r) : py::none();
                           })
    .def("forget_notice", &python_mailbox::forget_notice, guard())
    .def(
      "close",
      [](python_mailbox& x, const py::object& reason) {
        if (reason.is_none())
          x.close();
        else
          x.close(exit_reason(reason));
      },
      py::arg("reason") = py::none(), guard());
  bind_processes(m);

  def_fast<send, "send", "to, message">(m, "Sends a message.");
  def_fast<send_by_nobody, "send_by_nobody", "to, message">(
    m, "The same, whoever calls, and whether that has been ended.");
  // Raises what sending it would raise.
  m.def(
    "check_sendable",
    [](const py::object& x) { static_cast<void>(to_term(x, "value")); },
    guard());
  m.def(
    "publish",
    [](const py::object& topic, const py::object& body) {
      auto name = to_text(topic, "topic");
      auto x = to_term(body, "message");
      bool joined = wait_until_joined();
      auto& app = node();
      auto& t = app.topics;
      without_gil free;
      // Else it is sent as soon as this node has joined.
      auto send = [&t, name, x] { t.publish(name, x); };
      if (!joined && app.node->when_joined(send))
        return t.count(name);
      return t.publish(name, x);
    },
    guard());
  m.def(
    "subscribers",
    [](const py::object& topic) {
      wait_until_joined();
      return node().topics.count(to_text(topic, "topic"));
    },
    guard());
  m.def(
    "topic_names",
    [] {
      wait_until_joined();
      return list_of_text(node().topics.directory().names());
    },
    guard());
}

} // namespace hornbeam::pybridge
