#include "runtime/settings/home_folder.hpp"

#include <cerrno>
#include <cstdlib>
#include <vector>

#include <pwd.h>
#include <unistd.h>

namespace hornbeam::runtime {

namespace {

std::string home_by_passwd() {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> room(1024);
  while (::getpwuid_r(::geteuid(), &entry, room.data(), room.size(), &found)
           == ERANGE
         && room.size() < (1 << 20))
    room.resize(room.size() * 2);
  return found && found->pw_dir ? found->pw_dir : "";
}

} // namespace

std::string home_folder() {
  const char* given = std::getenv("HOME");
  std::string out{given ? given : ""};
  if (!out.starts_with('/'))
    out = home_by_passwd();
  return out.starts_with('/') ? out : "";
}

} // namespace hornbeam::runtime
