#include "runtime/call/failures.hpp"

namespace hornbeam::runtime {

failure node_ended() {
  return {error_code::ended, "this node has ended"};
}

failure not_begun() {
  auto x = node_ended();
  x.unsent = true;
  return x;
}

failure too_much_to_send(const std::string& node) {
  return {error_code::overloaded, "too much is waiting to be sent to " + node,
          node};
}

failure node_down(const std::string& node) {
  return {error_code::no_connection, "the node " + node + " is down", node};
}

failure not_a_node() {
  return {error_code::refused, "not a hornbeam node"};
}

failure no_answer(const std::string& what, const std::string& node) {
  return {error_code::timeout, what + ": no answer in time", node};
}

failure too_late() {
  return {error_code::timeout,
          "the deadline passed before the call was started"};
}

failure too_much_waits(const std::string& from, const std::string& at) {
  return {error_code::overloaded,
          "as many calls of " + from + " wait on " + at
            + " as its link_buffer_bytes allow",
          at};
}

failure unanswered() {
  return {error_code::ended,
          "the call was dropped unanswered: its server has ended"};
}

failure not_there(const std::string& what, const std::string& name,
                  const std::string& where) {
  return {error_code::not_found, "no " + what + " '" + name + "' on " + where};
}

failure no_table(const std::string& name) {
  return {error_code::not_found, "there is no table '" + name + "'"};
}

failure left_to_parent(const std::string& what) {
  return {error_code::ended,
          "this " + what + " belongs to the process that forked"};
}

} // namespace hornbeam::runtime
