"""Visits to an inspector without a browser: requests with a cookie, and what their answers show."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from idmerge.server.http.requests import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.routing import Inspector

_HOST = b"shop.example"


class Shown(NamedTuple):
    """An answer, as a browser has it."""

    status: int
    html: str
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """The text without its marks."""
        return unescape(re.sub(r"<[^>]*>", " ", self.html))


class Browser:
    """Keeps the cookie of a session, as a browser does."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self.cookie = ""

    def get(self, url: str, **headers: str) -> Shown:
        """Return a page."""
        return self._asked("GET", url, b"", headers)

    def post(self, url: str, fields: Mapping[str, str], **headers: str) -> Shown:
        """Return the answer to a form of a page of this server."""
        stated = {"origin": f"http://{_HOST.decode()}", "sec_fetch_site": "same-origin", **headers}
        return self._asked("POST", url, urlencode(fields).encode(), stated)

    def send(self, page: str, action: str, fields: Mapping[str, str]) -> Shown:
        """Send a form to a page, with the token that another page's forms have."""
        return self.post(action, {"csrf": self.token(page), **fields})

    def sign_in(self, key: str) -> Shown:
        """Sign in."""
        return self.post("/inspect/sign-in", {"secret": key})

    def token(self, page: str = "/") -> str:
        """Return the token that a page's forms have."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get(page).html)
        assert found is not None, "the page has no form"
        return found[1]

    def _asked(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Shown:
        parts = urlsplit(url)
        sent = {b"host": _HOST, b"accept": b"text/html"}
        sent |= {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        if self.cookie:
            sent[b"cookie"] = self.cookie.encode()
        if body:
            sent[b"content-type"] = b"application/x-www-form-urlencoded"
        answer = self._inspector.answer(Request(method, parts.path, parts.query.encode(), sent, body))
        return self._taken(answer)

    def _taken(self, answer: Answer) -> Shown:
        assert isinstance(answer.body, bytes)
        headers = {name.lower(): value for name, value in answer.headers}
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].split(";")[0]
        return Shown(answer.status, answer.body.decode(), headers)
