"""Middleware for ASGI: Starlette, FastAPI, Django and others.

app.add_middleware(VisitMiddleware, client=Client("https://api.mixpanel.com", "TOKEN"))
visit_of(request).track("Viewed page")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from idmerge.client.cookies import Cookie
from idmerge.client.visits import KEY, Visits, is_shared

if TYPE_CHECKING:
    from idmerge.client.visitor import Visitor

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
_ANSWERS = {"http.response.start", "websocket.accept"}


class VisitMiddleware:
    """Gives each request a visit, and each browser a cookie with a device ID.

    The visit is in the scope, where `visit_of` finds it, and in Starlette and FastAPI it is
    ``request.state.visit`` too. Only a request that uses it sets the cookie, in the beginning of
    the answer, and not if caches may share the answer (``Cache-Control`` has ``public``, or an age
    without ``private``).

    Args:
        app: The application.
        client: The client, which sends for all visits: `Client` or `AsyncClient`.
        cookie: The cookie.
        user: What returns the ID of the user of a scope, or None; it is asked when a request first
            uses its visit. Without it, call `Visit.login` in each request whose user is known.
        consent: What returns whether the visitor of a scope has agreed; it is asked when a request
            first uses its visit, or has the cookie. If not, or if it fails, nothing is sent and no
            cookie set, and one that is there is removed.
        page_cookie: The name of mixpanel-browser's cookie, whose device is taken; by default that
            of the client's token, and none if it is empty.

    Examples:
        >>> import asyncio
        >>> from idmerge import Resolver
        >>> from idmerge.client import AsyncClient, visit_of
        >>> from idmerge.client.asgi import VisitMiddleware
        >>> async def app(scope, receive, send):
        ...     visit_of(scope).track("Viewed page")
        ...     await send({"type": "http.response.start", "status": 200, "headers": []})
        >>> resolver, answered = Resolver(), []
        >>> async def send(message):
        ...     answered.append(message)
        >>> middleware = VisitMiddleware(app, AsyncClient(resolver, "TOKEN"))
        >>> asyncio.run(middleware({"type": "http", "headers": []}, None, send))
        >>> [(name, value)] = answered[0]["headers"]
        >>> name, value.startswith(b"idmerge_device="), len(resolver)
        (b'set-cookie', True, 1)
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        app: Application,
        client: Visitor,
        *,
        cookie: Cookie | None = None,
        user: Callable[[Any], object] | None = None,
        consent: Callable[[Any], bool] | None = None,
        page_cookie: str | None = None,
    ) -> None:
        self._app = app
        self._visits = Visits(client, cookie or Cookie(), user, consent, page_cookie)

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        cookies = b"; ".join(value for name, value in scope.get("headers", ()) if name == b"cookie")
        scope = dict(scope)
        visit = self._visits.visit(scope, cookies.decode("latin-1"))
        scope[KEY] = visit
        scope["state"] = state = scope.get("state") or {}  # One for all middleware around this one.
        state["visit"] = visit
        is_https = scope.get("scheme") in {"https", "wss"}

        async def answer(message: Message) -> None:
            if message["type"] in _ANSWERS:
                headers = [*(message.get("headers") or ())]  # What yields them may do so once.
                caching = b",".join(value for name, value in headers if name.lower() == b"cache-control")
                header = None if is_shared(caching.decode("latin-1")) else visit.set_cookie(is_https=is_https)
                if header is not None:
                    headers.append((b"set-cookie", header.encode("latin-1")))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, answer)
