"""Requests that read: a cluster with its links, and the state of the server.

Reading takes the project's secret, or a service account, as the user of Basic authorization; only
``/health`` takes none, and names nothing but whether the server works.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Protocol

from idmerge.server.http import answers
from idmerge.server.http.answers import Answer
from idmerge.server.http.credentials import project_of_secret
from idmerge.server.reading.exporting import exported, query_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.journal.durable import DurableResolver
    from idmerge.recorded import RecordedLink
    from idmerge.server.http.credentials import Project
    from idmerge.server.http.requests import Request
    from idmerge.server.log.records import Record
    from idmerge.server.pipeline import Lag

IDS = "api/ids/"
EXPORT = ("api/2.0/export", "export")
"""The routes of the raw export, by the whole path and by that of Mixpanel's own host."""
HEALTH = "health"
MOST_MEMBERS = 1000
"""IDs, and links, of a cluster that an answer lists; the whole number is always stated."""
_UNAUTHORIZED = ("WWW-Authenticate", 'Basic realm="idmerge"')


class State(Protocol):
    """What requests read."""

    @property
    def projects(self) -> Sequence[Project]:
        """The projects."""

    def records(self, project: str) -> Iterator[Record]:
        """Return the records of the project with this name, in the order of the log."""

    def resolver(self, project: str) -> DurableResolver:
        """Return the resolver of the project with this name."""

    def problem(self) -> str | None:
        """Return why the server does not work as it should; None if it does."""

    def lag(self) -> Lag:
        """Return how far the journals are behind the log."""


def is_read(path: str) -> bool:
    """Return whether a request with this path reads."""
    route = path.lstrip("/")
    return route.startswith(IDS) or route.rstrip("/") in {HEALTH, *EXPORT}


def read(request: Request, state: State) -> Answer:
    """Return the answer to a request that reads."""
    route = request.path.lstrip("/")
    if route.rstrip("/") == HEALTH:
        return _health(state)
    if request.method != "GET":
        return answers.failed(405, f"the method {request.method} is not supported")
    project = project_of_secret(request, state.projects)
    if project is None:
        wrong = "the project's secret is needed, as the user of Basic authorization"
        return answers.failed(401, wrong)._replace(headers=[_UNAUTHORIZED])
    resolver = state.resolver(project.name)
    if route.startswith(IDS):
        return _cluster(resolver, route.removeprefix(IDS))
    try:
        query = query_of(request)
    except ValueError as error:
        return answers.failed(400, str(error))
    lines = exported(state.records(project.name), resolver, project.api, project.timezone, query)
    return _packed(lines) if b"gzip" in request.headers.get(b"accept-encoding", b"") else Answer(200, lines)


def _packed(parts: Iterator[bytes]) -> Answer:
    """Return a body that is compressed as it is made."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # With the head of gzip.

    def packed() -> Iterator[bytes]:
        for part in parts:
            yield packer.compress(part)
        yield packer.flush()

    return Answer(200, packed(), headers=[("Content-Encoding", "gzip")])


def _health(state: State) -> Answer:
    problem, lag = state.problem(), state.lag()
    content: dict[str, Any] = {
        "status": "ok" if problem is None else "failing",
        "lag_bytes": lag.bytes,
        "lag_seconds": lag.seconds,
    }
    if problem is not None:
        content["reason"] = problem
    return answers.in_json(content, 200 if problem is None else 503)


def _cluster(resolver: DurableResolver, distinct_id: str) -> Answer:
    is_known = distinct_id in resolver
    members = resolver.members(distinct_id) if is_known else [distinct_id]
    links = (resolver.explain(distinct_id) or []) if is_known else []
    return answers.in_json(
        {
            "distinct_id": distinct_id,
            "known": is_known,
            "canonical_id": resolver.resolve(distinct_id),
            "size": len(members),
            "distinct_ids": members[:MOST_MEMBERS],
            "links": [_shown(link) for link in links[:MOST_MEMBERS]],
        }
    )


def _shown(link: RecordedLink) -> dict[str, Any]:
    return {
        "position": link.position,
        "kind": str(link.kind),
        "first": link.first,
        "second": link.second,
        "outcome": link.outcome.name,
        "source": link.source,
        "committed": None if link.time is None else link.time.isoformat(),
    }
