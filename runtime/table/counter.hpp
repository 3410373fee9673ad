#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "runtime/term/term.hpp"

namespace hornbeam::runtime {

/// One step of `update_counter`, as ETS has it (`ets:update_counter/4`).
struct counter_op {
  term delta{1}; ///< an integer of any size
  /// 0: the value is the integer itself; n: it is the n-th item of a tuple or
  /// a list, counted from 1.
  std::size_t position = 0;
  /// With a delta >= 0: a result above it becomes `reset`; with a delta < 0:
  /// a result below it does. Both or neither.
  std::optional<term> threshold = {};
  std::optional<term> reset = {};
};

/// `value` after all of `ops`, one after the other; the result of each is
/// appended to `results` unless that is null. Raises `bad_term`, which names
/// `key`, for what is no integer and for a position that is not there.
term count(const term& key, const term& value, std::span<const counter_op> ops,
           std::vector<term>* results);

/// The sum of two integers of any size, or `bad_term`.
term count(const term& key, const term& value, const term& delta);

} // namespace hornbeam::runtime
