"""The client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Self

from idmerge.client.client import Connected

if TYPE_CHECKING:
    from types import TracebackType


class AsyncClient(Connected):
    """Sends events of a visitor from asyncio: `Client`, whose `flush` and `close` are awaited.

    All other calls are the same and are not awaited, for none of them waits: a thread in the
    background sends what they state, so the event loop never does. With a resolver they apply it,
    in microseconds.

    Args:
        to: As `Client` takes it, and so are all others.
        token: The project's token.
        state: The place of what is remembered of the visitor.
        source: The route of events.
        credentials: User and password for ``/import``.
        project_id: The project's number.
        sink: With a resolver, what is called with each route and item.
        sending: The sizes and times of requests, and of the queue.

    Examples:
        >>> import asyncio
        >>> from idmerge import Resolver
        >>> from idmerge.client import AsyncClient
        >>> resolver = Resolver()
        >>> async def visit():
        ...     async with AsyncClient(resolver, "shop") as client:
        ...         client.track("Viewed page")
        ...         client.identify("ana")
        ...         return await client.flush()
        >>> asyncio.run(visit()), resolver.size("ana")
        (True, 2)
    """

    async def flush(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - as `Client.flush` takes it
        """Send what waits, and wait for it, as `Client.flush` does.

        Examples:
            >>> import asyncio
            >>> from idmerge import Resolver
            >>> from idmerge.client import AsyncClient
            >>> asyncio.run(AsyncClient(Resolver(), "shop").flush())
            True
        """
        loop = asyncio.get_running_loop()
        settled = asyncio.Event()
        is_settled = threading.Event()

        def tell() -> None:
            is_settled.set()
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                loop.call_soon_threadsafe(settled.set)

        self._target.when_settled(tell)
        try:
            if not is_settled.is_set():
                await asyncio.wait_for(settled.wait(), timeout)
        except TimeoutError:
            pass
        finally:
            self._target.forget(tell)
        return self._target.none_lost() and is_settled.is_set()

    async def close(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - as `Client.close` takes it
        """Send what waits, and end, as `Client.close` does.

        Examples:
            >>> import asyncio
            >>> from idmerge import Resolver
            >>> from idmerge.client import AsyncClient
            >>> asyncio.run(AsyncClient(Resolver(), "shop").close())
            True
        """
        is_delivered = await self.flush(timeout)
        return self._target.close(0) and is_delivered

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        await self.close()
