#include "runtime/host_registry.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include <sys/stat.h>
#include <unistd.h>

namespace hornbeam::runtime {

namespace {

void make_private(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    throw std::runtime_error("can't make the folder " + path);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)
      || info.st_uid != ::geteuid())
    throw std::runtime_error("the folder " + path
                             + " belongs to another user; set "
                               "RUNTIME_DIRECTORY to one of your own");
}

std::string file_name(const std::string& x) {
  std::string out;
  for (char c : x)
    out += c == '/' ? '_' : c;
  return out;
}

} // namespace

std::string runtime_directory() {
  if (const char* dir = std::getenv("RUNTIME_DIRECTORY"); dir && *dir)
    return dir;
  auto dir = "/dev/shm/hornbeam-" + std::to_string(::geteuid());
  make_private(dir);
  return dir;
}

host_registry::host_registry(const std::string& cluster) {
  folder_ = runtime_directory() + "/" + file_name(cluster);
  make_private(folder_);
}

host_registry::~host_registry() {
  if (!published_.empty())
    ::unlink(published_.c_str());
}

void host_registry::publish(const std::string& name,
                            const std::string& address) {
  auto path = folder_ + "/" + file_name(name);
  auto beside = path + "." + std::to_string(::getpid());
  {
    std::ofstream out{beside};
    out << ::getpid() << ' ' << address << '\n';
    if (!out)
      throw std::runtime_error("can't write " + beside);
  }
  if (::rename(beside.c_str(), path.c_str()) != 0)
    throw std::runtime_error("can't write " + path);
  published_ = path;
}

std::optional<std::string> host_registry::find(const std::string& name) const {
  auto path = folder_ + "/" + file_name(name);
  std::ifstream in{path};
  long process = 0;
  std::string address;
  if (!(in >> process >> address))
    return std::nullopt;
  if (::kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH)
    return std::nullopt;
  return address;
}

} // namespace hornbeam::runtime
