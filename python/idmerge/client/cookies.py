"""The cookie of a visitor's device, and that of mixpanel-browser on the same page.

Our cookie has the device's ID, a mark, and the day on which it was set: ``UUID.MARK.DAY``. The mark
is a hash of the device and of the user whom it was identified as; by it the next request knows that
``$identify`` was sent. Nothing in it is secret or trusted: who the user is, the application says.
Whatever is not of this form is passed over.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass
from http.cookies import Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import unquote

from idmerge.policy import ANON_FORMATS, DEVICE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAY = 86_400
_MAX_HEADER = 64 * 2**10
"""Characters of a request's cookies that are read."""
_MAX_OURS = 128
_MAX_OF_THE_PAGE = 8 * 2**10
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_ATTRIBUTE = re.compile(r"[\x21-\x3a\x3c-\x7e]*")
"""What a path or a domain has: no blank, no semicolon, nothing that could end a header."""
_DEVICE = re.compile(ANON_FORMATS["mixpanel"])
_OURS = re.compile(r"([0-9A-Fa-f-]+)(?:\.([0-9a-f]{16})?\.([0-9]{1,6}))?")


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """The cookie in which a middleware keeps a device's ID.

    Raises:
        ValueError: A name or an attribute has characters that a cookie cannot have, ``same_site``
            is none of the three, or is ``"None"`` without ``secure=True``, which browsers refuse.

    Examples:
        >>> from idmerge.client import Cookie
        >>> Cookie(domain="example.com", secure=True).same_site
        'Lax'
    """

    name: str = "idmerge_device"
    """The cookie's name."""
    domain: str | None = None
    """The domain; by default the host that answers, without its subdomains."""
    path: str = "/"
    """The path below which it is sent."""
    max_age: int = 365 * _DAY
    """Seconds until it expires, counted anew from the day of each visit."""
    same_site: Literal["Lax", "Strict", "None"] = "Lax"
    """Whether other sites' requests have it."""
    secure: bool | None = None
    """Whether it is sent by HTTPS alone; by default if the request came by HTTPS."""
    http_only: bool = True
    """Whether the page's scripts cannot read it."""

    def __post_init__(self) -> None:
        """Check the names."""
        if not _NAME.fullmatch(self.name) or Morsel().isReservedKey(self.name):
            raise ValueError(f"a cookie cannot have the name {self.name!r:.100}")
        for text in (self.path, self.domain or ""):
            if not _ATTRIBUTE.fullmatch(text):
                raise ValueError(f"a cookie cannot have the path or domain {text!r:.100}")
        if self.same_site not in {"Lax", "Strict", "None"}:
            raise ValueError(f"same_site must be 'Lax', 'Strict' or 'None', got {self.same_site!r:.100}")
        if self.same_site == "None" and not self.secure:
            raise ValueError("same_site='None' needs secure=True")
        if self.max_age <= 0:
            raise ValueError(f"max_age must be above 0, got {self.max_age}")


def header_of(cookie: Cookie, value: str, max_age: int, *, is_https: bool) -> str:
    """Return the value of ``Set-Cookie`` that sets a cookie; with 0 seconds it removes it."""
    made: SimpleCookie = SimpleCookie({cookie.name: value})
    morsel = made[cookie.name]
    morsel["path"] = cookie.path
    morsel["domain"] = cookie.domain or ""
    morsel["max-age"] = max_age
    morsel["samesite"] = cookie.same_site
    morsel["secure"] = is_https if cookie.secure is None else cookie.secure
    morsel["httponly"] = cookie.http_only
    return morsel.OutputString()


class Device(NamedTuple):
    """What our cookie says."""

    device_id: str
    mark: str
    day: int

    @property
    def text(self) -> str:
        """The cookie's value."""
        return f"{self.device_id}.{self.mark}.{self.day}"


class PageDevice(NamedTuple):
    """What the cookie of mixpanel-browser says of the device."""

    device_id: str
    distinct_id: str
    """The ID of its anonymous events: the SDK's before 2023 has no prefix."""


def today() -> int:
    """Return the number of the day."""
    return int(time.time()) // _DAY


def mark_of(device_id: str, user_id: str) -> str:
    """Return the mark of a device that was identified as a user."""
    return hashlib.sha256(f"{device_id}\n{user_id}".encode(errors="surrogatepass")).hexdigest()[:16]


def device_in(header: str, name: str) -> Device | None:
    """Return what our cookie says; None if a request has none that is ours."""
    for value in _values(header, name):
        match = _OURS.fullmatch(value) if len(value) <= _MAX_OURS else None
        if match and _DEVICE.fullmatch(match[1]):
            return Device(match[1], match[2] or "", int(match[3] or 0))
    return None


def has_cookie(header: str, name: str) -> bool:
    """Return whether a request has a cookie of this name, whatever it holds."""
    return any(True for _ in _values(header, name))


def page_device_in(header: str, name: str) -> PageDevice | None:
    """Return what the cookie of mixpanel-browser says; None if it names no device."""
    for value in _values(header, name):
        found = _decoded(value) if len(value) <= _MAX_OF_THE_PAGE else None
        if not isinstance(found, dict):
            continue
        device = found.get("$device_id")
        if not isinstance(device, str) or len(device) > _MAX_OURS or device.startswith(DEVICE_PREFIX):
            continue
        if _DEVICE.fullmatch(device):
            is_bare = found.get("distinct_id") == device
            return PageDevice(device, device if is_bare else DEVICE_PREFIX + device)
    return None


def _decoded(value: str) -> Any:
    try:
        return json.loads(unquote(value, errors="strict"))
    except (ValueError, RecursionError):
        return None


def _values(header: str, name: str) -> Iterator[str]:
    """Yield the values of a cookie; a browser may send several.

    `http.cookies` would stop at the first cookie of any name that it does not like.
    """
    for part in header[:_MAX_HEADER].split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            yield value.strip('"')
