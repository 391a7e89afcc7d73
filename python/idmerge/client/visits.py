"""A visit: the client of one request, whose device is kept in a cookie.

This is what both kinds of middleware do, after Mixpanel's guide to identifying users on a server:
the first request that sends something gives the browser a device ID, a login identifies it, and a
logout keeps it unless another user may follow on the same device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from idmerge.client.cookies import (
    Cookie,
    Device,
    PageDevice,
    device_in,
    has_cookie,
    header_of,
    mark_of,
    page_device_in,
    today,
)
from idmerge.client.sending import Route, log
from idmerge.client.values import id_of
from idmerge.client.visitor import Visitor
from idmerge.policy import DEVICE_PREFIX

KEY = "idmerge.visit"
"""Where a scope or an environ has the visit."""


@dataclass(frozen=True)
class Visits:
    """What a middleware is told: the client, the cookie, and who is asked of a request."""

    client: Visitor
    cookie: Cookie
    user: Callable[[Any], object] | None
    consent: Callable[[Any], bool] | None
    page_cookie: str | None

    def visit(self, request: Any, cookies: str) -> Visit:
        """Return the visit of a request: of an environ or a scope, with these cookies."""
        return Visit(self, request if self.user or self.consent else None, cookies)


class Visit(Visitor):
    """The client of one request: all calls of a client, and `login` and `logout`.

    The visitor is anonymous until `login` is called in the request, or the middleware's ``user=``
    names the user. Super properties are of the request. Without consent nothing is sent.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.client import Client, visit_of
        >>> from idmerge.client.wsgi import VisitMiddleware
        >>> client = Client(resolver := Resolver(), "TOKEN")
        >>> def app(environ, start_response):
        ...     visit = visit_of(environ)
        ...     visit.track("Viewed page")
        ...     visit.login("ana")
        ...     start_response("200 OK", [])
        ...     visit.logout()
        ...     return [visit.distinct_id.encode()]
        >>> answered = VisitMiddleware(app, client)({}, lambda status, headers: None)
        >>> resolver.same(b"".join(answered), "ana")
        True
    """

    def __init__(self, visits: Visits, request: Any, cookies: str) -> None:
        client = visits.client
        super().__init__(client._target, client._token, {}, client._source)  # noqa: SLF001 - of one family
        self._visits = visits
        self._request = request
        self._cookies = cookies
        self._consent: bool | None = None
        self._is_begun = False
        self._ours: Device | None = None
        self._mark = ""
        self._anonymous_id: str | None = None
        self._earlier: str | None = None
        """Our device, before the page's was known; a login identifies both."""

    @property
    def _has_consent(self) -> bool:
        if self._consent is None:
            asked = self._visits.consent
            try:
                self._consent = asked is None or bool(asked(self._request))
            except Exception:  # noqa: BLE001 - whatever it is, the page is to be shown
                log.exception("consent= failed: nothing is sent")
                self._consent = False
        return self._consent

    def _put(self, route: Route, item: dict[str, Any]) -> bool:
        return self._has_consent and super()._put(route, item)

    def login(self, user_id: object) -> bool:
        """Say who the user is: at a login, and in each request whose user is known.

        ``$identify`` is sent once for a user on a device: a mark in the cookie remembers it.

        Returns:
            Whether it was taken; see `Client.identify`.

        Raises:
            TypeError: ``user_id`` is no text, integer or UUID.
        """
        return self.identify(user_id)

    def logout(self, *, reset: bool = False) -> None:
        """Say that nobody is logged in any more.

        Args:
            reset: Whether another user may follow on this device: then it has a new device ID. By
                default the ID stays, as Mixpanel advises, and what is sent before the next login
                counts for the user who was logged in. A page with mixpanel-browser has to call
                ``mixpanel.reset()`` too.
        """
        if reset:
            self.reset()
            return
        with self._turn:
            self._forget_user()

    def reset(self) -> None:
        """Forget the visitor: the next one on this device is another, with a new device ID."""
        with self._turn:
            self._load()
            super().reset()
            self._mark, self._earlier, self._anonymous_id = "", None, None

    def set_cookie(self, *, is_https: bool) -> str | None:
        """Return the value of the ``Set-Cookie`` that the answer needs; None if it needs none.

        A middleware asks for it when the answer begins.

        Examples:
            >>> from idmerge import Resolver
            >>> from idmerge.client import Client, visit_of
            >>> from idmerge.client.wsgi import VisitMiddleware
            >>> def app(environ, start_response):
            ...     visit = visit_of(environ)
            ...     before = visit.set_cookie(is_https=True)
            ...     visit.track("Viewed page")
            ...     return [before, visit.set_cookie(is_https=True)[-28:].encode()]
            >>> VisitMiddleware(app, Client(Resolver(), "TOKEN"))({}, None)
            [None, b'Path=/; SameSite=Lax; Secure']
        """
        cookie = self._visits.cookie
        with self._turn:
            is_there = has_cookie(self._cookies, cookie.name)
            if (is_there or self._is_begun) and not self._has_consent:
                return header_of(cookie, "", 0, is_https=is_https) if is_there else None
            if not self._is_begun:
                return None
            device = self._earlier or self._load()["$device_id"]
            new = Device(device, "" if self._earlier else self._mark, today())
            if new == self._ours:
                return None
            return header_of(cookie, new.text, cookie.max_age, is_https=is_https)

    def _load(self) -> dict[str, Any]:
        if not self._is_begun:
            self._is_begun = True
            self._begin()
        return super()._load()

    def _begin(self) -> None:
        """Find the device and the user, when they are first asked for."""
        visits = self._visits
        page: PageDevice | None = None
        if self._has_consent:
            self._ours = ours = device_in(self._cookies, visits.cookie.name)
            name = self._name if visits.page_cookie is None else visits.page_cookie
            page = page_device_in(self._cookies, name) if name else None
            if page is not None:
                self._save({"distinct_id": page.distinct_id, "$device_id": page.device_id})
                self._anonymous_id = page.distinct_id
                if ours is not None and ours.device_id != page.device_id and not ours.mark:
                    self._earlier = ours.device_id
            elif ours is not None:
                own = ours.device_id
                self._save({"distinct_id": DEVICE_PREFIX + own, "$device_id": own})
            if ours is not None and (page is None or page.device_id == ours.device_id):
                self._mark = ours.mark
        if visits.user is not None and self._has_consent:
            try:
                user = visits.user(self._request)
                if user is not None:
                    self._identify(id_of(user))
            except Exception:  # noqa: BLE001 - whatever it is, the page is to be shown
                log.exception("user= failed: the visitor is taken for anonymous")
        self._request = None  # It has the visit: a circle would keep both until it is looked for.

    def _forget_user(self) -> None:
        props = self._load()
        props["distinct_id"] = self._anonymous_id or DEVICE_PREFIX + props["$device_id"]
        props.pop("$user_id", None)
        self._is_identified = False
        self._save(props)

    def _identify(self, user_id: str) -> bool:
        if self._load().get("$user_id") not in {None, user_id}:
            # ``$identify`` of one user as another would fuse them where users have UUIDs as IDs.
            self._forget_user()
        props = self._load()
        mark = mark_of(props["$device_id"], user_id)
        if mark == self._mark and not props.get("$user_id"):  # It was sent in an earlier request.
            self._save(props | {"distinct_id": user_id, "$user_id": user_id})
        is_sent = super()._identify(user_id)
        if is_sent and self._earlier is not None:
            own = {"distinct_id": user_id, "$anon_distinct_id": DEVICE_PREFIX + self._earlier}
            is_sent = self._track(self._load() | {"$device_id": self._earlier}, "$identify", own)
        if is_sent:
            self._mark, self._earlier = mark, None
        return is_sent


