"""The inspector as a whole: a function from a request to its answer, and the pages by paths."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from idmerge.errors import BusyError, IdmergeError, JournalError, LogError, SealedError, UnknownIdError
from idmerge.server.http import answers
from idmerge.server.http.answers import Answer
from idmerge.server.http.credentials import is_same
from idmerge.server.inspector import apart, checkup, forgetting, live, person, picture, start, undo, why
from idmerge.server.inspector.assets import asset
from idmerge.server.inspector.doors import Doors, has_token, is_from_here
from idmerge.server.inspector.frame import failure, plain, see_other
from idmerge.server.inspector.markup import ROOT, hidden, link, url
from idmerge.server.inspector.sessions import Sessions
from idmerge.server.inspector.visits import Visit, fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idmerge.server.http.requests import Request
    from idmerge.server.inspector.doors import Door

    Shown = Callable[[Visit], Answer]


class Page(NamedTuple):
    """A page: what it shows, and what becomes of a form that is posted to it."""

    get: Shown | None = None
    post: Shown | None = None
    """Called by those alone who may change the subject, with a form of this server."""


PAGES: Mapping[str, Page] = {
    "": Page(start.page),
    "person": Page(person.page),
    "why": Page(why.page),
    "undo": Page(undo.page, undo.done),
    "apart": Page(apart.page, apart.done),
    "forget": Page(forgetting.page, forgetting.done),
    "picture": Page(picture.page),
    "live": Page(live.page),
    checkup.NAME: Page(checkup.page),
}
"""The pages by their names, as `url` takes them."""
SIGN_IN, SIGN_OUT, OPEN = "inspect/sign-in", "inspect/sign-out", "inspect/open"
_UNAUTHORIZED = ("WWW-Authenticate", 'Basic realm="idmerge"')


def is_page(path: str) -> bool:
    """Return whether the inspector answers requests with this path."""
    route = path.strip("/")
    return not route or route == "inspect" or route.startswith("inspect/")


class Inspector:
    """The pages of some subjects, for those who have a key to one. Threads can share it.

    Args:
        doors: The subjects with their keys.
        sessions: Where sessions are kept.
        by_ticket: What else than a secret lets in, as a sentence for those who are not: `ticket`.
    """

    def __init__(
        self, doors: Sequence[Door], sessions: Sessions | None = None, by_ticket: str | None = None
    ) -> None:
        self.doors = doors
        """The subjects with their keys."""
        self._sessions = Sessions() if sessions is None else sessions
        self._doors = Doors(doors, self._sessions)
        self._by_ticket = by_ticket
        self._ticket = ""
        self._taking = threading.Lock()

    def ticket(self) -> str:
        """Return the URL, without host, that lets in who opens it first; no older one does then."""
        self._ticket = secrets.token_urlsafe(24)
        return f"/{OPEN}?ticket={self._ticket}"

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request for which `is_page` holds."""
        if request.method not in {"GET", "POST"}:
            wrong = f"the method {request.method} is not supported"
            return answers.failed(405, wrong)._replace(headers=[("Allow", "GET, POST")])
        route = request.path.strip("/")
        if self._by_ticket is not None and route in {SIGN_IN, OPEN}:
            return self._opened(request)
        if route == SIGN_IN:
            return self._sign_in(request)
        return asset(request.path) or self._of_visitor(request, route)

    def _of_visitor(self, request: Request, route: str) -> Answer:
        """Return a page to someone who has a key, or the way to sign in."""
        session = self._doors.session(request)
        if session is None:
            return self._not_signed_in(request, route)
        form = fields_of(request.body) if request.method == "POST" else {}
        _, subject, check_up = self._doors.of(session)
        visit = Visit(request, route, fields_of(request.query), form, subject, session, check_up)
        if request.method == "POST" and not (is_from_here(request) and has_token(form, session)):
            return failure(visit, 403, "the form is not of this session; load its page again, and send it")
        if route == SIGN_OUT and request.method == "POST":
            return see_other("/", [("Set-Cookie", self._doors.sign_out(request))])
        return _tried(visit)

    def _opened(self, request: Request) -> Answer:
        """Let in who has the ticket, once."""
        ticket = fields_of(request.query).get("ticket", "")
        with self._taking:
            is_let_in = is_same(ticket, self._ticket)
            if is_let_in:
                self._ticket = ""
        if is_let_in:
            cookie = self._doors.begin(request, self.doors[0].project.name, may_change=True)
            # No redirection: it would come without the cookie where a file has the link.
            page = plain("It is open", [f'<p class="narrow">{link("/", "Go on")}</p>'])
            more = (("Set-Cookie", cookie), ("Refresh", "0; url=/"))
            return page._replace(headers=[*page.headers, *more])
        if self._doors.session(request) is not None:
            return see_other("/")
        return plain("Open the link", [f'<p class="narrow">{self._by_ticket}</p>'], status=403)

    def _not_signed_in(self, request: Request, route: str) -> Answer:
        """Return the way to sign in, or to a program that its key is missing."""
        if b"authorization" in request.headers or b"text/html" not in request.headers.get(b"accept", b""):
            if request.credentials() is not None and not self._sessions.may_try():
                wrong = "too many wrong secrets came; try again in some seconds"
                return answers.failed(429, wrong)._replace(headers=[("Retry-After", "1")])
            wrong = "the project's secret is needed, as the user of Basic authorization"
            return answers.failed(401, wrong)._replace(headers=[_UNAUTHORIZED])
        if b"hx-request" in request.headers:
            return Answer(200, b"", headers=[("HX-Redirect", url(""))])
        if not route and self._by_ticket is None:
            return _sign_in_page("/")
        return see_other(url("sign-in", to=_target_of(request)))

    def _sign_in(self, request: Request) -> Answer:
        if request.method == "GET":
            asked = fields_of(request.query)
            return _sign_in_page(asked.get("to", "/"), asked.get("project"))
        form = fields_of(request.body)
        to, project = _own(form.get("to", "/")), form.get("project")
        if not is_from_here(request):
            return _sign_in_page(to, project, 403, "the form came from another page; send this one")
        if not self._sessions.may_try():
            return _sign_in_page(to, project, 429, "too many wrong secrets came; try again in some seconds")
        cookie = self._doors.sign_in(request, form.get("secret", ""), project)
        if cookie is None:
            return _sign_in_page(to, project, 401, "no project has this secret, nor such an account")
        return see_other(to, [("Set-Cookie", cookie)])


