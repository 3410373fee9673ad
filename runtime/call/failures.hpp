#pragma once

#include <string>

#include "runtime/call/outcome.hpp"

// Failures that are said in more than one place, or that are a rule for all.

namespace hornbeam::runtime {

/// The node of this process has ended, or is about to.
failure node_ended();
/// The same of what this node has not begun, and so may be sent to another one.
failure not_begun();
/// The node called `node` has left, or the connection to it is lost.
failure node_down(const std::string& node);
/// What connects, or answers, speaks another language.
failure not_a_node();

/// Who asked `what` waits no longer; `node` is whose answer it was, if
/// another's.
failure no_answer(const std::string& what, const std::string& node = {});
/// Nobody waits any more, so it is not begun.
failure too_late();
/// As much as may waits to be sent to `node`.
failure too_much_to_send(const std::string& node);
/// As much of the calls of `from` waits on the node `at` as may.
failure too_much_waits(const std::string& from, const std::string& at);
/// Who was to answer has dropped the call.
failure unanswered();

/// No hook, function or module (`what`) of that name is `where`.
failure not_there(const std::string& what, const std::string& name,
                  const std::string& where);
failure no_table(const std::string& name);
/// What a forked child has of its parent and can't use, as "stream".
failure left_to_parent(const std::string& what);

} // namespace hornbeam::runtime
