"""The frame around the content of every page of the inspector, and the headers of its answers."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge.pages.document import html_lines
from idmerge.server.http.answers import HTML, Answer
from idmerge.server.inspector import assets
from idmerge.server.inspector.markup import changing_form, link, url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from idmerge.server.inspector.visits import Visit

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'"  # Widths of bars, and the marks of a diagram.
)
HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""The headers of each page; no page is kept anywhere, as of every answer of the server."""
HTMX_CONFIG = (
    '{"allowEval":false,"includeIndicatorStyles":false,"historyCacheSize":0,"refreshOnHistoryMiss":true,'
    '"selfRequestsOnly":true,"allowScriptTags":false}'
)
NAVIGATION: Sequence[tuple[str, str]] = (
    ("Start", ""),
    ("Live", "live"),
    ("Why", "why"),
    ("Check-up", "check-up"),
)
"""The pages that every page links to: their labels, and their names for `url`. The last one is
there if the doctor is asked."""


def framed(
    visit: Visit, title: str, main: Iterable[str], *, status: int = 200, heading: str | None = None
) -> Answer:
    """Return a page as the answer to a visit.

    Args:
        visit: The visit.
        title: The title, as text, which names the window and stands above the content.
        main: The content as HTML.
        status: The status of the answer.
        heading: What stands above the content in place of the title, as HTML.
    """
    name = f"{title} · {visit.subject.name}"
    body = (*_header(visit), *_main(title, heading, main))
    return _answer(name, body, status)


def plain(title: str, main: Iterable[str], *, status: int = 200) -> Answer:
    """Return a page to someone who has not signed in."""
    return _answer(
        title, (f'<header><p class="brand">{_BRAND}</p></header>', *_main(title, None, main)), status
    )


def see_other(target: str, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """Return that the browser is to get another page, whose URL is one of ours."""
    return Answer(303, b"", headers=[("Location", target), *HEADERS, *headers])


_BRAND = '<span class="mark" aria-hidden="true"></span>idmerge'


def _answer(title: str, body: Iterable[str], status: int) -> Answer:
    head = (
        f"<meta name=\"htmx-config\" content='{HTMX_CONFIG}'>",
        f'<link rel="icon" href="{assets.ICON}" type="image/svg+xml">',
        f'<link rel="stylesheet" href="{assets.STYLE_SHEET}">',
        f'<script src="{assets.HTMX}" defer></script>',
    )
    skip = '<a class="skip" href="#content">Skip to the content</a>'
    lines = html_lines(title, head, (skip, *body), "inspector")
    return Answer(status, ("\n".join(lines) + "\n").encode("utf-8", "replace"), HTML, HEADERS)


def _header(visit: Visit) -> Iterator[str]:
    yield '<header class="bar"><div class="within">'
    yield f'<a class="brand" href="/">{_BRAND} <b><bdi>{escape(visit.subject.name)}</bdi></b></a>'
    yield '<nav aria-label="Pages"><ul>'
    for label, page in NAVIGATION if visit.check_up is not None else NAVIGATION[:-1]:
        target = url(page)
        is_here = ' aria-current="page"' if target.strip("/") == visit.path else ""
        yield f'<li><a href="{escape(target)}"{is_here}>{escape(label)}</a></li>'
    yield "</ul></nav>"
    yield f'<form class="search" role="search" action="{escape(url("person"))}" method="get">'
    yield '<label for="search" class="unseen">An ID of a person</label>'
    found = visit.query.get("id", "") if visit.path == url("person").strip("/") else ""
    shown = escape(found) if found.isprintable() else ""  # No control could hold another one.
    yield (
        f'<input id="search" name="id" type="search" value="{shown}" placeholder="Any ID of a person" '
        'autocomplete="off" autocapitalize="none" spellcheck="false" required>'
    )
    yield "<button>Find</button></form>"
    button = '<button class="quiet">Sign out</button>'
    yield from changing_form(visit, "sign-out", [button])
    yield "</div></header>"


def _main(title: str, heading: str | None, main: Iterable[str]) -> Iterator[str]:
    yield '<main id="content" tabindex="-1">'
    yield f"<h1>{escape(title) if heading is None else heading}</h1>"
    yield from main
    yield "</main>"


def failure(visit: Visit, status: int, message: str) -> Answer:
    """Return a page that names what is wrong."""
    title = {400: "This cannot be shown", 404: "Nothing is here"}.get(status, "This did not work")
    back = link("/", "To the start page")
    return framed(
        visit,
        title,
        [f'<p role="alert" class="wrong"><bdi>{escape(message)}</bdi></p><p>{back}</p>'],
        status=status,
    )
