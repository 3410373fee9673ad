#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "runtime/base/small_map.hpp"
#include "runtime/process/processes.hpp"

namespace hornbeam::runtime {

/// A pid or a reference as a key.
struct mark_key {
  std::uint64_t start = 0;
  std::uint64_t serial = 0;
  bool operator==(const mark_key&) const = default;
};
struct mark_hash {
  std::size_t operator()(const mark_key& x) const noexcept {
    return x.start ^ (x.serial * 0x9e3779b97f4a7c15ull);
  }
};
inline mark_key key_of(const term& x) {
  if (x.is(term::kind::pid))
    return {x.as_pid().node->incarnation, x.as_pid().serial};
  return {x.as_reference().node->incarnation, x.as_reference().serial};
}

/// Who hears of the end of a process: another process, or a function.
struct processes::watcher {
  term ref; ///< of another node's process; ours have it in their own books
  term pid;
  std::function<void(const term&)> function;
  bool by_name = false; ///< of another node, which knows but a name
};

/// What a process has to do with others: most have nothing, and pay nothing.
struct relations {
  /// A monitor of this process.
  struct monitor {
    term ref;
    term target;      ///< a pid; or a name on the other node
    term reported;    ///< how the down message names it, if not by the target
    std::string node; ///< of another node, else empty
    bool is_alias = false;

    const term& shown() const noexcept {
      return reported.is_none() ? target : reported;
    }
  };

  struct unlinked {
    term pid;
    std::uint64_t id; ///< that the acknowledgement has
  };

  small_map<mark_key, term, mark_hash> links;
  /// Unlinks of processes of other nodes that those have not acknowledged:
  /// until then a link that they have sent is older than the unlink.
  std::unordered_map<mark_key, unlinked, mark_hash> unlinking;
  small_map<mark_key, processes::watcher, mark_hash> monitored_by;
  small_map<std::uint64_t, monitor> monitors; ///< by reference
  std::string name;
  bool owns_tables = false; ///< or did once
  std::unordered_map<term, term, term_hash> dictionary;
  std::unordered_set<std::uint64_t> timers;
};

/// While there is one, whoever ends the process waits before it tells others:
/// what the process is sending comes before the news of its end.
class sending {
public:
  explicit sending(std::atomic<bool>& flag) noexcept : flag_(flag) {
    flag_.store(true);
  }
  sending(const sending&) = delete;
  sending& operator=(const sending&) = delete;
  ~sending() { flag_.store(false, std::memory_order_release); }

private:
  std::atomic<bool>& flag_;
};

/// The end of a process that is still to be carried out.
struct processes::ending {
  process_ptr who;
  term reason;
};

} // namespace hornbeam::runtime
