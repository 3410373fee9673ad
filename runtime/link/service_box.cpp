#include "runtime/link/service_box.hpp"

#include "runtime/term/atoms.hpp"

namespace hornbeam::runtime {

namespace {

using work_atom = caf::atom_constant<caf::atom("hbwork")>;

/// Items that an actor works off before the others have their turn.
constexpr int items_a_turn = 100;

/// False if it is a cast that the service has refused.
bool answer(service& s, call& c, const std::string& name) {
  if (c.until.expired()) { // nobody waits any more: don't start
    if (c.reply)
      c.reply(too_late());
    return true;
  }
  try {
    s.handle(c);
    return true;
  } catch (...) {
    bool waits = static_cast<bool>(c.reply);
    refuse(c, name, current_failure());
    return waits;
  }
}

} // namespace

struct service_state {
  service_box_ptr box;
  std::unique_ptr<service> impl;
  static inline const char* name = "hornbeam.service";

  static caf::behavior run(caf::stateful_actor<service_state>* self,
                           const service_box_ptr& box) {
    self->state.box = box;
    self->state.impl = box->make_();
    return {
      [self](work_atom) {
        auto& st = self->state;
        for (int i = 0; i < items_a_turn; ++i) {
          auto x = st.box->next(self->id());
          if (!x)
            return;
          if (auto* c = std::get_if<call_ptr>(&*x)) {
            if (!answer(*st.impl, **c, st.box->name()))
              st.box->lost_();
          } else if (auto* e = std::get_if<peer_event>(&*x)) {
            st.impl->peer(*e);
          }
        }
        self->send(self, work_atom::value);
      },
    };
  }
};

void service_box::add(item x) {
  caf::actor wake;
  {
    lock_scope guard{mutex_};
    if (closed_)
      return; // a call that is dropped is answered
    waiting_.push_back(std::move(x));
    if (!working_ && actor_) {
      working_ = true;
      wake = actor_;
    }
  }
  if (wake)
    caf::anon_send(wake, work_atom::value);
}

std::optional<service_box::item> service_box::next(caf::actor_id id) {
  lock_scope guard{mutex_};
  if (!actor_ || actor_.id() != id)
    return std::nullopt;
  if (waiting_.empty()) {
    working_ = false;
    return std::nullopt;
  }
  auto x = std::move(waiting_.front());
  waiting_.pop_front();
  return x;
}

caf::actor service_box::start(caf::actor_system& sys) {
  auto fresh = sys.spawn(service_state::run, shared_from_this());
  lock_scope guard{mutex_};
  actor_ = fresh;
  working_ = !waiting_.empty();
  if (working_)
    caf::anon_send(fresh, work_atom::value);
  return fresh;
}

caf::actor service_box::current() const {
  lock_scope guard{mutex_};
  return actor_;
}

void service_box::close() {
  std::deque<item> dropped; // answered without the lock
  lock_scope guard{mutex_};
  closed_ = true;
  actor_ = nullptr;
  dropped.swap(waiting_);
}

namespace {

/// Ends the actor with the process that stands for it, however that ends.
struct ender {
  caf::actor actor;
  ~ender() {
    if (actor)
      caf::anon_send_exit(actor, caf::exit_reason::kill);
  }
};

} // namespace

process_body service_child(self me, caf::actor actor, term parent) {
  ender at_the_end{actor};
  me.trap_exit(true);
  actor->attach_functor(
    [&on = me.owner(), pid = me.pid()](const caf::error& e) {
      on.send(pid, term::tuple({term::atom("actor_down"),
                                term::string(on.system().render(e))}));
    });
  auto down = match("actor_down", any);
  auto first = co_await me.receive(down | match(atoms::exit, parent, any));
  if (down(first))
    me.exit(term::tuple({term::atom("actor_down"), first.items()[1]}));
  caf::anon_send_exit(actor, caf::exit_reason::kill);
  actor = nullptr; // a share would keep CAF from ending
  at_the_end.actor = nullptr;
  co_await me.receive(down);
  me.exit(first.items()[2]);
}

} // namespace hornbeam::runtime
