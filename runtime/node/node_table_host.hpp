#pragma once

#include <shared_mutex>

#include "runtime/base/ranked_mutex.hpp"
#include "runtime/process/processes.hpp"
#include "runtime/table/host.hpp"

namespace hornbeam::runtime {

/// A node as its tables see it.
class node_table_host final : public table_host {
public:
  explicit node_table_host(processes& x)
    : by_hand_(x.clock().by_hand()), processes_(&x) {}
  /// The processes end: nothing more is done with them. Tables may live on.
  void close();

  ticks now() const noexcept override;
  void at(ticks when, std::function<void()> f) override;
  void send(const term& pid, term message) override;
  bool alive(const term& pid) const override;
  bool mark_owner(const term& pid) override;

private:
  template <class F>
  void use(F f) const;

  const bool by_hand_;
  mutable ranked_shared_mutex<lock_rank::table_host> mutex_;
  processes* processes_;
};

} // namespace hornbeam::runtime
