#pragma once

#include "pybridge/tables/handle.hpp"

// What Python's tables can do. A bounded operation on a table in the memory of
// this node keeps Python's lock: to give it back and take it again costs more
// than the operation. No Python code runs while a table is locked.
//
// The operations that are called most use a table of this node directly; the
// others, and all of another node, go through `table_handle::ask`. A null
// handle is an argument that was left out.

namespace hornbeam::pybridge::table_calls {

/// A time to live in seconds as one in milliseconds; `ttl_ms` must not be given
/// too.
py::object milliseconds_of(py::handle ttl, py::handle ttl_ms);

py::object get(const table_handle& t, py::handle key, py::handle fallback,
               bool copy = true);
py::object set(const table_handle& t, py::handle key, py::handle value,
               py::handle ttl_ms = {});
bool erase(const table_handle& t, py::handle key);
bool contains(const table_handle& t, py::handle key);
/// Adds `delta`, or takes it away if `down`.
py::object count(const table_handle& t, py::handle key, py::handle delta,
                 bool down, py::handle ttl_ms = {});
/// A dict.
py::object get_multi(const table_handle& t, py::handle keys);
/// A list.
py::object get_many(const table_handle& t, py::handle keys,
                    py::handle fallback);
py::object keys(const table_handle& t, py::handle prefix, py::handle limit);

py::object insert_new(const table_handle& t, py::handle key, py::handle value,
                      py::handle ttl_ms);
py::object take(const table_handle& t, py::handle key, py::handle fallback);
py::object swap(const table_handle& t, py::handle key, py::handle value,
                py::handle fallback, py::handle ttl_ms);
py::object compare_and_swap(const table_handle& t, py::handle key,
                            py::handle expected, py::handle value,
                            py::handle ttl_ms);
py::object update_counter(const table_handle& t, py::handle key,
                          py::handle steps, py::handle initial,
                          py::handle ttl_ms);
py::object set_many(const table_handle& t, py::handle entries,
                    py::handle ttl_ms);
py::object insert_new_many(const table_handle& t, py::handle entries,
                           py::handle ttl_ms);
py::object delete_object(const table_handle& t, py::handle key,
                         py::handle value);
py::object expire(const table_handle& t, py::handle key, py::handle ttl_ms);
py::object left_ms(const table_handle& t, py::handle key);
py::object scan(const table_handle& t, py::handle from, py::handle limit);
py::object size(const table_handle& t);
py::object clear(const table_handle& t);
py::object info(const table_handle& t);
py::object save(const table_handle& t, py::handle path);
py::object load(const table_handle& t, py::handle path);

/// The pid of the owner, or None.
py::object owner(const table_handle& t);
py::object give_away(const table_handle& t, py::handle to, py::handle data);
py::object set_heir(const table_handle& t, py::handle heir, py::handle data);
/// The heir of the table `name`, or none; it must be of this node.
runtime::term heir_of(const std::string& name, py::handle x);

} // namespace hornbeam::pybridge::table_calls
