"""Handling of requests: a pure function from a request to records for the log, and its answer.

The answer is sent once the records are on disk. Tokens are public and can only write; the secret
can import and read. Nothing here keeps state, and no credential becomes part of an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge.errors import MalformedEventError
from idmerge.server.http import answers
from idmerge.server.http.credentials import is_same, project_of_secret
from idmerge.server.http.requests import TooLongError
from idmerge.server.log.records import Record
from idmerge.server.writing.admission import admitted
from idmerge.server.writing.calls import events_of_calls, is_call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idmerge.server.http.answers import Answer
    from idmerge.server.http.credentials import Project
    from idmerge.server.http.requests import Request
    from idmerge.server.log.records import Stream
    from idmerge.server.writing.admission import Way

ROUTES = {
    "track": "track",
    "import": "import",
    "engage": "engage",
    "groups": "groups",
    "flags": "flags",
    "settings": "settings",
    "decide": "decide",
    "record": "record",
}
"""What each route is; SDKs can be told other routes, which map to these."""
STREAMS: Mapping[str, tuple[Way, Stream]] = {
    "track": ("track", "events"),
    "engage": ("engage", "updates"),
    "groups": ("groups", "groups"),
}
"""By each route that SDKs write to: the rules of its items, and what they are."""
NOT_KEPT: Mapping[str, Any] = {
    "flags": {"flags": {}},
    "settings": {},
    "decide": {"notifications": [], "config": {"enable_collect_everything": False}},
    "record": {"code": 200, "status": "OK"},
}
"""The answers of the routes of which nothing is kept."""
MAX_SHOWN = 10
"""Failures that an answer to an SDK names."""


class Handled(NamedTuple):
    """The outcome of a request."""

    answer: Answer
    """The answer, to be sent when the records are on disk."""
    records: Sequence[Record] = ()
    refused: int = 0
    """The number of items that are not taken."""
    refused_by: str = ""
    """The project of which they are not taken; empty if they name none."""


def handled(
    request: Request, projects: Sequence[Project], received: int, routes: Mapping[str, str] = ROUTES
) -> Handled:
    """Return the answer to a request of a client that writes, and what it wrote.

    Args:
        request: The request.
        projects: The projects of this server.
        received: The moment of receipt in milliseconds since 1970.
        routes: The known route that each route of a request stands for.
    """
    if request.method not in {"GET", "POST"}:
        return Handled(answers.failed(405, f"the method {request.method} is not supported"))
    if is_call(request.route):
        return _called(request, projects, received)
    route = routes.get(request.route, "")
    if route == "import":
        return _imported(request, projects, received)
    if route in STREAMS:
        return _written(request, projects, received, *STREAMS[route])
    if route in NOT_KEPT:
        return Handled(answers.in_json(NOT_KEPT[route]))
    return Handled(answers.failed(404, f"there is nothing at /{request.route[:100]}"))


def _importer(request: Request, projects: Sequence[Project]) -> Project | None:
    """Return the project that a request may import into.

    That is one whose secret or account it has, as for reading. Besides, its token may be the user,
    with an empty password, and older clients send the secret as ``api_key``.
    """
    by_secret = project_of_secret(request, projects)
    if by_secret is not None:
        return by_secret
    given, password = request.credentials() or (request.field("api_key"), "")
    if not given or password:
        return None
    known = [project for project in projects if is_same(given, project.secret) | (given == project.token)]
    return next(iter(known), None)


def _written(
    request: Request, projects: Sequence[Project], received: int, way: Way, stream: Stream
) -> Handled:
    """Take what an SDK sends; each item names its project by a token."""
    verbose, image = request.is_set("verbose"), request.is_set("img")
    if image and not request.body and b"data=" not in request.query:
        return Handled(answers.taken(verbose=verbose, image=True))
    fallback, _ = request.credentials() or ("", "")
    by_token = {project.token: project.name for project in projects}
    try:
        found = admitted(request.items, way, received, [*by_token], fallback)
    except MalformedEventError as error:
        return Handled(answers.not_taken(str(error), verbose=verbose))
    except TooLongError as error:
        return Handled(answers.failed(413, str(error)))
    names = [*by_token.values()]
    records = [Record(names[place], stream, "track", received, lines) for place, lines in found.lines]
    wrong = [str(failure) for failure in found.failures[:MAX_SHOWN]]
    if found.unknown:
        wrong.append(f"{found.unknown} of the items have no token of a project of this server")
    if wrong:
        answer = answers.not_taken("; ".join(wrong), 200 if records else 400, verbose=verbose)
        return Handled(answer, records, len(found.failures) + found.unknown)
    return Handled(answers.taken(verbose=verbose, image=image), records)


def _imported(request: Request, projects: Sequence[Project], received: int) -> Handled:
    """Take the events of an import, all of which are of the project that the caller may write."""
    project = _importer(request, projects)
    is_form = not request.is_json
    verbose = request.is_set("verbose")
    if project is None:
        wrong = (
            "Basic authorization is needed: the project's secret or its token as user, or a service account"
        )
        return Handled(answers.failed(401, wrong))
    try:
        found = admitted(request.items, "strict" if request.is_set("strict") else "import", received)
    except MalformedEventError as error:
        return Handled(answers.failed(400, str(error)))
    except TooLongError as error:
        return Handled(answers.failed(413, str(error)))
    count = found.taken
    records = [Record(project.name, "events", "import", received, lines) for _, lines in found.lines]
    if found.failures:
        if is_form:
            wrong = "; ".join(map(str, found.failures[:MAX_SHOWN]))
            answer = answers.not_taken(wrong, 200 if count else 400, verbose=verbose)
        else:
            answer = answers.partly_imported(count, found.failures)
        return Handled(answer, records, len(found.failures), project.name)
    return Handled(answers.taken(verbose=verbose) if is_form else answers.imported(count), records)


def _called(request: Request, projects: Sequence[Project], received: int) -> Handled:
    """Take the calls of a library of Segment's, whose authorization has the token as its user."""
    token, _ = request.credentials() or ("", "")
    project = next((project for project in projects if token and project.token == token), None)
    if project is None:
        wrong = "the project's token is needed, as the user of Basic authorization"
        return Handled(answers.failed(401, wrong))
    try:
        events = events_of_calls(request.content(), request.route, project.api)
        if not events:
            return Handled(answers.in_json({"success": True}))
        found = admitted((events, "application/x-ndjson"), "calls", received)
    except MalformedEventError as error:
        return Handled(answers.failed(400, str(error)))
    except TooLongError as error:
        return Handled(answers.failed(413, str(error)))
    refused = len(found.failures)
    if not found.taken and refused:
        answer = answers.failed(400, "; ".join(map(str, found.failures[:MAX_SHOWN])))
        return Handled(answer, (), refused, project.name)
    records = [Record(project.name, "events", "track", received, lines) for _, lines in found.lines]
    return Handled(answers.in_json({"success": True}), records, refused, project.name)
