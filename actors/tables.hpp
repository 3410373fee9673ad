#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/call/service.hpp"
#include "runtime/node/tables.hpp"

namespace hornbeam::actors {

/// The actor of one table: every operation by message, which is how other
/// nodes and actors use the table. Callers of this node go to the table
/// itself; a test holds both equal. Ending the actor loses no data. What other
/// nodes ask of a memory table is answered without waking the actor where it is
/// a matter of microseconds.
///
/// Protocol. `[x]` stands for a list of one value or of none; where it is in
/// front of the answer, none says that the key was not there. `Ttl` is a time
/// to live in milliseconds, which may be left out. `Entries` is a list of
/// `(key, value)`.
///
///   get key                             -> [value]
///   contains key                        -> boolean
///   set key value Ttl                   -> none
///   insert_new key value Ttl            -> boolean
///   take key                            -> [value]
///   delete key                          -> boolean
///   delete_object key value             -> how many
///   swap key value Ttl                  -> [value before]
///   compare_and_swap key [expected] [desired] Ttl
///                                       -> (boolean, [found])
///   incr key delta Ttl                  -> integer
///   update_counter key ops initial Ttl  -> list of integers; each op is
///       (position, delta) or (position, delta, threshold, reset)
///   expire key ttl                      -> boolean
///   left_ms key                         -> [milliseconds], 0 is for ever
///   get_many keys                       -> list of [value]
///   set_many Entries Ttl                -> none
///   insert_new_many Entries Ttl         -> boolean
///   clear                               -> none
///   size                                -> integer
///   keys                                -> list
///   keys prefix limit                   -> list in key order; limit may be
///                                          left out
///   scan from limit                     -> (list of (key, value), next)
///   watch_key key pid, watch_prefix prefix pid -> number
///   unwatch number                      -> boolean
///   info                                -> map
///   open options                        -> none, or why not: a table of other
///                                          options is open already
///
/// A table that is not open is opened as it was declared. One that has ended
/// with its owner is not opened again from afar.
std::unique_ptr<runtime::service> make_table_service(runtime::tables& all,
                                                     std::string name);

/// Answers a call to a memory table in the thread that has it: the operations
/// that take no time worth a change of threads, which are all but walks. False
/// if this is something else, which is for the actor.
bool answer_inline(const runtime::tables& all, const std::string& service,
                   runtime::call& c);

/// What the actor answers to `op`, done in this thread.
runtime::term operate(runtime::table& t, const runtime::term& op);

/// The names of all operations, for the test that holds both ways equal.
std::vector<std::string> table_operations();

} // namespace hornbeam::actors
