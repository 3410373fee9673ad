#include <iostream>

#include "launcher/cluster_client.hpp"
#include "launcher/term_json.hpp"

namespace hornbeam::launcher {

using namespace runtime;

int run_rpc(const rpc_options& opts) {
  cluster_client client{opts.where};
  term::sequence args;
  for (auto& x : opts.args)
    args.push_back(from_argument(x));
  auto slot = std::make_shared<reply_slot>();
  auto until = deadline::in(opts.timeout_ms);
  client.call(client.full_name(opts.node), opts.module, opts.function,
              std::move(args), until, responder{slot});
  // The node answers at the deadline; what is late by more is lost.
  auto patience = until.infinite() ? until.at
                                   : until.at + std::chrono::seconds(1);
  if (!slot->wait_until(patience)) {
    std::cerr << "hornbeam: no answer within " << opts.timeout_ms << " ms\n";
    return 1;
  }
  auto result = slot->take();
  if (!result) {
    std::cerr << "hornbeam: " << describe(result.error()) << '\n';
    return 1;
  }
  std::cout << to_json(*result) << std::endl;
  return std::cout ? 0 : 1;
}

} // namespace hornbeam::launcher
