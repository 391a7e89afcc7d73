"""Doors: how a request shows who asks, and which subject it may see and change.

A browser signs in with a secret or a service account, and has a cookie from then on; a program has
Basic authorization. A request that changes something must come from a page of this server, by what
the browser states of its origin, and has the token of its session.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from idmerge.server.http.credentials import holder_of, is_same
from idmerge.server.inspector.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.server.http.credentials import Project
    from idmerge.server.http.requests import Request
    from idmerge.server.inspector.examined import CheckUp
    from idmerge.server.inspector.sessions import Sessions
    from idmerge.server.inspector.subject import Subject


class Door(NamedTuple):
    """A subject with the keys to it."""

    project: Project
    subject: Subject
    check_up: CheckUp | None = None
    """What the doctor finds in it; None if nobody asks it."""


class Doors:
    """The subjects that a server shows, each to those who have a key to it.

    Args:
        doors: The subjects.
        sessions: Where sessions are kept.
    """

    def __init__(self, doors: Sequence[Door], sessions: Sessions) -> None:
        self._projects = [door.project for door in doors]
        self._doors = {door.project.name: door for door in doors}
        self._sessions = sessions
        tokens = "\n".join(sorted(project.token for project in self._projects))
        # A cookie is of a host, whatever the port: two servers on one have two names.
        self._cookie = f"idmerge-{hashlib.sha256(tokens.encode()).hexdigest()[:8]}"

    def session(self, request: Request) -> Session | None:
        """Return the session of who asks, or one for a single request that has a key; else None."""
        key = self._key(request)
        found = self._sessions.of(key) if key is not None else None
        if found is not None and found.project in self._doors:
            return found
        credentials = request.credentials()
        if credentials is None or not self._sessions.may_try():
            return None
        holder = holder_of(credentials, self._projects, request.field("project_id"))
        if holder is None:
            self._sessions.note_wrong()
            return None
        token = self._sessions.token_of("\n".join(credentials))
        return Session(holder.project.name, holder.may_change, token)

    def of(self, session: Session) -> Door:
        """Return the door of the subject that a session sees."""
        return self._doors[session.project]

    def sign_in(self, request: Request, key: str, wanted: str | None) -> str | None:
        """Begin a session with a key, a secret or ``user:secret``; return its cookie, or None.

        A session that the browser has already ends, so that nobody else may know the new one.
        """
        user, colon, password = key.strip().partition(":")
        credentials = (user, password if colon else "")
        holder = holder_of(credentials, self._projects, wanted)
        if holder is None:
            self._sessions.note_wrong()
            return None
        self.sign_out(request)
        made = self._sessions.begin(holder.project.name, may_change=holder.may_change)
        return self._cookie_of(request, made)

    def begin(self, request: Request, project: str, *, may_change: bool) -> str:
        """Begin a session without a key; return its cookie."""
        return self._cookie_of(request, self._sessions.begin(project, may_change=may_change))

    def sign_out(self, request: Request) -> str:
        """End the session of a request; return the cookie by which a browser drops its own."""
        key = self._key(request)
        if key is not None:
            self._sessions.end(key)
        return f"{self._cookie_of(request, '')}; Max-Age=0"

    def _key(self, request: Request) -> str | None:
        for part in request.headers.get(b"cookie", b"").split(b";"):
            name, _, value = part.strip().partition(b"=")
            if name == self._cookie.encode():
                return value.decode("latin-1")
        return None

    def _cookie_of(self, request: Request, key: str) -> str:
        is_secure = request.headers.get(b"x-forwarded-proto", b"").split(b",")[0].strip().lower() == b"https"
        secure = "; Secure" if is_secure else ""
        # Strict would ask for the secret again behind links in messages. A GET changes nothing.
        return f"{self._cookie}={key}; Path=/; HttpOnly; SameSite=Lax{secure}"


def is_from_here(request: Request) -> bool:
    """Return whether what was posted comes from a page of this server, if from a browser at all.

    Programs state no origin, and have the token of a session or none.
    """
    site = request.headers.get(b"sec-fetch-site")
    if site is not None and site not in {b"same-origin", b"none"}:
        return False
    origin = request.headers.get(b"origin")
    if origin is None:
        return True
    hosts = {request.headers.get(name, b"") for name in (b"host", b"x-forwarded-host")} - {b""}
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower() in {
            host.decode("latin-1").lower() for host in hosts
        }
    except ValueError:
        return False


def has_token(form: Mapping[str, str], session: Session) -> bool:
    """Return whether a form has the token of a session."""
    return is_same(form.get("csrf", ""), session.csrf)
