#include <map>
#include <sstream>
#include <string>

#include "actors/plugin.hpp"
#include "runtime/call/failures.hpp"

// A plug-in: a node that is started with
//
//     hornbeam node --config node.toml --plugin
//     build/release/samples/libwords.so
//
// has a function in C++, call("count_words", text), and a hook,
// execute("words", "frequency", text), which can be a task and then reports
// how many words it has seen.

using namespace hornbeam;
using actors::invocation;
using runtime::outcome;
using runtime::term;

namespace {

std::string text_of(const invocation& x) {
  if (x.args.size() != 1 || !x.args[0].is(term::kind::string))
    throw runtime::bad_term(x.target + " takes one text");
  return std::string{x.args[0].text()};
}

outcome count_words(const invocation& x) {
  std::istringstream in{text_of(x)};
  std::int64_t count = 0;
  for (std::string word; in >> word;)
    ++count;
  return term{count};
}

outcome frequency(const invocation& x) {
  if (x.action != "frequency")
    return runtime::not_there("action", x.action, "the hook " + x.target);
  std::istringstream in{text_of(x)};
  std::map<std::string, std::int64_t> counts;
  std::int64_t seen = 0;
  for (std::string word; in >> word; ++counts[word]) {
    if (x.task) // null in a plain call
      x.task->progress(term{++seen});
  }
  term::entries out;
  for (auto& [word, count] : counts)
    out.emplace_back(term::string(word), term{count});
  return term::map(std::move(out));
}

} // namespace

HORNBEAM_PLUGIN("words", services) {
  services.functions.add("count_words", actors::make_function(count_words));
  services.hooks.add("words", actors::make_function(frequency));
}
