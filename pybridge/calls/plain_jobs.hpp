#pragma once

#include "pybridge/calls/jobs.hpp"

// Calls of plain handlers by threads of the pool: from other nodes, and tasks
// of this process; and the beginnings of their streams. What they cost is
// little more than what the interpreter takes for the call, so they are written
// against its C API. Everything out of the ordinary is left to the Python code
// that does the same (hornbeam/_handlers.py, hooks.py and tasks.py).

namespace hornbeam::pybridge {

/// Runs a job and answers it, if it is the call of a plain handler or the
/// beginning of a stream of one; false, and nothing was done, if it is not.
bool run_plain(job& x);

/// Sends a chunk of the stream that `x` runs. The first is sent at once.
void send_chunk(job& x, py::handle value);
void end_stream(job& x);

/// Drops the results of tasks of this process that are no longer kept, and the
/// handlers that no call uses any more. With Python's lock.
void drop_unused();

} // namespace hornbeam::pybridge
