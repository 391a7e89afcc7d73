"""Sessions of those who have signed in, in memory, each with the project that it may see.

A session ends after `IDLE_SECONDS` without a request, `LONGEST_SECONDS` after its beginning, at a
restart, or when `MOST` others have begun since it was used. Wrong secrets can be tried `ATTEMPTS`
times at once, and then one each `PER_SECOND` seconds, by all clients together: a guess at a secret
is worth nothing then.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS, LONGEST_SECONDS = 3600.0, 12 * 3600.0
MOST = 1000
"""Sessions that are kept."""
ATTEMPTS, PER_SECOND = 20, 1.0
"""Wrong secrets that are taken at once, and those a second afterwards."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session."""

    project: str
    """The name of the project that it may see."""
    may_change: bool
    csrf: str = field(repr=False)
    """What its forms have, and no other page can know."""


@dataclass(slots=True)
class _Kept:
    session: Session
    began: float
    used: float


class Sessions:
    """The sessions of a server. Threads can share it.

    Args:
        clock: Returns seconds, whose beginning is any.

    Examples:
        >>> from idmerge.server.inspector.sessions import Sessions
        >>> sessions = Sessions()
        >>> key = sessions.begin("shop", may_change=False)
        >>> sessions.of(key).project, sessions.of("a guess")
        ('shop', None)
        >>> sessions.end(key), sessions.of(key)
        (None, None)
        >>> sessions.may_try(), sessions.note_wrong()
        (True, None)
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._key = secrets.token_bytes(32)
        self._attempts, self._since = float(ATTEMPTS), clock()

    def begin(self, project: str, *, may_change: bool) -> str:
        """Begin a session and return its key, which is what a cookie holds."""
        key, now = secrets.token_urlsafe(32), self._clock()
        session = Session(project, may_change, self.token_of(key))
        with self._lock:
            self._kept[_hashed(key)] = _Kept(session, now, now)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return key

    def of(self, key: str) -> Session | None:
        """Return the session with a key; None if there is none, or it has ended."""
        now, hashed = self._clock(), _hashed(key)
        with self._lock:
            kept = self._kept.get(hashed)
            if kept is None:
                return None
            if now - kept.used > IDLE_SECONDS or now - kept.began > LONGEST_SECONDS:
                del self._kept[hashed]
                return None
            kept.used = now
            self._kept.move_to_end(hashed)
            return kept.session

    def end(self, key: str) -> None:
        """End a session."""
        with self._lock:
            self._kept.pop(_hashed(key), None)

    def token_of(self, text: str) -> str:
        """Return a token that belongs to a text, and that nobody can know without this server."""
        return hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def may_try(self) -> bool:
        """Return whether a secret may be tried now."""
        with self._lock:
            self._refill()
            return self._attempts >= 1

    def note_wrong(self) -> None:
        """Count a secret that was wrong."""
        with self._lock:
            self._refill()
            self._attempts = max(0.0, self._attempts - 1)

    def _refill(self) -> None:
        now = self._clock()
        self._attempts = min(float(ATTEMPTS), self._attempts + (now - self._since) * PER_SECOND)
        self._since = now


def _hashed(key: str) -> str:
    """Return what a key is kept as, so that to look it up takes the same time for each guess."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
