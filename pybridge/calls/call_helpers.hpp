#pragma once

#include <functional>

#include "pybridge/calls/jobs.hpp"
#include "pybridge/gil/engine.hpp"
#include "pybridge/gil/gil.hpp"
#include "runtime/call/reply.hpp"

namespace hornbeam::pybridge {

/// The node of this process; starts it at the first call.
actors::services& node();

/// A timeout in milliseconds; None and absurdly large ones mean none.
/// Raises TypeError, and ValueError for NaN.
runtime::deadline to_deadline(const py::object& timeout_ms);

/// Waits without Python's lock until `wait`, which sleeps until the moment that
/// it is given, says true or `until` has passed. A thread sleeps all that time;
/// the main thread wakes from time to time to run Python's signal handlers, so
/// Ctrl-C works. If given, does `first` before, without the lock as well.
bool wait_until_ready(
  const std::function<bool(runtime::clock::time_point)>& wait,
  runtime::deadline until, const std::function<void()>& first = nullptr);

/// Waits for what fills a slot, as `wait_until_ready` does.
runtime::outcome wait_for(const runtime::reply_slot_ptr& slot,
                          runtime::deadline until, const std::string& what,
                          const std::function<void()>& first = nullptr);

/// Returns when this node has joined those that it joins at its start, if any.
/// False: it has not, and this thread must not wait, as it runs an event loop.
bool wait_until_joined();
/// Waits until the connected nodes know what `from` has announced, a second at
/// the most.
void wait_until_known(actors::directory& from);

/// Calls `send` without Python's lock (a large value takes a while to encode)
/// and waits for the answer.
runtime::outcome ask(const std::function<void(runtime::responder)>& send,
                     runtime::deadline until, const std::string& what);

runtime::term::sequence to_sequence(const py::object& xs, const char* root);
runtime::term::entries to_entries(const py::dict& xs, const char* root);
/// What `name` is to be called with.
actors::invocation make_invocation(
  const std::string& name, const std::string& action, const py::object& args,
  const py::dict& kwargs, runtime::deadline until, std::uint32_t depth);
py::object list_of_text(const std::vector<std::string>& xs);

} // namespace hornbeam::pybridge
