#include "runtime/call/service.hpp"

#include "runtime/base/log.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

std::span<const term> checked_items(const term& op) {
  if (!op.is(term::kind::tuple) || op.items().empty()
      || !op.items()[0].is(term::kind::atom))
    throw bad_term("an operation is a tuple that starts with its name, not "
                   + to_string(op));
  return op.items();
}

} // namespace

operation::operation(const term& op)
  : name(checked_items(op)[0].text()), items_(op.items()) {}

const term& operation::arg(std::size_t i) const {
  if (i + 1 >= items_.size())
    throw bad_term("operation '" + name + "' lacks argument "
                   + std::to_string(i + 1));
  return items_[i + 1];
}

failure current_failure() {
  try {
    throw;
  } catch (const failed& e) {
    return e.why;
  } catch (const bad_term& e) {
    return {error_code::bad_type, e.what(), {}, "bad_term"};
  } catch (const decode_error& e) {
    return {error_code::bad_value, e.what(), {}, "decode_error"};
  } catch (const std::exception& e) {
    return {error_code::internal, e.what(), {}, "std::exception"};
  } catch (...) {
    return {error_code::internal, "an unknown C++ exception"};
  }
}

void refuse(call& c, const std::string& service, const failure& why) {
  if (c.reply) {
    c.reply(why);
    return;
  }
  if (why.code == error_code::ended)
    return;
  log::say_once_a_minute(log::level::warning, "node", {},
                         service + " refused " + c.from, [&] {
                           auto from = c.from.empty() ? "" : " of " + c.from;
                           return "a message" + from + " to '" + service
                                  + "' is lost: " + why.message;
                         });
}

} // namespace hornbeam::runtime
