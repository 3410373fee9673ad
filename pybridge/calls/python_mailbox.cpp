#include "pybridge/calls/python_mailbox.hpp"

#include <unordered_set>

#include "pybridge/calls/call_helpers.hpp"
#include "pybridge/gil/python_side.hpp"
#include "pybridge/values/c_api.hpp"
#include "pybridge/values/convert.hpp"

namespace hornbeam::pybridge {

using namespace runtime;

namespace {

/// Those that are open, of this process and those that it was forked from.
/// Guarded by Python's lock; left behind at exit.
auto& open_ones = *new std::unordered_set<python_mailbox*>;

auto accepts(python_mailbox::kind k, const std::optional<std::string>& topic) {
  return
    [&topic, of_topics = k == python_mailbox::kind::of_topics](const term& x) {
      return actors::is_topic_message(x) == of_topics
             && (!topic || x.items()[1].text() == *topic);
    };
}

} // namespace

python_mailbox::python_mailbox()
  : services_(node()), process_(services_.node->processes()) {
  open_ones.insert(this);
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

std::optional<term> python_mailbox::receive(
  kind k, deadline until, const std::optional<std::string>& topic) {
  auto& from = process();
  auto wanted = accepts(k, topic);
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

std::uint64_t python_mailbox::notify_once(
  kind k, const std::optional<std::string>& topic, std::function<void()> f) {
  return process().notify_once(accepts(k, topic), std::move(f));
}

void python_mailbox::forget_notice(std::uint64_t number) {
  if (ours())
    process_.forget_notice(number);
}

void python_mailbox::close() {
  if (closed())
    return;
  closed_ = true;
  open_ones.erase(this);
  without_gil free; // what it owned may be large, and others may hold its locks
  process_.detach();
}

void python_mailbox::close_all() {
  for (auto all = open_ones; auto* x : all)
    x->close();
}

std::uint64_t calling_process() {
  auto box
    = made(into_python([] { return PyObject_CallNoArgs(python().caller); }));
  if (box.is_none())
    return 0;
  return py::cast<python_mailbox&>(box).pid().as_pid().serial;
}

} // namespace hornbeam::pybridge
