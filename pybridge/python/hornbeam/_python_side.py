"""All of Python that the native module calls or reads."""

from __future__ import annotations

from hornbeam import (
    _context,
    _engine,
    _handlers,
    _late,
    _native,
    _owner,
    _pool,
    _spawned,
    _waits,
    errors,
    functions,
    hooks,
    tasks,
    values,
)


def hand_over() -> None:
    """Give it to the native module; see pybridge/gil/python_side.hpp."""
    _native.set_python_side(
        {
            # Values and errors.
            "atom": values.Atom,
            "missing": values.MISSING,
            "encode": values.encode,
            "decode": values.decode,
            "exception": errors.make_exception,
            "translate": errors.raise_here,
            # The context of a call.
            "deadline": _context._deadline,
            "depth": _context._depth,
            "permits": _context.permits,
            "task": _context.task,
            "owner": _owner._owner,
            "owner_type": _owner.Owner,
            "caller": _owner._existing,
            "of_table_call": _context.of_table_call,
            "left_ms": _context.left_ms,
            "settings": vars(_context),
            "max_depth": _context.MAX_DEPTH,
            # Processes that were spawned.
            "supervisor": _spawned.supervisor,
            "predicate": _waits.predicate,
            "refuse_dead": _spawned.refuse_dead,
            # The life of the node.
            "ensure": _engine.ensure,
            "running_loop": _late.running_loop,
            # The handlers of this process.
            "hooks": hooks.registry.local,
            "functions": functions.registry.local,
            # Calls that are not plain.
            "execute": hooks._execute,
            "call": functions._call,
            "execute_async": tasks._execute_async,
            "await_result": tasks._await_result,
            # What is left of a call that the native module has begun.
            "finish": _handlers._finish_here,
            "fail": _pool.fail,
            "go_on": _handlers._go_on_from_native,
            "go_on_task": tasks._go_on_from_native,
            "go_on_stream": hooks._go_on_from_native,
            # Tasks of this process.
            "calls": tasks._calls,
            "results": tasks._results,
            "local_result": tasks.local_result,
        }
    )
