#pragma once

namespace hornbeam::runtime {

/// What a thread does before and after a wait that may be long, if it holds
/// something that others need: Python's bridge gives the interpreter's lock
/// back. `begin` returns what `end` gets.
struct blocking_hook {
  void* (*begin)();
  void (*end)(void*);
};

/// Before any thread waits; the hook lives as long as the program.
void set_blocking_hook(const blocking_hook* x) noexcept;

/// Stands around a wait.
class blocking_scope {
public:
  blocking_scope();
  ~blocking_scope() noexcept(false); // `end` may end the thread
  blocking_scope(const blocking_scope&) = delete;
  blocking_scope& operator=(const blocking_scope&) = delete;

private:
  const blocking_hook* hook_;
  void* held_ = nullptr;
};

} // namespace hornbeam::runtime