def visit_of(request: Any) -> Visit:
    """Return the visit of a request that a middleware has passed on.

    Args:
        request: A scope of ASGI, an environ of WSGI, or a request of Starlette, FastAPI, Flask or
            Django, which has one of these.

    Raises:
        LookupError: No middleware has seen the request.

    Examples:
        >>> from idmerge import Resolver
        >>> from idmerge.client import Client, visit_of
        >>> from idmerge.client.wsgi import VisitMiddleware
        >>> def app(environ, start_response):
        ...     start_response("200 OK", [])
        ...     return [b"sent" if visit_of(environ).track("Viewed page") else b""]
        >>> VisitMiddleware(app, Client(Resolver(), "TOKEN"))({}, lambda status, headers: None)
        [b'sent']
    """
    for place in (request, getattr(request, "scope", None), getattr(request, "environ", None)):
        if isinstance(place, Mapping) and isinstance(visit := place.get(KEY), Visit):
            return visit
    raise LookupError("no VisitMiddleware has seen this request")


def is_shared(cache_control: str) -> bool:
    """Return whether caches may give an answer to several visitors (RFC 9111): it has no cookie."""
    asked = [part.strip().lower().partition("=") for part in cache_control.split(",")]
    ages = {name.strip(): value.strip('" ') for name, _, value in asked}
    if {"public", "s-maxage"} & {*ages}:
        return True
    return ages.get("max-age", "0").strip("0") != "" and not {"private", "no-store", "no-cache"} & {*ages}
