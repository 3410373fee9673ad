#include "runtime/table_lmdb/group.hpp"

#include "runtime/base/blocking.hpp"

namespace hornbeam::runtime {

void lmdb_group::write(lmdb_environment& env, step change,
                       std::function<void()> after) {
  blocking_scope waiting; // around the lock as well
  member me{std::move(change), std::move(after)};
  std::unique_lock lock{mutex_};
  waiting_.push_back(&me);
  while (!me.done) {
    if (leading_) {
      done_.wait(lock);
      continue;
    }
    leading_ = true;
    lead(env, lock);
    leading_ = false;
    done_.notify_all();
  }
  if (me.error)
    std::rethrow_exception(me.error);
}

void lmdb_group::lead(lmdb_environment& env,
                      std::unique_lock<mutex_type>& lock) {
  std::vector<member*> group;
  auto take = [&] {
    lock.lock();
    group.swap(waiting_);
    lock.unlock();
  };
  lock.unlock();
  try {
    lmdb_transaction whole{env}; // while it waits, others join
    take();
    for (auto* x : group) {
      try {
        lmdb_transaction part{whole};
        x->change(part);
        part.commit();
      } catch (...) {
        x->error = std::current_exception();
      }
    }
    whole.commit();
    for (auto* x : group)
      if (!x->error && x->after)
        x->after();
  } catch (...) {
    if (group.empty())
      take();
    for (auto* x : group)
      if (!x->error)
        x->error = std::current_exception();
  }
  lock.lock();
  for (auto* x : group)
    x->done = true;
}

} // namespace hornbeam::runtime
