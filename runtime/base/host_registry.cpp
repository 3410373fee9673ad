#include "runtime/base/host_registry.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <sys/stat.h>
#include <unistd.h>

namespace hornbeam::runtime {

namespace {

std::string file_name(const std::string& x) {
  std::string out;
  for (char c : x)
    out += c == '/' ? '_' : c;
  return out;
}

/// What `path` says of the node called `name`, if its process lives.
std::optional<host_registry::entry> read(const std::string& name,
                                         const std::string& path) {
  std::ifstream in{path};
  host_registry::entry out{name, {}, 0};
  if (!(in >> out.process >> out.address))
    return std::nullopt;
  if (::kill(static_cast<pid_t>(out.process), 0) != 0 && errno == ESRCH)
    return std::nullopt;
  return out;
}

} // namespace

void make_private_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    throw std::runtime_error("can't make the folder " + path);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)
      || info.st_uid != ::geteuid())
    throw std::runtime_error("the folder " + path
                             + " belongs to another user; set "
                               "RUNTIME_DIRECTORY to one of your own");
}

std::string runtime_directory() {
  if (const char* dir = std::getenv("RUNTIME_DIRECTORY"); dir && *dir)
    return dir;
  auto dir = "/dev/shm/hornbeam-" + std::to_string(::geteuid());
  make_private_folder(dir);
  return dir;
}

host_registry::host_registry(const std::string& cluster) {
  folder_ = runtime_directory() + "/" + file_name(cluster);
  make_private_folder(folder_);
}

host_registry::~host_registry() {
  if (!published_.empty())
    ::unlink(published_.c_str());
}

void host_registry::publish(const std::string& name,
                            const std::string& address) {
  auto path = folder_ + "/" + file_name(name);
  auto beside = path + "~" + std::to_string(::getpid());
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
  auto found = read(name, folder_ + "/" + file_name(name));
  if (!found)
    return std::nullopt;
  return found->address;
}

std::vector<host_registry::entry> host_registry::all() const {
  std::vector<entry> out;
  std::error_code ignored;
  for (auto& file : std::filesystem::directory_iterator(folder_, ignored)) {
    auto name = file.path().filename().string();
    if (name.find('~') != std::string::npos)
      continue; // being written
    if (auto found = read(name, file.path()))
      out.push_back(std::move(*found));
  }
  std::sort(out.begin(), out.end(),
            [](auto& a, auto& b) { return a.name < b.name; });
  return out;
}

} // namespace hornbeam::runtime
