#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "actors/task.hpp"
#include "pybridge/gil/gil.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/call/reply.hpp"

namespace hornbeam::pybridge {

/// How answers reach an event loop: CAF's threads append them here and make
/// an eventfd readable; the loop's thread takes them. No thread waits, and
/// none takes Python's lock to deliver.
class completions : public std::enable_shared_from_this<completions> {
public:
  struct item {
    std::uint64_t key;
    runtime::outcome value;
    /// The result is a Python object of this process; the value is empty.
    actors::local_result_ptr local;
  };

  completions();
  ~completions();
  completions(const completions&) = delete;
  completions& operator=(const completions&) = delete;

  int descriptor() const noexcept { return fd_; }
  void add(item x);
  /// In a forked child: gives up its share of the parent's descriptor.
  void close() noexcept;
  std::deque<item> take();
  /// A responder that adds what it is answered with.
  runtime::responder responder_for(std::uint64_t key);

private:
  int fd_;
  runtime::ranked_mutex<runtime::lock_rank::completions> mutex_;
  std::deque<item> items_;
};

/// A Python object that has Python keep a result of this process.
py::object holder_of(actors::local_result_ptr x);

} // namespace hornbeam::pybridge
