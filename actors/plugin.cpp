#include "actors/plugin.hpp"

#include <filesystem>

#include <dlfcn.h>

namespace hornbeam::actors {

using namespace runtime;

namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw failed{error_code::bad_value, "the plug-in " + path + " " + why};
}

} // namespace

const plugin_entry& load_plugin(const std::string& path) {
  // dlopen would look for a name without a slash in the system's folders.
  auto file = std::filesystem::absolute(path);
  if (!std::filesystem::exists(file))
    refuse(path, "is not there");
  auto* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    refuse(path, std::string{"can't be loaded: "} + ::dlerror());
  auto* found = ::dlsym(library, "hornbeam_plugin");
  if (found == nullptr)
    refuse(path, "has no entry point: HORNBEAM_PLUGIN of actors/plugin.hpp "
                 "makes one");
  auto& entry = *static_cast<const plugin_entry*>(found);
  if (entry.abi != plugin_abi)
    refuse(path, "was built for version " + std::to_string(entry.abi)
                   + " of the plug-in interface, and this hornbeam has version "
                   + std::to_string(plugin_abi) + ": build it anew");
  return entry;
}

void start_plugin(const plugin_entry& x, services& at) {
  try {
    x.start(at);
  } catch (...) {
    throw failed{error_code::bad_value,
                 "the plug-in " + std::string{x.name}
                   + " can't start: " + current_failure().message};
  }
}

} // namespace hornbeam::actors
