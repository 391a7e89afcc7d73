"""The query of profiles, in pages, as Mixpanel's ``/engage`` answers it.

The first page begins a session: the list of the people who are meant, at that moment. Later pages
go through that list, each with the properties of now; who was merged or removed meanwhile is left
out.
"""

from __future__ import annotations

import json
import secrets
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from idmerge._ids import as_id
from idmerge._json_decoding import decoded_or_none
from idmerge.errors import MalformedEventError
from idmerge.server.http.answers import JSON, Answer
from idmerge.server.people.resolving import group_name, group_of
from idmerge.server.reading.numbers import number_of
from idmerge.server.reading.where import condition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from idmerge.profiles import Profiles
    from idmerge.server.http.requests import Request
    from idmerge.server.reading.where import Condition

PAGE_SIZE = 1000
"""The profiles of a page that asks for no other number."""
MOST_PAGE_SIZE = 10_000
MOST_SESSIONS = 1000
"""Sessions that are remembered; older ones end."""
MOST_LISTED = 2_000_000
"""People in the lists of all sessions; older ones end, but the last never does."""
SESSION_SECONDS = 600.0
"""Seconds without a request after which a session ends."""
MOST_FIELDS = 100
_AT_ONCE = 1 << 16
"""Bytes of an answer that are sent together."""
_NOT_SUPPORTED = ("behaviors", "filter_by_cohort", "selector", "sort_key", "sort_order")
"""Parameters of Mixpanel's that would change the answer."""


class Query(NamedTuple):
    """A request for profiles."""

    page: int
    page_size: int
    session_id: str | None
    distinct_ids: Sequence[str] | None
    """The IDs whose people are meant; None for all."""
    output_properties: Sequence[str] | None
    """The properties that are shown; None for all."""
    where: Condition | None
    group_key: str | None
    """The key of the groups that are meant; None for people."""


class _Session(NamedTuple):
    project: str
    group_key: str | None
    listed: Sequence[str]
    used_at: float


