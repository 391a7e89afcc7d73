"""The page of the check-up, and what the start page shows of it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge.pages.parts import pill
from idmerge.server.inspector.frame import failure, framed, see_other
from idmerge.server.inspector.markup import link, url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.examined import CheckUp
    from idmerge.server.inspector.visits import Visit

NAME = "check-up"
"""The name of the page, for `url`."""
POLL_SECONDS = 2
MOST_TITLES = 5
"""Findings that the start page names."""


def page(visit: Visit) -> Answer:
    """Return the page of the check-up; the first visit begins one."""
    check_up = visit.check_up
    if check_up is None:
        return failure(visit, 404, "no check-up is made here; idmerge doctor makes one")
    if "again" in visit.query:
        check_up.begin()
        return see_other(url(NAME))
    if check_up.began is None:
        check_up.begin()
    return framed(visit, "Check-up", _main(check_up))


def _main(check_up: CheckUp) -> Iterator[str]:
    target = escape(url(NAME))
    polls = f' hx-get="{target}" hx-trigger="every {POLL_SECONDS}s" hx-select="#check-up" hx-swap="outerHTML"'
    is_running = check_up.is_running
    yield f'<div id="check-up" aria-live="polite"{polls if is_running else ""}>'
    if is_running:
        yield f'<p class="soft">Being made since {_moment(check_up)}. {link(url(NAME), "Look again")}</p>'
    elif check_up.fault is not None:
        yield f'<p role="alert" class="wrong">There is none: <bdi>{escape(check_up.fault)}</bdi></p>'
    if check_up.found is not None and not is_running:
        again = link(url(NAME, again="1"), "Make another one")
        yield f'<p class="verdict">{check_up.found.verdict}</p>'
        yield f'<p class="soft">As of {_moment(check_up)}. {again}</p>'
        yield from check_up.found.lines
    elif not is_running:
        yield f"<p>{link(url(NAME, again='1'), 'Make another one')}</p>"
    yield "</div>"


def _moment(check_up: CheckUp) -> str:
    began = check_up.began
    return "" if began is None else f"{began:%Y-%m-%d %H:%M:%S} UTC"


def brief(check_up: CheckUp) -> Iterator[str]:
    """Yield the last check-up as the start page has it."""
    if check_up.found is None:
        asked = "One is being made" if check_up.is_running else "Look for what is wrong with identity"
        yield f"<p>{link(url(NAME), asked)}</p>"
        return
    titles = check_up.found.titles
    yield f'<p class="verdict">{check_up.found.verdict}</p>'
    if titles:
        yield '<ul class="titles">'
        for tone, title in titles[:MOST_TITLES]:
            yield f"<li>{pill(tone, tone)} {escape(title)}</li>"
        yield "</ul>"
    more = len(titles) - MOST_TITLES
    yield f"<p>{link(url(NAME), f'All findings ({more} more)' if more > 0 else 'The whole check-up')}</p>"
