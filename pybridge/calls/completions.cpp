#include "pybridge/calls/completions.hpp"

#include <cerrno>
#include <stdexcept>

#include <sys/eventfd.h>
#include <unistd.h>

namespace hornbeam::pybridge {

completions::completions() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0)
    throw std::runtime_error("can't make an eventfd: too many open files?");
}

completions::~completions() {
  close();
}

void completions::close() noexcept {
  if (auto fd = std::exchange(fd_, -1); fd >= 0)
    ::close(fd);
}

void completions::add(item x) {
  runtime::lock_scope guard{mutex_};
  items_.push_back(std::move(x));
  if (items_.size() == 1)
    ::eventfd_write(fd_, 1);
}

std::deque<completions::item> completions::take() {
  runtime::lock_scope guard{mutex_};
  eventfd_t ignored = 0;
  ::eventfd_read(fd_, &ignored);
  return std::exchange(items_, {});
}

runtime::responder completions::responder_for(std::uint64_t key) {
  return runtime::responder{
    [self = shared_from_this(), key](runtime::outcome x) {
      self->add({key, std::move(x), nullptr});
    }};
}

py::object holder_of(actors::local_result_ptr x) {
  auto held = std::make_unique<actors::local_result_ptr>(std::move(x));
  py::capsule out{held.get(), [](void* p) {
                    delete static_cast<actors::local_result_ptr*>(p);
                  }};
  static_cast<void>(held.release());
  return out;
}

} // namespace hornbeam::pybridge
