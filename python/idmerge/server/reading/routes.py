"""Requests that read, or act: clusters and links, profiles, events, and the state of the server.

Reading takes the project's secret, or a service account, as the user of Basic authorization; a
reader's account changes nothing. Only ``/health`` takes none, and names nothing but whether the
server works. ``/metrics`` takes a monitor too, an account that sees the numbers of all projects.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.errors import BusyError, LogError
from idmerge.server.http import answers
from idmerge.server.http.answers import Answer
from idmerge.server.http.credentials import has_account, holder
from idmerge.server.http.requests import MAX_FIELD
from idmerge.server.reading.acting import ACTS, acted
from idmerge.server.reading.clusters import cluster, connected
from idmerge.server.reading.engage import engaged
from idmerge.server.reading.exporting import exported, query_of
from idmerge.server.reading.feed import feed, feed_query_of
from idmerge.server.reading.mappings import POSITION, mapping_of
from idmerge.server.reading.metrics import CONTENT_TYPE, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from idmerge.journal.durable import DurableResolver
    from idmerge.profiles import Profiles
    from idmerge.server.acts import Effect
    from idmerge.server.counts import Counts
    from idmerge.server.http.credentials import Project
    from idmerge.server.http.requests import Request
    from idmerge.server.pipeline import Lag
    from idmerge.server.reading.engage import Sessions
    from idmerge.server.reading.metrics import Observed
    from idmerge.server.store.forgetting import Forgotten
    from idmerge.server.store.sealing import Snapshot

IDS = "api/ids/"
EXPORT = ("api/2.0/export", "export")
"""The routes of the raw export, by the whole path and by that of Mixpanel's own host."""
FEED = ("api/query/stream/query", "api/2.0/stream/query", "stream/query")
"""The routes of the activity feed, by the paths of today, of before, and of Mixpanel's own host."""
ENGAGE = ("api/query/engage", "api/2.0/engage")
"""The routes of the query of profiles, that of now and that of older clients."""
HEALTH, METRICS, MAPPING = "health", "metrics", "api/ids"
READ: Mapping[str, str] = {
    route: route for route in (HEALTH, METRICS, MAPPING, *ACTS, *EXPORT, *FEED, *ENGAGE)
}
"""The routes that read or act, beside `IDS`, each under the name by which requests are counted."""
_UNAUTHORIZED = ("WWW-Authenticate", 'Basic realm="idmerge"')


class State(Protocol):
    """What requests read."""

    @property
    def projects(self) -> Sequence[Project]:
        """The projects."""

    @property
    def monitors(self) -> Sequence[str]:
        """Accounts that may read the metrics of all projects, each as ``user:secret``."""

    @property
    def failing_sinks(self) -> Sequence[str]:
        """The names of the sinks whose last delivery failed."""

    @property
    def counts(self) -> Counts:
        """What was answered since the start."""

    def observed(self, projects: Sequence[str], *, with_unnamed: bool) -> Observed:
        """Return what metrics show of the server and of some projects."""

    def still(self, project: str) -> AbstractContextManager[DurableResolver]:
        """Give the resolver of a project, which stays as it is while the block runs."""

    def events(self, project: str) -> Snapshot:
        """Return the events of the project with this name at this moment."""

    def forget(self, project: str, distinct_id: str) -> Forgotten:
        """Forget an ID of the project with this name.

        Raises:
            BusyError: The log is not applied yet.
        """

    def retract(self, project: str, positions: Sequence[int]) -> Effect:
        """Take back what stands at some positions of a project's journal.

        Raises:
            BusyError: The log is not applied yet.
        """

    def keep_apart(self, project: str, a: str, b: str) -> int:
        """Keep two IDs of a project apart, and return the position of that.

        Raises:
            BusyError: The log is not applied yet.
        """

    def resolver(self, project: str) -> DurableResolver:
        """Return the resolver of the project with this name."""

    def profiles(self, project: str) -> Profiles:
        """Return the profiles of people of the project with this name."""

    def groups(self, project: str) -> Profiles:
        """Return the profiles of groups of the project with this name."""

    @property
    def sessions(self) -> Sessions:
        """The sessions of queries of profiles."""

    def problem(self) -> str | None:
        """Return why the server does not work as it should; None if it does."""

    def lag(self) -> Lag:
        """Return how far the journals are behind the log."""


def is_read(path: str) -> bool:
    """Return whether a request with this path reads, or acts on a journal."""
    route = path.lstrip("/")
    return route.startswith(IDS) or route.rstrip("/") in READ


def read(request: Request, state: State) -> Answer:
    """Return the answer to a request that reads, or acts on a journal."""
    route = request.path.lstrip("/")
    name = route.rstrip("/")
    if name == HEALTH:
        return _health(state)
    if request.method not in _methods(route):
        return answers.failed(405, f"the method {request.method} is not supported")
    if name == METRICS and has_account(request, state.monitors):
        return _metrics(state, state.projects, with_unnamed=True)
    found = holder(request, state.projects)
    if found is None:
        wrong = "the project's secret is needed, as the user of Basic authorization"
        return answers.failed(401, wrong)._replace(headers=[_UNAUTHORIZED])
    if not found.may_change and (request.method == "DELETE" or name in ACTS):
        return answers.failed(403, "a reader's account changes nothing; the project's secret is needed")
    return _tried(request, state, found.project)


