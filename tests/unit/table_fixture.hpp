#pragma once

#include "process_fixture.hpp"
#include "runtime/node/node_table_host.hpp"
#include "runtime/node/tables.hpp"
#include "runtime/table_memory/table.hpp"

namespace hornbeam::test {

/// One node with processes, a clock that stands still, and tables.
struct table_node : one_node {
  table_node() {
    all.attach(host);
    a.on_owner_end([this](const term& pid) { all.release(pid); });
  }
  ~table_node() {
    p.reset();
    stop();
    host->close();
  }
  table& make(const table_options& o = {}) { return *all.open("t", o); }
  /// Does `f` as the process does it.
  template <class F>
  static auto as(const term& pid, F f) {
    caller_scope scope{{pid.as_pid().serial}};
    return f();
  }

  std::shared_ptr<node_table_host> host = std::make_shared<node_table_host>(a);
  tables all;
};

inline term text(std::string_view x) {
  return term::string(std::string{x});
}

} // namespace hornbeam::test
