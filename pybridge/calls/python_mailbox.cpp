#include "pybridge/calls/python_mailbox.hpp"

#include <thread>
#include <unordered_set>

#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"
#include "runtime/term/atoms.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

/// Those that are open, of this process and those that it was forked from.
/// Guarded by Python's lock; left behind at exit.
constexpr std::size_t few = 100; // messages

auto& open_ones = *new std::unordered_set<python_mailbox*>;

} // namespace

python_mailbox::python_mailbox(bool spawned)
  : spawned_(spawned),
    services_(node()),
    process_(services_.node->processes()) {
  open_ones.insert(this);
}

python_mailbox::python_mailbox(std::shared_ptr<attached_process::turns> t,
                               void* code)
  : spawned_(true),
    services_(node()),
    process_(services_.node->processes(), std::move(t), code) {
  open_ones.insert(this);
}

bool python_mailbox::accepts::operator()(const term& x) const {
  if (!of.ref.is_none()) {
    if (!x.is(term::kind::tuple))
      return false;
    auto items = x.items();
    return (!items.empty() && items[0] == of.ref)
           || (items.size() > 1 && items[1] == of.ref);
  }
  if (of.of == kind::of_processes)
    return by.spawned_ || !actors::is_topic_message(x);
  return actors::is_topic_message(x)
         && (!of.topic || x.items()[1].text() == *of.topic);
}

void python_mailbox::raise_ended() {
  told_ = true;
  raise({error_code::ended,
         to_string(pid()) + " has been ended by another process"});
}

attached_process& python_mailbox::process() {
  if (!ours())
    raise(left_to_parent("mailbox"));
  check();
  return process_;
}

void python_mailbox::check() {
  if (!closed() && !process_.alive())
    raise_ended();
}

bool python_mailbox::subscribe(const std::string& topic) {
  return services_.topics.subscribe(topic, process().pid());
}

bool python_mailbox::unsubscribe(const std::string& topic) {
  return services_.topics.unsubscribe(topic, process().pid());
}

std::optional<term> python_mailbox::receive(const selection& of,
                                            deadline until) {
  auto& from = process();
  accepts wanted{*this, of};
  std::optional<term> out;
  bool ended = false;
  wait_until_ready(
    [&](auto at) {
      try {
        out = from.receive(wanted, {at});
      } catch (const process_killed&) {
        ended = true;
      }
      return out || ended;
    },
    until);
  if (ended && !closed_)
    raise_ended();
  return out;
}

std::uint64_t python_mailbox::notify_once(const selection& of,
                                          std::function<void()> f) {
  return process().notify_once(accepts{*this, of}, std::move(f));
}

python_mailbox::view python_mailbox::look(const selection& of,
                                          const view& before) {
  return act([&](self) { return process_.look(accepts{*this, of}, before); });
}

std::optional<term> python_mailbox::take_at(std::size_t place,
                                            std::uint64_t version) {
  return act([&](self) { return process_.take_at(place, version); });
}

bool python_mailbox::wait_for_more(const view& seen, deadline until) {
  auto& from = process();
  bool ended = false;
  bool more = wait_until_ready(
    [&](auto at) {
      try {
        return from.wait_for_more(seen, {at});
      } catch (const process_killed&) {
        return ended = true;
      }
    },
    until);
  if (ended && !closed_)
    raise_ended();
  return more;
}

std::uint64_t python_mailbox::notify_of_more(const view& seen,
                                             std::function<void()> f) {
  return process().notify_of_more(seen, std::move(f));
}

std::optional<term> python_mailbox::end_reason() const {
  if (!ours() || process_.alive())
    return std::nullopt;
  auto out = process_.end_reason();
  if (!out) { // whoever ends it is about to say so
    without_gil free;
    while (!(out = process_.end_reason()))
      std::this_thread::yield();
  }
  return out;
}

void python_mailbox::forget_notice(std::uint64_t number) {
  if (ours())
    process_.forget_notice(number);
}

void python_mailbox::close(term reason) {
  if (closed())
    return;
  closed_ = true;
  open_ones.erase(this);
  std::optional<without_gil> free;
  if (process_.owns_tables() || process_.queue_length() > few)
    free.emplace(); // what it leaves takes a while
  process_.detach(std::move(reason));
}

void python_mailbox::close_all() {
  for (auto all = open_ones; auto* x : all)
    x->close();
}

void raise_mistake(const erlang_error& e) {
  std::string text = e.what();
  if (e.reason == atoms::noproc)
    raise({error_code::not_found, text});
  if (e.reason.is_atom("system_limit"))
    raise({error_code::ended, text});
  set_error(PyExc_ValueError, text);
  throw py::error_already_set();
}

py::object to_message(const term& x) {
  if (!actors::is_topic_message(x))
    return to_python(x);
  auto items = x.items();
  return py::make_tuple("topic", to_python(items[1]), to_python(items[2]));
}

std::uint64_t calling_process() {
  auto box
    = made(into_python([] { return PyObject_CallNoArgs(python().caller); }));
  if (box.is_none())
    return 0;
  return py::cast<python_mailbox&>(box).pid().as_pid().serial;
}

} // namespace hornbeam::pybridge
