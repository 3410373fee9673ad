#include "runtime/node/node_table_host.hpp"

#include <chrono>

namespace hornbeam::runtime {

template <class F>
void node_table_host::use(F f) const {
  shared_lock_scope lock{mutex_};
  if (processes_ != nullptr)
    f(*processes_);
}

void node_table_host::close() {
  std::unique_lock lock{mutex_};
  processes_ = nullptr;
}

ticks node_table_host::now() const noexcept {
  ticks out = std::chrono::steady_clock::now().time_since_epoch().count();
  if (by_hand_)
    use([&](processes& x) { out = x.clock().now(); });
  return out;
}

void node_table_host::at(ticks when, std::function<void()> f) {
  use([&](processes& x) {
    x.clock().add(x.make_pid().serial, when, std::move(f));
  });
}

void node_table_host::send(const term& pid, term message) {
  use([&](processes& x) { x.send(pid, std::move(message)); });
}

bool node_table_host::alive(const term& pid) const {
  bool out = false;
  use([&](processes& x) { out = !x.is_local(pid.as_pid()) || x.alive(pid); });
  return out;
}

bool node_table_host::mark_owner(const term& pid) {
  bool out = false;
  use([&](processes& x) { out = x.mark_owner(pid); });
  return out;
}

} // namespace hornbeam::runtime
