#include "runtime/base/runtime_directory.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include <sys/stat.h>
#include <unistd.h>

namespace hornbeam::runtime {

namespace {

/// What the environment says; systemd gives a folder for each word of a unit's
/// RuntimeDirectory=.
std::string given_directory() {
  const char* given = std::getenv("RUNTIME_DIRECTORY");
  std::istringstream all{given ? given : ""};
  for (std::string x; std::getline(all, x, ':');)
    if (!x.empty())
      return x;
  return {};
}

std::string default_directory() {
  return "/dev/shm/hornbeam-" + std::to_string(::geteuid());
}

} // namespace

std::string runtime_directory() {
  auto out = given_directory();
  if (out.empty()) {
    out = default_directory();
    make_private_folder(out);
  }
  return out;
}

std::string find_runtime_directory() {
  auto out = given_directory();
  if (out.empty()) {
    out = default_directory();
    struct stat found {};
    if (::lstat(out.c_str(), &found) == 0)
      require_private_folder(out, found);
  }
  return out;
}

void make_private_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    throw std::runtime_error("can't make the folder " + path + ": "
                             + std::strerror(errno));
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0)
    throw std::runtime_error("can't look at the folder " + path + ": "
                             + std::strerror(errno));
  require_private_folder(path, found);
}

void require_private_folder(const std::string& path, const struct stat& found) {
  if (!S_ISDIR(found.st_mode))
    throw std::runtime_error("can't use " + path
                             + " as a folder: " + std::strerror(ENOTDIR));
  if (found.st_uid != ::geteuid())
    throw std::runtime_error("the folder " + path
                             + " belongs to another user; set "
                               "RUNTIME_DIRECTORY to one of your own");
}

} // namespace hornbeam::runtime
