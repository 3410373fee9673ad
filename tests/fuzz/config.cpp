#include "fuzz.hpp"

#include "config/error.hpp"
#include "config/load.hpp"

// Files of configuration: they are used, or refused with the file's name.

using namespace hornbeam::config;
using namespace hornbeam::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const file f{".toml"};
  f.write(text_of(data, size));
  auto attempt = [](auto load) {
    try {
      load(f.path());
    } catch (const config_error& e) {
      must(std::string_view{e.what()}.starts_with(f.path()),
           "a complaint names the file");
    }
  };
  attempt(load_node);
  attempt(load_cluster);
  attempt(load);
  return 0;
}
