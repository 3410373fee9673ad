#pragma once

#include <optional>
#include <string>
#include <vector>

namespace hornbeam::runtime {

/// The folder for what lives as long as this host runs: `$RUNTIME_DIRECTORY`,
/// else `/dev/shm/hornbeam-UID`. Made with mode 0700; raises
/// `std::runtime_error` if it belongs to somebody else.
std::string runtime_directory();
/// Makes a folder with mode 0700 unless it is there; raises
/// `std::runtime_error` if it belongs to somebody else.
void make_private_folder(const std::string& path);

/// The nodes of this user on this host, one small file each: how a name leads
/// to an address when nothing else says so.
class host_registry {
public:
  struct entry {
    std::string name;
    std::string address;
    long process = 0;
  };

  explicit host_registry(const std::string& cluster);
  /// Removes the entry.
  ~host_registry();
  host_registry(const host_registry&) = delete;
  host_registry& operator=(const host_registry&) = delete;

  void publish(const std::string& name, const std::string& address);
  /// The address of a node whose process lives.
  std::optional<std::string> find(const std::string& name) const;
  /// All nodes whose processes live, by name.
  std::vector<entry> all() const;
  /// Leaves the file to whoever owns it, as a forked child must.
  void disown() { published_.clear(); }

private:
  std::string folder_;
  std::string published_;
};

} // namespace hornbeam::runtime
