"""A process for each request of a web server, whatever threads and tasks of the
server, and of a framework, run it: `self()`, the mailbox and all subscriptions end
with the response.

    app = hornbeam.middleware.wsgi(app)
    app = hornbeam.middleware.asgi(app)

`app.add_middleware(hornbeam.middleware.asgi)` does it in Starlette and FastAPI, and
`FastAPI(lifespan=hornbeam.middleware.lifespan(tree))` has a supervision tree live as
long as the application.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import (
    Any,
    AsyncContextManager,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)

from hornbeam import _aio_supervisor, _owner
from hornbeam.supervisor import Supervisor

WSGIApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


def lifespan(
    tree: Supervisor, *, on_give_up: Callable[[Any], object] | None = None
) -> Callable[[Any], AsyncContextManager[None]]:
    """What Starlette and FastAPI take as `lifespan`: it starts `tree`, and stops it
    when the application ends, as `hornbeam.aio.supervisor.running` does. Each worker
    of a web server has one."""

    @contextlib.asynccontextmanager
    async def of_app(app: Any) -> AsyncIterator[None]:
        async with _aio_supervisor.running(tree, on_give_up=on_give_up):
            yield

    return of_app


def wsgi(app: WSGIApp) -> WSGIApp:
    """A WSGI application that runs each request of `app` as in a
    `hornbeam.process.scope()`, until the response is closed, and in a context of
    its own."""

    def one_process_each(
        environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        context = contextvars.copy_context()
        block = context.run(_owner.begin_block)
        try:
            chunks = context.run(app, environ, start_response)
            # What is there already, or only the server knows how to send.
            sender = environ.get("wsgi.file_wrapper")
            is_through = isinstance(chunks, (list, tuple)) or (
                isinstance(sender, type) and isinstance(chunks, sender)
            )
            if not is_through:
                return _Response(chunks, context, block)
        except BaseException:
            block.close()
            raise
        block.close()
        return chunks

    return one_process_each


class _Response:
    """The body of a response, of which the application makes each part in the
    context of its request."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        context: contextvars.Context,
        block: _owner.Owner,
    ) -> None:
        self._chunks = chunks
        self._context = context
        self._block = block
        self._iterator: Iterator[bytes] = context.run(lambda: iter(chunks))

    def __iter__(self) -> _Response:
        return self

    def __next__(self) -> bytes:
        return self._context.run(self._iterator.__next__)

    def close(self) -> None:
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                self._context.run(close)
        finally:
            self._block.close()


def asgi(app: ASGIApp) -> ASGIApp:
    """An ASGI application that runs each request, and each WebSocket, of `app` in a
    `hornbeam.process.scope()`."""

    async def one_process_each(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":  # not of a request
            await app(scope, receive, send)
            return
        with _owner.block():
            await app(scope, receive, send)

    return one_process_each
