#pragma once

#include <memory>
#include <string>

#include "actors/call_stats.hpp"
#include "actors/concurrency_limiter.hpp"
#include "actors/handler.hpp"

namespace hornbeam::actors {

/// A handler as its node serves it: its calls are counted, and bounded if that
/// was asked for. A call that is open does not keep the handler: if it is
/// unregistered with answers that it owes, those are answered as dropped.
class served_handler : public handler,
                       public std::enable_shared_from_this<served_handler> {
public:
  /// `what` is how errors call it: "the hook 'x' on node".
  served_handler(std::string what, handler_ptr inner,
                 const handler_options& options);

  void invoke(invocation x, runtime::responder reply) override;
  std::shared_ptr<chunk_source> open_stream(
    invocation x, std::shared_ptr<chunk_sink> to) override;
  /// Only of a quick one without bounds.
  std::optional<runtime::outcome> call(const invocation& x) override;
  bool never_blocks() const noexcept override { return inner_->never_blocks(); }

  const handler_options& options() const noexcept { return options_; }
  call_stats& stats() noexcept { return *stats_; }
  /// None if it is not bounded.
  const std::shared_ptr<concurrency_limiter>& bounds() const noexcept {
    return limiter_;
  }
  runtime::failure overloaded() const;

private:
  runtime::responder unheard();
  void run(invocation x, runtime::responder reply, run_permit p);

  const std::string what_;
  const handler_ptr inner_;
  const handler_options options_;
  const std::shared_ptr<concurrency_limiter> limiter_;
  const std::shared_ptr<call_stats> stats_ = std::make_shared<call_stats>();
};

} // namespace hornbeam::actors
