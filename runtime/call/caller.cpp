#include "runtime/call/caller.hpp"

namespace hornbeam::runtime {

namespace {

thread_local const caller* innermost = nullptr;
thread_local std::uint64_t running_serial = 0;

} // namespace

caller caller::current() noexcept {
  if (innermost != nullptr)
    return *innermost;
  return {running_serial, {}, 0};
}

caller_scope::caller_scope(const caller& x) noexcept
  : before_(innermost), now_(x) {
  innermost = &now_;
}

caller_scope::~caller_scope() {
  innermost = before_;
}

void set_running_process(std::uint64_t serial) noexcept {
  running_serial = serial;
}

} // namespace hornbeam::runtime
