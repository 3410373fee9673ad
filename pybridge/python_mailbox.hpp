#pragma once

#include "pybridge/convert.hpp"
#include "pybridge/visit.hpp"
#include "runtime/mailbox.hpp"

namespace hornbeam::pybridge {

/// A mailbox as Python holds it: when the object goes, the owner has ended.
class python_mailbox {
public:
  python_mailbox()
    : services_(node()),
      box_(std::make_shared<runtime::mailbox>(services_.node->make_pid())) {}
  ~python_mailbox() { close(); }
  python_mailbox(const python_mailbox&) = delete;
  python_mailbox& operator=(const python_mailbox&) = delete;

  /// Raises in a forked child: subscriptions stay with the parent.
  const runtime::mailbox_ptr& box() const {
    if (!ours())
      raise({runtime::error_code::ended,
             "this mailbox belongs to the process that forked",
             {},
             {},
             {}});
    return box_;
  }
  const runtime::pid& id() const noexcept { return box_->id(); }
  bool closed() const { return !ours() || box_->closed(); }

  void close() {
    if (closed())
      return;
    box_->close();
    services_.topics.leave_all(box_);
  }

private:
  bool ours() const noexcept { return made_ == era(); }

  std::uint32_t made_ = era();
  actors::services& services_;
  runtime::mailbox_ptr box_;
};

} // namespace hornbeam::pybridge
