"""Middleware for WSGI: Flask, Django and others.

app.wsgi_app = VisitMiddleware(app.wsgi_app, Client("https://api.mixpanel.com", "TOKEN"))
visit_of(request).track("Viewed page")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from idmerge.client.cookies import Cookie
from idmerge.client.visits import KEY, Visits, is_shared

if TYPE_CHECKING:
    from idmerge.client.visitor import Visitor

StartResponse = Callable[..., Any]


class VisitMiddleware:
    """Gives each request a visit, and each browser a cookie with a device ID.

    The visit is in the environ, where `visit_of` finds it. Only a request that uses it before its
    answer begins sets the cookie, and not if caches may share the answer (``Cache-Control`` has
    ``public``, or an age without ``private``).

    Args:
        app: The application.
        client: The client, which sends for all visits.
        cookie: The cookie.
        user: What returns the ID of the user of an environ, or None; it is asked when a request
            first uses its visit. Without it, call `Visit.login` in each request whose user is
            known.
        consent: What returns whether the visitor of an environ has agreed; it is asked when a
            request first uses its visit, or has the cookie. If not, or if it fails, nothing is sent
            and no cookie set, and one that is there is removed.
        page_cookie: The name of mixpanel-browser's cookie, whose device is taken; by default that
            of the client's token, and none if it is empty.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.client import Client, visit_of
        >>> from idmerge.client.wsgi import VisitMiddleware
        >>> def app(environ, start_response):
        ...     visit_of(environ).track("Viewed page")
        ...     start_response("200 OK", [])
        ...     return [b"hello"]
        >>> answered = []
        >>> middleware = VisitMiddleware(app, Client(Resolver(), "TOKEN"))
        >>> middleware({}, lambda status, headers: answered.extend(headers))
        [b'hello']
        >>> [(name, value)] = answered
        >>> name, value.startswith("idmerge_device=")
        ('Set-Cookie', True)
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        app: Callable[[dict[str, Any], StartResponse], Iterable[bytes]],
        client: Visitor,
        *,
        cookie: Cookie | None = None,
        user: Callable[[Any], object] | None = None,
        consent: Callable[[Any], bool] | None = None,
        page_cookie: str | None = None,
    ) -> None:
        self._app = app
        self._visits = Visits(client, cookie or Cookie(), user, consent, page_cookie)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        visit = self._visits.visit(environ, environ.get("HTTP_COOKIE", ""))
        environ[KEY] = visit
        is_https = environ.get("wsgi.url_scheme") == "https"

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            caching = ",".join(value for name, value in headers if name.lower() == "cache-control")
            header = None if is_shared(caching) else visit.set_cookie(is_https=is_https)
            if header is not None:
                headers = [*headers, ("Set-Cookie", header)]
            return start_response(status, headers, *rest)

        return self._app(environ, start)
