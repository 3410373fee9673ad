#pragma once

#include <cstdint>
#include <string>

#include "actors/services.hpp"

namespace hornbeam::actors {

/// Rises whenever a class that plug-ins see changes its layout or its meaning:
/// a plug-in works only with the number that it was built with.
inline constexpr std::uint32_t plugin_abi = 3;

/// What a shared library exports under the name `hornbeam_plugin`. The first
/// member stays the first for ever, so that each version can read it.
struct plugin_entry {
  std::uint32_t abi;
  const char* name;
  void (*start)(services&);
};

/// Loads the plug-in in the file `path`, for good: its code may be in use
/// until the process ends. To load it again is to find it. Raises `failed`,
/// which names the file, if it can't be used.
const plugin_entry& load_plugin(const std::string& path);

/// Lets a plug-in register what it has. Raises `failed`, which names it, if
/// that raises.
void start_plugin(const plugin_entry& x, services& at);

} // namespace hornbeam::actors

/// Makes a shared library a plug-in. What follows is run when a node starts:
///
///     HORNBEAM_PLUGIN("words", services) {
///       services.functions.add("count_words", make_function(...));
///     }
#define HORNBEAM_PLUGIN(plugin_name, argument)                                 \
  static void hornbeam_plugin_start(::hornbeam::actors::services&);            \
  extern "C" {                                                                 \
  [[gnu::visibility("default")]] extern const ::hornbeam::actors::plugin_entry \
    hornbeam_plugin;                                                           \
  const ::hornbeam::actors::plugin_entry hornbeam_plugin                       \
    = {::hornbeam::actors::plugin_abi, plugin_name, &hornbeam_plugin_start};   \
  }                                                                            \
  static void hornbeam_plugin_start(::hornbeam::actors::services& argument)