def _tried(request: Request, state: State, project: Project) -> Answer:
    """Return the answer to one who may read a project, or why there is none."""
    try:
        return _of_project(request, state, project)
    except BusyError as error:
        return answers.failed(503, str(error))
    except (LogError, OSError) as error:
        return answers.failed(503, f"the events cannot be read: {error}")
    except ValueError as error:
        return answers.failed(400, str(error))


def _methods(route: str) -> frozenset[str]:
    if route.startswith(IDS) and route.rstrip("/") != MAPPING:
        return frozenset({"GET", "DELETE"})
    if route.rstrip("/") in ACTS:
        return frozenset({"POST"})
    return frozenset({"GET", "POST"} if route.rstrip("/") in {*FEED, *ENGAGE} else {"GET"})


def _of_project(request: Request, state: State, project: Project) -> Answer:
    """Return the answer to one who may read a project.

    Raises:
        BusyError: An ID cannot be forgotten yet.
        LogError: Events are damaged.
        OSError: They cannot be read.
        ValueError: A field of the request is missing or wrong.
    """
    route = request.path.lstrip("/")
    name = route.rstrip("/")
    if route.startswith(IDS) and name != MAPPING:
        return _of_id(request, state, project, route.removeprefix(IDS))
    if name in ACTS:
        return acted(request, name, state, project.name)
    if name == METRICS:
        return _metrics(state, [project], with_unnamed=len(state.projects) == 1)
    if name == MAPPING:
        return _mapping(request, state, project)
    if name in ENGAGE:
        of = project.name
        return engaged(request, of, state.profiles(of), state.groups(of), state.sessions)
    return (_exported if name in EXPORT else _fed)(request, state, project)


def _of_id(request: Request, state: State, project: Project, distinct_id: str) -> Answer:
    """Return the cluster of an ID, or what is between it and another one, or have the ID forgotten.

    Raises:
        BusyError: It cannot be forgotten yet.
        ValueError: The other one is too long for a field.
    """
    if request.method == "DELETE":
        done = state.forget(project.name, distinct_id)
        return answers.in_json({"distinct_id": distinct_id, **done._asdict()})
    resolver = state.resolver(project.name)
    other = request.field("with")
    if other is not None:
        return connected(resolver, distinct_id, other)
    if b"with=" in request.query:
        raise ValueError(f"'with' has too many bytes: {MAX_FIELD} with its name are taken")
    return cluster(resolver, state.profiles(project.name), distinct_id)


def _mapping(request: Request, state: State, project: Project) -> Answer:
    """Return the mapping of a project, or its changes.

    Raises:
        ValueError: A field is wrong.
    """
    with state.still(project.name) as resolver:
        found = mapping_of(resolver, request.field("since"))
    headers = [(POSITION, str(found.position))]
    return _streamed(request, found.lines(), headers)


def _exported(request: Request, state: State, project: Project) -> Answer:
    """Return events of a project.

    Raises:
        ValueError: A field is missing or wrong.
    """
    query, resolver = query_of(request), state.resolver(project.name)
    lines = exported(state.events(project.name), resolver, project.timezone, query)
    return _streamed(request, lines)


def _fed(request: Request, state: State, project: Project) -> Answer:
    """Return the newest events of people.

    Raises:
        ValueError: A field is missing or wrong.
    """
    query, resolver = feed_query_of(request), state.resolver(project.name)
    events = feed(state.events(project.name), resolver, project.timezone, query)
    content = {"status": "ok", "results": {"events": events}}
    return Answer(200, json.dumps(content, separators=(",", ":")).encode(), answers.JSON)


def _metrics(state: State, projects: Sequence[Project], *, with_unnamed: bool) -> Answer:
    observed = state.observed([project.name for project in projects], with_unnamed=with_unnamed)
    return Answer(200, metrics(observed), CONTENT_TYPE)


def _streamed(request: Request, lines: Iterator[bytes], headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """Return lines as a body, compressed if the client takes that."""
    if b"gzip" not in request.headers.get(b"accept-encoding", b""):
        return Answer(200, lines, headers=headers)
    return Answer(200, _packed(lines), headers=[*headers, ("Content-Encoding", "gzip")])


def _packed(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield parts as they are compressed."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # With the head of gzip.
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()


def _health(state: State) -> Answer:
    problem, lag = state.problem(), state.lag()
    content: dict[str, Any] = {
        "status": "ok" if problem is None else "failing",
        "lag_bytes": lag.bytes,
        "lag_seconds": lag.seconds,
    }
    if problem is not None:
        content["reason"] = problem
    if state.failing_sinks:
        content["failing_sinks"] = list(state.failing_sinks)
    return answers.in_json(content, 200 if problem is None else 503)
