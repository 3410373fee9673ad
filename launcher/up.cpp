#include <filesystem>

#include "config/load.hpp"
#include "launcher/commands.hpp"
#include "launcher/supervisor.hpp"

namespace hornbeam::launcher {

int run_up(const up_options& opts) {
  auto cluster = config::load(opts.config);
  std::string node;
  std::string script;
  if (!opts.run.empty()) {
    auto colon = opts.run.find(':');
    if (colon == std::string::npos || colon + 1 == opts.run.size())
      throw config::config_error("hornbeam: --run takes NODE:SCRIPT, as "
                                 "web:app.py, not "
                                 + opts.run);
    node = config::find_node(cluster, opts.run.substr(0, colon)).node.name;
    script = opts.run.substr(colon + 1);
    if (!std::filesystem::exists(script))
      throw config::config_error("hornbeam: there is no script " + script);
  }
  return supervisor{cluster, opts.config, node, script}.run();
}

} // namespace hornbeam::launcher
