"""An application on a socket, until a signal ends it without a loss.

The first SIGTERM or SIGINT begins the end. The port stays open and each new request is answered
with 503, since a browser drops what it cannot send to a closed port. The requests that were open
get `OPEN_SECONDS` to be finished, so that no slow client keeps the others waiting for a restart.
When all that was acknowledged is applied and committed, the port is closed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from idmerge.server.counts import Counts

BACKLOG = 2048
OPEN_SECONDS = 5.0
"""Seconds that requests that are open at the signal have to be finished, with the port open."""
SWITCH_SECONDS = 0.0005
"""Seconds that a thread which computes keeps the loop waiting for the interpreter; Python's own are
ten times as many, for each of which an answer would wait."""


class Drained(Protocol):
    """What is served, and has to come to an end in order."""

    draining: bool
    """Whether no more requests are taken."""
    counts: Counts

    def drain(self, timeout: float) -> bool:
        """Wait until all that was taken is applied; return whether it is."""


def check_installed() -> None:
    """Make sure that uvicorn and its parts are installed.

    Raises:
        MissingExtraError: One is not.
    """
    try:
        import httptools  # noqa: F401, PLC0415
        import uvicorn  # noqa: F401, PLC0415

        if sys.platform != "win32":
            import uvloop  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtraError(
            "a server needs uvicorn, httptools and uvloop: pip install 'idmerge[serve]'"
        ) from error


def bound(host: str, port: int) -> socket.socket:
    """Return a socket at an address; port 0 is any free one.

    Raises:
        OSError: It cannot be had; the error names the address.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
        )
    except OSError as error:
        # Python's own text repeats the address; that of a name's look-up has no number of errno.
        text = str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise OSError(error.errno or 0, text, place) from error


def handed_in(descriptor: int) -> socket.socket:
    """Return the listening socket that another process has opened, by its descriptor.

    Raises:
        OSError: It is no listening socket.
    """
    place = f"file descriptor {descriptor}"
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise OSError(error.errno or 0, error.strerror or str(error), place) from error
    listens = hasattr(socket, "SO_ACCEPTCONN") and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or found.type != socket.SOCK_STREAM:
        found.detach()  # It is not ours.
        raise OSError(0, "it is no listening socket; hand in one that listens, as systemd does", place)
    return found


def url_of(bound_to: socket.socket) -> str:
    """Return the URL at which a socket is reached."""
    name = bound_to.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    server: Drained, app: Any, listener: socket.socket, *, grace: float, on_started: Callable[[], None]
) -> bool:
    """Answer requests until SIGTERM or SIGINT; return whether all was applied within ``grace``.

    Args:
        server: What is kept; `draining` is set when the end begins.
        app: Answers the requests (ASGI).
        listener: Where they come; it is closed at the end.
        grace: Seconds from the signal to the end, at most.
        on_started: Called when requests are answered.
    """
    run = _run(server, app, listener, grace, on_started)
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()  # A collection would go through all modules' objects while requests wait.
    try:
        if sys.platform == "win32":
            return asyncio.run(run)
        import uvloop  # noqa: PLC0415

        return uvloop.run(run)
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)


async def _run(
    server: Drained, app: Any, listener: socket.socket, grace: float, on_started: Callable[[], None]
) -> bool:
    import uvicorn  # noqa: PLC0415

    from idmerge.server.http.connections import BoundedProtocol  # noqa: PLC0415 - needs uvicorn

    class Uncaught(uvicorn.Server):
        """A server that leaves signals to us."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_started()

    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
    )
    runner = Uncaught(config)
    server.counts.connections = runner.server_state.connections
    signals = _Signals()
    with signals.handled():
        task = asyncio.create_task(runner.serve(sockets=[listener]))
        asked = asyncio.create_task(signals.asked.wait())
        await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        deadline = monotonic() + grace
        server.draining = True
        if not task.done():
            if opened := {*runner.server_state.tasks}:
                await asyncio.wait(opened, timeout=min(OPEN_SECONDS, grace))
            await _drained(server, deadline)
            config.timeout_graceful_shutdown = 1
            runner.should_exit = True
        await task
        return await _drained(server, deadline)


async def _drained(server: Drained, deadline: float) -> bool:
    """Wait until all is applied, or the deadline."""
    left = max(0.0, deadline - monotonic())
    return await asyncio.get_running_loop().run_in_executor(None, server.drain, left)


class _Signals:
    """SIGTERM and SIGINT as an event."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Set the event when a signal comes, while the block runs."""
        loop = asyncio.get_running_loop()
        before: dict[int, Any] = {}

        def ask(*_: Any) -> None:
            loop.call_soon_threadsafe(self.asked.set)

        for number in (int(signal.SIGTERM), int(signal.SIGINT)):
            before[number] = signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                with suppress(TypeError):  # It was not set from Python.
                    signal.signal(number, handler)
