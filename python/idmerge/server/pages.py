"""The inspector's pages alone, as the application that a web server calls (ASGI)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from idmerge.server.app import App
from idmerge.server.counts import Counts
from idmerge.server.inspector.routing import is_page

if TYPE_CHECKING:
    from idmerge.server.app import Receive, Send
    from idmerge.server.inspector.routing import Inspector


class Host:
    """What serves pages and takes no events.

    Examples:
        >>> from idmerge.server.pages import Host
        >>> host = Host()
        >>> host.draining, host.drain(timeout=1)
        (False, True)
    """

    draining: bool = False
    """Whether no more requests are taken."""

    def __init__(self) -> None:
        self.counts = Counts()

    def drain(self, timeout: float) -> bool:  # noqa: ARG002 - nothing is to be waited for
        """Return True: nothing was taken that is not applied."""
        return True


class Pages:
    """The application: pages, and 404 at every other path.

    Args:
        inspector: The pages.
        host: Says when to end.
    """

    def __init__(self, inspector: Inspector, host: Any) -> None:
        self._app = App(cast("Any", host), {}, inspector=inspector)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or is_page(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
