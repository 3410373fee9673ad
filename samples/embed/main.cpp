#include <iostream>
#include <memory>

#include "actors/services.hpp"

// A C++ program that is a node: it registers a function and calls it, as any
// node of its cluster could, in C++ or in Python: call("add", 1, 2).

using namespace hornbeam;
using runtime::term;

int main() {
  runtime::node_settings settings;
  settings.name = "embed@127.0.0.1";
  auto app = actors::services::start(settings);

  app->functions.add(
    "add",
    actors::make_function([](const actors::invocation& x) -> runtime::outcome {
      if (x.args.size() != 2)
        throw runtime::bad_term("add takes two numbers");
      return term{x.args[0].as_int() + x.args[1].as_int()};
    }));

  actors::invocation question;
  question.target = "add";
  question.args = {term{1}, term{2}};
  question.until = runtime::deadline::in(5000);

  // A call never blocks: the answer comes to the responder, here at once. The
  // thread that wants it waits at a slot.
  auto slot = std::make_shared<runtime::reply_slot>();
  app->functions.invoke(question, runtime::responder{[slot](auto answer) {
                          slot->set(std::move(answer));
                        }});
  slot->wait_until(question.until.at);
  auto answer = slot->take();
  if (!answer) {
    std::cerr << answer.error().message << '\n';
    return 1;
  }
  std::cout << "node " << app->node->name()
            << ": add(1, 2) = " << runtime::to_string(*answer) << '\n';
  app->stop();
}
