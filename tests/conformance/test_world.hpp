#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "interpreter/machine.hpp"
#include "runtime/node/node.hpp"
#include "trace_text.hpp"

namespace hornbeam::conformance {

/// The nodes of one scenario, all in this program but connected over sockets,
/// and its trace.
class test_world : public world {
public:
  test_world();
  ~test_world() override { close(); }

  runtime::processes& main() { return main_->processes(); }
  /// From here on nothing is traced any more.
  void finish();
  /// Ends all nodes; says what of the scenario could not be ended.
  std::string close();

  std::vector<std::string> lines() const;
  /// What the interpreter did not know, or empty.
  std::string problem() const;

  void trace(const std::string& group, const term& x) override;
  std::string start_node(const std::string& label) override;
  void stop_node(const std::string& name) override;
  void disconnect_node(const std::string& name) override;
  std::vector<std::string> nodes(const std::string& of) override;
  runtime::processes* processes_of(const std::string& node) override;
  runtime::groups* groups_of(const std::string& node) override;
  void fail(const std::string& text) override;

private:
  using node_ptr = std::shared_ptr<runtime::node>;

  node_ptr start(const std::string& label);
  node_ptr find(const std::string& name) const;
  /// Ends the scenario's processes, then the node; says which it could not end.
  std::string end(runtime::node& x);

  mutable std::mutex mutex_;
  node_ptr main_;
  std::map<std::string, node_ptr> others_;
  /// What each node runs for itself.
  std::map<std::string, std::vector<term>> own_processes_;
  std::map<std::string, std::string> labels_;
  std::vector<trace_line> lines_;
  bool finished_ = false;
  std::string problem_;
};

/// A folder for this run: nodes find each other through it.
void use_own_folder();

} // namespace hornbeam::conformance
