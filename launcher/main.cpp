#include <exception>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "config/error.hpp"
#include "launcher/commands.hpp"
#include "runtime/base/version.hpp"

using namespace hornbeam;

namespace {

void add_cluster_options(CLI::App& cmd, launcher::cluster_options& out) {
  auto* config = cmd.add_option("--config", out.config,
                                "Configuration of the cluster or of one of "
                                "its nodes");
  auto* cluster = cmd.add_option("--cluster", out.cluster,
                                 "Name of the cluster (default: hornbeam)");
  cmd.add_option("--secret", out.secret,
                 "PEM file with the cluster's key and certificate");
  cluster->excludes(config);
}

/// No file that we open shall become a stream that whoever started us closed.
void open_standard_streams() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0)
      ::open("/dev/null", O_RDWR);
}

/// What is left of the arguments is the call's: CLI11 would take brackets
/// and minus signs in it for its own.
std::vector<std::string> call_arguments(const CLI::App& cmd) {
  auto out = cmd.remaining();
  for (auto& x : out)
    if (x.starts_with("--"))
      throw CLI::ExtrasError{cmd.get_name(), {x}};
  return out;
}

int run(int argc, char** argv) {
  CLI::App app{"Hornbeam: Erlang-like nodes for Python"};
  app.set_version_flag("--version",
                       "hornbeam " + std::string{runtime::version()});
  app.require_subcommand(1);
  app.footer("Example: hornbeam up config/demo.toml --run web:app.py");

  launcher::node_options node_opts;
  auto* node = app.add_subcommand("node", "Run one node in this process");
  node->add_option("--config", node_opts.config, "Its configuration (TOML)")
    ->required();
  node->add_option("--name", node_opts.name,
                   "Which node, if the file describes a cluster");
  node->add_option("--run", node_opts.script,
                   "A Python script to run; the node ends with it");
  node
    ->add_option("--plugin", node_opts.plugins,
                 "A plug-in in C++ to load; may be given several times")
    ->allow_extra_args(false); // one each time
  node->footer("Example: hornbeam node --config config/node.toml");

  launcher::up_options up_opts;
  auto* up = app.add_subcommand(
    "up", "Start the nodes of a cluster, watch and restart them");
  up->add_option("FILE", up_opts.config, "Configuration of the cluster (TOML)")
    ->required();
  up->add_option("--run", up_opts.run,
                 "NODE:SCRIPT, a Python script to run in one of the nodes; "
                 "the cluster ends with it and with its exit code");
  up->footer("Example: hornbeam up config/demo.toml --run web:app.py");

  launcher::rpc_options rpc_opts;
  auto* rpc = app.add_subcommand(
    "rpc", "Call a function on a node and print its result as JSON");
  rpc->add_option("NODE", rpc_opts.node, "Name of the node, as worker1")
    ->required();
  rpc->add_option("MODULE", rpc_opts.module, "A module that the node exports")
    ->required();
  rpc->add_option("FUNCTION", rpc_opts.function, "One of its functions")
    ->required();
  rpc
    ->add_option("--timeout", rpc_opts.timeout_ms,
                 "Milliseconds to wait (default: 5000)")
    ->check(CLI::PositiveNumber);
  add_cluster_options(*rpc, rpc_opts.where);
  rpc->allow_extras();
  rpc->footer("Further arguments are those of the function, each as JSON; "
              "what is no JSON is a string.\nExample: hornbeam rpc worker1 "
              "jobs add 1 '[2, 3]' hello --config config/demo.toml");

  launcher::cluster_options status_opts;
  auto* status = app.add_subcommand(
    "status", "Show the cluster's nodes that run on this host");
  add_cluster_options(*status, status_opts);
  status->footer("Example: hornbeam status --config config/demo.toml");

  launcher::state_options state_opts;
  auto* state = app.add_subcommand(
    "state",
    "List, check, save or remove the tables that processes of this host "
    "share");
  state->require_subcommand(1);
  auto* state_ls = state->add_subcommand("ls", "List them");
  auto* state_rm
    = state->add_subcommand("rm", "Remove some, with all that they hold");
  auto* state_check = state->add_subcommand(
    "check", "Look at all of some, or of all that ls shows, for damage; exit "
             "code 1 if there is any");
  auto* state_dump = state->add_subcommand(
    "dump", "Write all entries of one to a snapshot, which restore and "
            "tables.load read");
  auto* state_salvage = state->add_subcommand(
    "salvage", "The same with what can be read of a damaged one");
  auto* state_restore = state->add_subcommand(
    "restore", "Replace all entries of one by those of a snapshot; a damaged "
               "file that nobody uses is set aside");
  for (auto* cmd : {state_ls, state_rm, state_check, state_dump, state_salvage,
                    state_restore}) {
    auto* config = cmd->add_option("--config", state_opts.config,
                                   "Only the tables of this configuration");
    cmd
      ->add_option("--cluster", state_opts.cluster,
                   "Only the tables of this cluster")
      ->excludes(config);
  }
  constexpr auto names = "Names, as ls shows them, or paths of files";
  state_rm->add_option("TABLE", state_opts.tables, names)->required();
  state_check->add_option("TABLE", state_opts.tables, names);
  for (auto* cmd : {state_dump, state_salvage, state_restore}) {
    cmd
      ->add_option("TABLE", state_opts.table,
                   "Its name, as ls shows it, or the path of its file")
      ->required();
    cmd->add_option("FILE", state_opts.file, "The snapshot")->required();
    cmd->add_flag("--force", state_opts.force,
                  cmd == state_restore ? "Even if the table has entries"
                                       : "Even if there is such a file");
  }
  state_rm->add_flag("--force", state_opts.force,
                     "Even if processes use it: they get errors then");
  state->footer("Example: hornbeam state ls\n         hornbeam state rm "
                "workers/state");

  try {
    app.parse(argc, argv);
    if (*rpc)
      rpc_opts.args = call_arguments(*rpc);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (*node)
    return launcher::run_node(node_opts);
  if (*up)
    return launcher::run_up(up_opts);
  if (*rpc)
    return launcher::run_rpc(rpc_opts);
  if (*state_ls)
    return launcher::run_state_list(state_opts);
  if (*state_rm)
    return launcher::run_state_remove(state_opts);
  if (*state_check)
    return launcher::run_state_check(state_opts);
  if (*state_dump)
    return launcher::run_state_dump(state_opts);
  if (*state_salvage)
    return launcher::run_state_salvage(state_opts);
  if (*state_restore)
    return launcher::run_state_restore(state_opts);
  return launcher::run_status(status_opts);
}

} // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  try {
    return run(argc, argv);
  } catch (const config::config_error& e) {
    std::cerr << e.what() << '\n';
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "hornbeam: " << e.what() << '\n';
    return 1;
  }
}
