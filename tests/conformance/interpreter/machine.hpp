#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "interpreter/ast.hpp"
#include "runtime/otp/groups.hpp"
#include "runtime/process/processes.hpp"

// The interpreter walks over the tree of a scenario. Every expression is a
// coroutine, since `receive` may stand anywhere. A process of the scenario is
// a process of the runtime; whatever processes do to each other is done by the
// runtime alone.

namespace hornbeam::conformance {

using runtime::self;
using runtime::task;

/// The variables that have a value. A failed match cuts off what it added.
class bindings {
public:
  const term* find(const std::string& name) const;
  void add(const std::string& name, term value) {
    values_.emplace_back(name, std::move(value));
  }
  std::size_t size() const noexcept { return values_.size(); }
  void cut(std::size_t size) {
    values_.erase(values_.begin() + static_cast<std::ptrdiff_t>(size),
                  values_.end());
  }

  /// The heads of funs and generators bind anew: until `open`, patterns do not
  /// see what has a value now.
  void close() noexcept { hidden_ = size(); }
  void open() noexcept { hidden_ = 0; }
  /// What a pattern must be equal to, or null if it binds the variable.
  const term* in_pattern(const std::string& name) const;

  template <class F>
  void change_all(F f) {
    for (auto& [name, value] : values_)
      value = f(value);
  }

private:
  const term* find(const std::string& name, std::size_t from) const;

  std::vector<std::pair<std::string, term>> values_;
  std::size_t hidden_ = 0;
};

/// A function that can be called: the clauses, and what a fun has captured.
struct callee {
  // A constructor of its own: GCC 12 copies aggregates in a `co_await` byte by
  // byte.
  callee(const std::vector<clause>* c = nullptr,
         std::shared_ptr<const bindings> b = nullptr)
    : clauses(c), captured(std::move(b)) {}

  const std::vector<clause>* clauses;
  std::shared_ptr<const bindings> captured;
};

class machine;

/// What scenarios do with the world outside of the runtime's processes.
class world {
public:
  virtual ~world() = default;
  /// One line of the trace; `group` is empty if its place is fixed.
  virtual void trace(const std::string& group, const term& x) = 0;
  virtual std::string start_node(const std::string& label) = 0;
  virtual void stop_node(const std::string& name) = 0;
  virtual void disconnect_node(const std::string& name) = 0;
  virtual std::vector<std::string> nodes(const std::string& of) = 0;
  /// Of a node, null if it does not run.
  virtual runtime::processes* processes_of(const std::string& node) = 0;
  virtual runtime::groups* groups_of(const std::string& node) = 0;
  /// The interpreter came to something that it does not know.
  virtual void fail(const std::string& text) = 0;
};

/// A scenario that runs: its module and its funs. A term can't hold code, so a
/// fun is an extension `fun` with its number in the machine's table.
class machine {
public:
  machine(std::shared_ptr<const module> m, world& w)
    : module_(std::move(m)), world_(w) {}

  const module& code() const noexcept { return *module_; }
  world& outside() const noexcept { return world_; }

  const callee* find(const std::string& name, std::size_t arity);
  term make_fun(callee f, std::size_t arity);
  /// The function and its arity; null for what is no fun.
  std::pair<const callee*, std::size_t> fun(const term& x) const;

private:
  std::shared_ptr<const module> module_;
  world& world_;
  mutable std::mutex mutex_;
  std::deque<std::pair<callee, std::size_t>> funs_;
  std::map<const std::vector<clause>*, callee> named_;
};

bool is_fun(const term& x);

/// What a new process does: a fun, or a function by name.
struct start_of {
  term fun;
  std::string from;
  std::string name;
  std::vector<term> args;
  term go; ///< wait for this message first, unless it is none
};

/// What the code of one process has at hand.
struct context {
  machine& m;
  self me;
  /// The call that a function ends with: carried out by its caller, so that
  /// loops need no stack.
  std::optional<std::pair<callee, std::vector<term>>> tail = {};
  int steps = 0;
};

// -- evaluator.cpp ------------------------------------------------------------

/// Calls a function with arguments.
task<term> apply(context& c, callee f, std::vector<term> args);
/// Calls a fun, or raises badfun or badarity.
task<term> apply_fun(context& c, term fun, std::vector<term> args);
/// Calls Module:Function(Args...), of the scenario or built in.
task<term> apply_named(context& c, place at, std::string from, std::string name,
                       std::vector<term> args);
/// The body of a process of the scenario.
runtime::process_body run_process(self me, machine* m, start_of what);

// -- patterns.cpp -------------------------------------------------------------

bool match(context& c, const node& pattern, const term& x, bindings& b);
/// Whether the guard holds; a failing one does not.
bool holds(context& c, const std::vector<nodes>& guard, bindings& b);
/// The first clause that takes the arguments; its variables are bound then.
const clause* select(context& c, const std::vector<clause>& clauses,
                     const std::vector<term>& args, bindings& b);

// -- operators.cpp ------------------------------------------------------------

term operate(const place& at, const std::string& op, const term& a,
             const term& b);
term operate(const place& at, const std::string& op, const term& a);
/// Erlang's `==`.
bool same_value(const term& a, const term& b);

// -- builtins*.cpp ------------------------------------------------------------

using waiting_builtin = task<term> (*)(context&, std::vector<term>);
using plain_builtin = term (*)(context&, const std::vector<term>&);

struct entry {
  plain_builtin plain = nullptr; ///< never waits
  waiting_builtin waiting = nullptr;
};

using builtin_key = std::tuple<std::string, std::string, std::size_t>;
using builtin_table = std::map<builtin_key, entry>;

/// Null if there is none.
const entry* find_builtin(const std::string& from, const std::string& name,
                          std::size_t arity);
void add_data_builtins(builtin_table& t);
void add_process_builtins(builtin_table& t);
void add_signal_builtins(builtin_table& t);
void add_server_builtins(builtin_table& t);
void add_supervisor_builtins(builtin_table& t);
void add_group_builtins(builtin_table& t);
/// `trace` and what else a scenario has of its own.
void add_harness_builtins(builtin_table& t);

// -- terms --------------------------------------------------------------------

term atom(const std::string& text);
term boolean(bool x);
term tuple(std::vector<term> xs);
bool is_true(const term& x);
[[noreturn]] void raise(const char* reason);
[[noreturn]] void raise(const char* reason, term what);

} // namespace hornbeam::conformance
