#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "config/json.hpp"
#include "config/load.hpp"
#include "launcher/commands.hpp"
#include "launcher/output.hpp"

namespace hornbeam::launcher {

namespace {

namespace fs = std::filesystem;

/// Runs `hornbeam._node.main(config, script)` with our packages first, then
/// whatever the user has in PYTHONPATH. What these are called by children of
/// the node is not changed: nothing goes through the environment.
constexpr const char* bootstrap = R"(
import sys
del sys.path[:1 - sys.flags.safe_path]  # the working folder, put there by -c
packages, config, *script = sys.argv[1:]
if packages:
    sys.path.insert(0, packages)
sys.argv = script or ["hornbeam"]
try:
    from hornbeam import _node
except ImportError as e:
    sys.exit(f"hornbeam: {sys.executable} can't import hornbeam: {e}")
sys.exit(_node.main(open(int(config)).read(), *script))
)";

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// Where the packages are that belong to this binary. Empty: where the
/// interpreter finds them by itself, as those of a wheel.
std::string packages() {
  if (auto named = from_environment("HORNBEAM_PYTHONPATH"); !named.empty())
    return named;
  auto here = fs::read_symlink("/proc/self/exe").parent_path();
  std::error_code none;
  if (fs::equivalent(here, HORNBEAM_BUILT_IN, none))
    return HORNBEAM_BUILT_PACKAGES;
  auto installed = (here / HORNBEAM_INSTALLED_PACKAGES).lexically_normal();
  return fs::exists(installed / "hornbeam", none) ? installed.string() : "";
}

/// A file in memory that the program we become can read.
int file_with(const std::string& text) {
  auto fd = ::memfd_create("hornbeam-node", 0);
  if (fd < 0)
    throw std::runtime_error(std::string{"can't make a file in memory: "}
                             + std::strerror(errno));
  write_all(fd, text);
  ::lseek(fd, 0, SEEK_SET);
  return fd;
}

/// Becomes the interpreter: as a program, not as a library, so that it is
/// whichever has our packages, with its own standard library. The process stays
/// the same, for whoever started it.
[[noreturn]] void become_python(const std::string& config,
                                const std::string& script) {
  auto python = from_environment("HORNBEAM_PYTHON");
  if (python.empty())
    python = HORNBEAM_PYTHON;
  std::vector<std::string> words{python, "-c", bootstrap, packages(),
                                 std::to_string(file_with(config))};
  if (!script.empty())
    words.push_back(script);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& x : words)
    argv.push_back(x.data());
  argv.push_back(nullptr);
  ::execv(python.c_str(), argv.data());
  throw std::runtime_error("can't run " + python + ": " + std::strerror(errno));
}

} // namespace

int run_node(const node_options& opts) {
  auto settings = opts.name.empty()
                    ? config::load_node(opts.config)
                    : config::find_node(config::load(opts.config), opts.name);
  if (!opts.script.empty() && !fs::exists(opts.script))
    throw config::config_error("hornbeam: there is no script " + opts.script);
  for (auto& x : opts.plugins)
    settings.plugins.push_back(fs::absolute(x).string());
  become_python(config::to_json(settings), opts.script);
}

} // namespace hornbeam::launcher
