#include "actors/handler.hpp"

#include <mutex>

#include "actors/task.hpp"

namespace hornbeam::actors {

using namespace runtime;

namespace {

/// The one chunk of a handler that makes no stream.
class single_chunk : public chunk_source,
                     public std::enable_shared_from_this<single_chunk> {
public:
  single_chunk(handler_ptr h, invocation x, std::shared_ptr<chunk_sink> to)
    : handler_(std::move(h)), call_(std::move(x)), to_(std::move(to)) {}

  void credit(std::uint64_t) override {
    if (started_.exchange(true))
      return;
    handler_->invoke(std::move(call_), responder{[to = to_](const outcome& x) {
                       if (!x) {
                         to->fail(x.error());
                         return;
                       }
                       to->chunk(*x);
                       to->end();
                     }});
  }
  void close() override { started_ = true; }

private:
  handler_ptr handler_;
  invocation call_;
  std::shared_ptr<chunk_sink> to_;
  std::atomic<bool> started_{false};
};

} // namespace

std::shared_ptr<chunk_source> handler::open_stream(
  invocation x, std::shared_ptr<chunk_sink> to) {
  // Not owning: whoever opened the stream keeps the handler.
  handler_ptr self{std::shared_ptr<void>{}, this};
  return std::make_shared<single_chunk>(std::move(self), std::move(x),
                                        std::move(to));
}

void function_handler::invoke(invocation x, responder reply) {
  if (x.task && !x.task->begin())
    return; // it was cancelled, and whoever waited knows
  x.charge = nullptr;
  reply(*call(x));
}

std::optional<outcome> function_handler::call(const invocation& x) {
  try {
    return f_(x);
  } catch (...) {
    return current_failure();
  }
}

bool handler_table::set(const std::string& name, handler_ptr x) {
  std::unique_lock lock{mutex_};
  std::swap(handlers_[name], x);
  return x == nullptr;
}

bool handler_table::erase(const std::string& name) {
  std::unique_lock lock{mutex_};
  auto gone = handlers_.extract(name);
  lock.unlock(); // its destructor may be long
  return !gone.empty();
}

handler_ptr handler_table::find(const std::string& name) const {
  shared_lock_scope lock{mutex_};
  auto i = handlers_.find(name);
  return i != handlers_.end() ? i->second : nullptr;
}

void require_depth(const call& c) {
  if (c.depth > max_call_depth)
    throw bad_term("more than " + std::to_string(max_call_depth)
                   + " calls inside each other");
}

void require_room(call& c, const std::string& here) {
  c.wait_here();
  if (c.full)
    throw failed{too_much_waits(c.from, here)};
}

invocation read_invocation(call& c, const std::string& here) {
  operation op{c.op};
  require_depth(c);
  require_room(c, here);
  return {std::string{op.arg(0).text()},
          std::string{op.arg(1).text()},
          op.arg(2).to_sequence(),
          op.arg(3).pairs(),
          c.from,
          c.until,
          c.depth,
          {},
          nullptr,
          std::move(c.charge)};
}

term write_invocation(const char* op, const invocation& x) {
  return make_op(op, term::string(x.target), term::string(x.action),
                 term::list(x.args), term::map(x.kwargs));
}

} // namespace hornbeam::actors
