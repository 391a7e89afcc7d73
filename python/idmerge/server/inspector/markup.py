"""Parts of the inspector's pages as HTML: links, forms, tables and lists.

Every text is escaped here, and made visible where it would be invisible or steer the browser
(`printable`); what is HTML is called so.
"""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from idmerge._formatting import full
from idmerge._html import row
from idmerge.server.inspector.visits import AS_JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from idmerge.server.inspector.visits import Visit

ROOT = "/inspect/"
"""The path below which all pages but the start page are."""


def url(page: str, **fields: str | int | None) -> str:
    """Return the URL of a page (``""`` is the start page), with the fields that are not None.

    A field that is a word of Python has an underscore behind it, as in ``from_``.

    Examples:
        >>> from idmerge.server.inspector.markup import url
        >>> url("person", id="a/b|c", before=None), url("")
        ('/inspect/person?id=a%2Fb%7Cc', '/')
    """
    stated = {name.rstrip("_"): str(value) for name, value in fields.items() if value is not None}
    query = urlencode(stated, errors="replace")
    path = f"{ROOT}{page}" if page else "/"
    return f"{path}?{query}" if query else path


def link(target: str, text: str, kind: str | None = None) -> str:
    """Return a link to a URL."""
    named = "" if kind is None else f' class="{kind}"'
    return f'<a{named} href="{escape(target)}">{escape(text)}</a>'


def id_link(distinct_id: str | None, **fields: str | int | None) -> str:
    """Return an ID as a link to its person; None is one that was forgotten."""
    if distinct_id is None:
        return '<span class="soft">(forgotten)</span>'
    target = escape(url("person", id=distinct_id, **fields))
    return f'<a class="id" href="{target}">{id_text(distinct_id)}</a>'


def id_text(distinct_id: str | None) -> str:
    """Return an ID as HTML, isolated from the writing direction of its neighbours."""
    return f"<bdi>{escape(full(distinct_id))}</bdi>"


def hidden(name: str, value: str) -> str:
    """Return a field of a form that is not shown, whatever characters its value has."""
    if value.isprintable():
        return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
    stated = json.dumps(value)
    return f'<input type="hidden" name="{escape(name)}{AS_JSON}" value="{escape(stated)}">'


def changing_form(visit: Visit, page: str, content: Iterable[str], **fields: str) -> Iterator[str]:
    """Yield a form that is posted to a page, with the token of the session.

    Args:
        visit: The visit on whose page it stands.
        page: The page that takes it.
        content: Its controls, its button included, as HTML.
        fields: Fields that are not shown, an ID among them.
    """
    yield f'<form method="post" action="{escape(url(page))}">'
    yield hidden("csrf", visit.session.csrf)
    yield from (hidden(name, value) for name, value in fields.items())
    yield from content
    yield "</form>"


def section(heading: str, content: Iterable[str], *, name: str, note: str = "") -> Iterator[str]:
    """Yield a part of a page with a heading; ``name`` is its fragment in a URL."""
    more = f" <small>{escape(note)}</small>" if note else ""
    yield f'<section id="{escape(name)}" aria-labelledby="{escape(name)}-heading">'
    yield f'<h2 id="{escape(name)}-heading">{escape(heading)}{more}</h2>'
    yield from content
    yield "</section>"


def table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "list"
) -> Iterator[str]:
    """Yield a table, which scrolls by itself in a narrow window; cells are HTML.

    A caption is for who cannot see what stands around the table.
    """
    label = escape(caption)
    yield f'<div class="scroll" role="group" aria-label="{label}" tabindex="0">'
    yield f'<table class="{kind}"><caption>{label}</caption>'
    yield "<thead>" + row(f'<th scope="col">{escape(heading)}</th>' for heading in headings) + "</thead>"
    yield "<tbody>"
    yield from (row(f"<td>{text}</td>" for text in cells) for cells in rows)
    yield "</tbody></table></div>"


def facts(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield names with their values, which are HTML."""
    yield '<dl class="facts-list">'
    yield from (f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in pairs)
    yield "</dl>"
