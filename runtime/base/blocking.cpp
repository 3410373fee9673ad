#include "runtime/base/blocking.hpp"

#include <atomic>

#include "runtime/base/ranked_mutex.hpp"

namespace hornbeam::runtime {

namespace {

std::atomic<const blocking_hook*> installed{nullptr};

} // namespace

void set_blocking_hook(const blocking_hook* x) noexcept {
  installed.store(x);
}

blocking_scope::blocking_scope() : hook_(installed.load()) {
  if (hook_ != nullptr)
    held_ = hook_->begin();
  if (held_ != nullptr)
    lock_check::require_none("giving Python's lock back");
}

blocking_scope::~blocking_scope() noexcept(false) {
  if (hook_ != nullptr)
    hook_->end(held_);
}

} // namespace hornbeam::runtime