def _target_of(request: Request) -> str:
    """Return the URL of a page that was asked for, to come back to it."""
    if request.method != "GET":
        return "/"
    query = request.query.decode("latin-1")
    return f"{request.path}?{query}" if query else request.path


def _own(target: str) -> str:
    """Return a URL if it is that of a page of the inspector, else that of the start page."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    is_own = not parts.scheme and not parts.netloc and parts.path.startswith(ROOT) and target.isascii()
    return target if is_own and target.isprintable() and "\\" not in target else "/"


def _sign_in_page(to: str, project: str | None = None, status: int = 200, wrong: str = "") -> Answer:
    alert = f'<p role="alert" class="wrong">{wrong}</p>' if wrong else ""
    control = 'id="secret" name="secret" type="password" autocomplete="current-password" required autofocus'
    lines = [
        f'<div class="narrow">{alert}',
        f'<form class="sign-in" method="post" action="{url("sign-in")}">',
        '<label for="secret">The project\'s secret, or <code>user:secret</code></label>',
        f"<input {control}>",
        hidden("to", _own(to)),
        "" if project is None else hidden("project", project),
        "<button>Sign in</button>",
        "</form>",
        '<p class="soft">It is in <code>idmerge.toml</code>, in the server\'s directory.</p></div>',
    ]
    return plain("Sign in", lines, status=status)


def _tried(visit: Visit) -> Answer:
    """Return the answer to a visit, or a page that names why there is none."""
    try:
        return _shown(visit)
    except UnknownIdError as error:
        status, message = 404, str(error)
    except (BusyError, JournalError, LogError, SealedError) as error:
        status, message = 503, str(error)
    except (IdmergeError, ValueError) as error:
        status, message = 400, str(error)
    except OSError as error:
        status, message = 503, f"the files cannot be read: {error}"
    return failure(visit, status, message)


def _shown(visit: Visit) -> Answer:
    page = PAGES.get(visit.path.removeprefix("inspect").strip("/"))
    if page is None:
        return failure(visit, 404, f"there is no page at {visit.request.path:.200}")
    is_form = visit.request.method == "POST"
    shown = page.post if is_form else page.get
    if shown is None:
        return failure(visit, 405, f"this page does not take the method {visit.request.method}")
    if is_form and not visit.may_change:
        return failure(visit, 403, "this account, or this view, may read and change nothing")
    return shown(visit)