class Sessions:
    """Lists of people, or groups, whose pages are asked for. Threads can share it.

    Examples:
        >>> from idmerge.server.reading.engage import Sessions
        >>> sessions = Sessions()
        >>> session_id = sessions.begin("main", None, ["ana", "ben"])
        >>> sessions.find(session_id, "main", None), sessions.find(session_id, "other", None)
        (['ana', 'ben'], None)
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}  # The one that was used last is at the end.
        self._listed = 0

    def begin(self, project: str, group_key: str | None, listed: Sequence[str]) -> str:
        """Return the ID of a new session."""
        session_id = secrets.token_urlsafe(12)
        with self._lock:
            self._put(session_id, _Session(project, group_key, listed, self._clock()))
            while len(self._sessions) > 1 and (
                len(self._sessions) > MOST_SESSIONS or self._listed > MOST_LISTED or self._is_first_old()
            ):
                self._drop(next(iter(self._sessions)))
        return session_id

    def find(self, session_id: str, project: str, group_key: str | None) -> Sequence[str] | None:
        """Return the list of a session; None if there is none, any more or of this project."""
        with self._lock:
            session = self._sessions.get(session_id)
            now = self._clock()
            if session is None or now - session.used_at > SESSION_SECONDS:
                return None
            if (session.project, session.group_key) != (project, group_key):
                return None
            self._drop(session_id)
            self._put(session_id, session._replace(used_at=now))
            return session.listed

    def _put(self, session_id: str, session: _Session) -> None:
        self._sessions[session_id] = session
        self._listed += len(session.listed)

    def _drop(self, session_id: str) -> None:
        self._listed -= len(self._sessions.pop(session_id).listed)

    def _is_first_old(self) -> bool:
        first = next(iter(self._sessions.values()))
        return self._clock() - first.used_at > SESSION_SECONDS


def engaged(request: Request, project: str, people: Profiles, groups: Profiles, sessions: Sessions) -> Answer:
    """Return the page of profiles that a request asks for.

    Args:
        request: The request.
        project: The project's name.
        people: Its profiles of people.
        groups: Its profiles of groups, under `group_name`.
        sessions: The sessions of all projects.

    Raises:
        ValueError: A parameter is wrong, or not supported; the message names it.
    """
    query = query_of(request)
    profiles = people if query.group_key is None else groups
    listed, session_id = _session(query, project, profiles, sessions)
    start = query.page * query.page_size
    page = listed[start : start + query.page_size]
    head = {
        "page": query.page,
        "page_size": query.page_size,
        "session_id": session_id,
        "status": "ok",
        "total": len(listed),
    }
    return Answer(200, _gathered(_parts(head, _results(page, profiles, query))), JSON)


def query_of(request: Request) -> Query:
    """Return what a request asks for, by its query and its form.

    Raises:
        ValueError: A parameter is wrong, or not supported; the message names it.
    """
    fields = _fields(request)
    for name in _NOT_SUPPORTED:
        if fields.get(name):
            raise ValueError(f"{name} is not supported")
    ids = _texts(fields, "distinct_ids")
    if fields.get("distinct_id"):
        ids = [*(ids or ()), fields["distinct_id"]]
    return Query(
        page=_number(fields, "page", 0, 0, 10**9),
        page_size=_number(fields, "page_size", PAGE_SIZE, 1, MOST_PAGE_SIZE),
        session_id=fields.get("session_id") or None,
        distinct_ids=ids,
        output_properties=_texts(fields, "output_properties"),
        where=condition_of(fields["where"]) if fields.get("where", "").strip() else None,
        group_key=fields.get("data_group_id") or None,
    )


def _fields(request: Request) -> dict[str, str]:
    """Return the parameters, those of the query before those of the form."""
    try:
        body = request.content()
    except MalformedEventError as error:
        raise ValueError(str(error)) from error
    if request.is_json and body.strip():
        raise ValueError("parameters must come in the query or in a form, and the body is JSON")
    fields: dict[str, str] = {}
    for text in (request.query, body):
        try:
            pairs = parse_qsl(
                text.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS
            )
        except ValueError:
            raise ValueError(f"there must be at most {MOST_FIELDS} parameters") from None
        for name, value in pairs:
            fields.setdefault(name, value)
    return fields


def _number(fields: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = fields.get(name, "")
    return number_of(name, text, least, most) if text else default


def _texts(fields: Mapping[str, str], name: str) -> Sequence[str] | None:
    """Return a list of texts, among which numbers may stand; None without one."""
    if not fields.get(name):
        return None
    found = decoded_or_none(fields[name])
    texts = [as_id(one) for one in found] if isinstance(found, list) else [None]
    if None in texts:
        raise ValueError(f'{name} must be a JSON list of texts, as in ["ana", "ben"]')
    return [text for text in texts if text is not None]


def _session(query: Query, project: str, profiles: Profiles, sessions: Sessions) -> tuple[Sequence[str], str]:
    """Return the list through which the pages go, and the session's ID.

    Raises:
        ValueError: There is no such session.
    """
    if query.session_id is not None:
        listed = sessions.find(query.session_id, project, query.group_key)
        if listed is None:
            raise ValueError(
                f"session_id is of no session, or of one that has ended (after {SESSION_SECONDS:.0f} seconds "
                "without a request, or as many others began); begin again without it"
            )
        return listed, query.session_id
    if query.page:
        raise ValueError("page needs the session_id that the answer without a page has")
    listed = list(_meant(query, profiles))
    return listed, sessions.begin(project, query.group_key, listed)


def _meant(query: Query, profiles: Profiles) -> Iterator[str]:
    """Yield the people, or groups, whom a query means, by the IDs under which they are shown."""
    names: Iterable[str]
    if query.distinct_ids is None:
        names = iter(profiles)
    else:
        ids = dict.fromkeys(query.distinct_ids)
        if query.group_key is not None:
            ids = dict.fromkeys(group_name(query.group_key, one) for one in ids)
        names = dict.fromkeys(map(profiles.resolver.resolve, ids))
    for name in names:
        if query.group_key is not None and group_of(name)[0] != query.group_key:
            continue
        if query.where is None:
            if query.distinct_ids is None or name in profiles:
                yield name
        elif (profile := profiles.get(name)) is not None and query.where(profile):
            yield name


def _results(page: Iterable[str], profiles: Profiles, query: Query) -> Iterator[dict[str, Any]]:
    """Yield what is shown of each one of a page who is still there."""
    for name in page:
        profile = profiles.get(name) if profiles.resolver.resolve(name) == name else None
        if profile is None:
            continue
        if query.output_properties is not None:
            profile = {key: profile[key] for key in query.output_properties if key in profile}
        own = name if query.group_key is None else group_of(name)[1]
        yield {"$distinct_id": own, "$properties": profile}


def _parts(head: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield the text of an answer."""
    yield json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"results":['
    comma = b""
    for result in results:
        yield comma + json.dumps(result, separators=(",", ":")).encode()
        comma = b","
    yield b"]}"


def _gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of an answer, as many together as are worth a step."""
    gathered = bytearray()
    for part in parts:
        gathered += part
        if len(gathered) >= _AT_ONCE:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)
