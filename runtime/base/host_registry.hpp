#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hornbeam::runtime {

/// The nodes of this user on this host, one small file each: how a name leads
/// to an address when nothing else says so.
///
/// An entry counts as long as its process holds a lock on the file, an
/// open-file-description lock, which ends with the process however that ends.
/// The number of the process is only told: containers may share the folder.
/// Entries of the dead are removed by whoever meets them.
///
/// Any thread may look; one at a time claims, publishes and withdraws.
class host_registry {
public:
  struct entry {
    std::string name;
    std::string address;
    long process = 0;
    bool silent = false; ///< somebody has waited for its answer in vain
  };

  /// Touches no file: only who joins others needs any. The name of the cluster
  /// is that of a folder.
  explicit host_registry(std::string cluster);
  /// Removes the entry.
  ~host_registry();
  host_registry(const host_registry&) = delete;
  host_registry& operator=(const host_registry&) = delete;

  /// Holds a name, under which nobody is found yet. Who has it may be about to
  /// end and is waited for, at most half a second; then, or if the system won't
  /// have it, raises `std::runtime_error`, with the number of that process or
  /// the system's reason. One name at a time.
  void claim(const std::string& name);
  /// The same without waiting; false if somebody has it.
  bool try_claim(const std::string& name);
  /// Whether that name is held.
  bool holds(const std::string& name) const;
  /// From now on the name that is held leads to `here` on this host. Another
  /// host may see the folder too, as a container does: from there it leads to
  /// `elsewhere`.
  void publish(const std::string& here, const std::string& elsewhere);
  void publish(const std::string& address) { publish(address, address); }
  /// Removes the entry, if there is one.
  void withdraw() noexcept;

  /// The address of a node whose process lives. Nothing if the folder can't be
  /// looked into: the name may lead somewhere without it.
  std::optional<std::string> find(const std::string& name) const;
  /// All nodes whose processes live, by name; raises `std::runtime_error` if
  /// the folder can't be looked into.
  std::vector<entry> all() const;

  /// Notes whether that node answers, for all who look from now on.
  void set_silent(const std::string& name, bool on) const noexcept;

  /// Leaves the entry and its lock to whoever owns them, as a forked child
  /// must: the lock would live as long as either.
  void disown() noexcept;

private:
  /// The process that has it all the same then; 0: it is not known.
  std::optional<long> claim_within(const std::string& name,
                                   std::chrono::milliseconds patience);

  const std::string cluster_;
  std::string path_;    ///< of the entry
  int descriptor_ = -1; ///< which holds the lock
  std::uint32_t generation_ = 0;
};

} // namespace hornbeam::runtime
