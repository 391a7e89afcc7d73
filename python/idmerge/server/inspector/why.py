"""The page on two IDs: the chain of links that joins them, or what stands between them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted, utc
from idmerge.server.inspector.acting import (
    event_lines,
    kind_of,
    known_statements,
    statement_table,
    take_back,
)
from idmerge.server.inspector.frame import framed
from idmerge.server.inspector.markup import hidden, id_link, id_text, link, section, url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.recorded import RecordedLink, Statement
    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.visits import Visit


def page(visit: Visit) -> Answer:
    """Return the page on the IDs ``id`` and ``other``, or the form that asks for them."""
    a, b = visit.query.get("id", ""), visit.query.get("other", "")
    if not a or not b:
        return framed(visit, "Why are two IDs one person, or not?", two_ids("why", a, b, ("id", "other")))
    if a == b:
        return framed(visit, "One and the same", [_sentence("There is one ID here", a), *_again(a, "")])
    with visit.subject.still() as resolver:
        unknown = [text for text in (a, b) if text not in resolver]
        chain = None if unknown else resolver.explain(a, b)
        sizes = [len(resolver.members(text)) for text in (a, b) if text not in unknown]
        statements = known_statements(resolver, a, b) if not unknown else []
    if unknown:
        lines = [_sentence("No event or link has named this ID", text) for text in unknown]
        return framed(visit, "Not known", [*lines, *_again(a, b)], status=404)
    heading = f"Why {id_text(a)} and {id_text(b)} are {'apart' if chain is None else 'one person'}"
    title = "Why they are apart" if chain is None else "Why they are one person"
    found = (
        _apart(visit, a, b, sizes, statements) if chain is None else _together(visit, a, chain, statements)
    )
    return framed(visit, title, [*found, *_again(a, b)], heading=heading)


def two_ids(page: str, a: str, b: str, names: tuple[str, str], button: str = "Ask") -> Iterator[str]:
    """Yield a form that asks for two IDs and gets a page."""
    yield f'<form method="get" action="{escape(url(page))}"><div class="two">'
    for place, (name, value) in enumerate(zip(names, (a, b), strict=True)):
        label = ("One ID", "Another ID")[place]
        focus = " autofocus" if not value and (place == 0 or a) else ""
        if value and not value.isprintable():  # No control could hold it.
            yield f"<div><p>{id_text(value)}</p>{hidden(name, value)}</div>"
            continue
        plain = 'autocomplete="off" autocapitalize="none" spellcheck="false"'
        yield f'<div><label for="{name}">{label}</label>'
        yield f'<input id="{name}" name="{name}" value="{escape(value)}" required {plain}{focus}></div>'
    yield f'</div><p class="buttons"><button>{escape(button)}</button></p></form>'


def chain_picture(visit: Visit, start: str, chain: Sequence[RecordedLink]) -> Iterator[str]:
    """Yield a chain of links from an ID on, an ID below the other."""
    yield f'<ol class="why-chain"><li class="node end">{id_link(start)}</li>'
    at: str | None = start
    for number, one in enumerate(chain, 1):
        at = one.second if one.first == at else one.first
        end = " end" if number == len(chain) else ""
        parts = [
            f"<b>{escape(kind_of(one))}</b>",
            f"<small>position {one.position:,}</small>",
            f"<small>{escape(utc(one.time))}</small>",
            *event_lines(one),
            take_back(visit, one.position, one.first, one.second),
        ]
        yield f'<li class="link">{" ".join(parts)}</li><li class="node{end}">{id_link(at)}</li>'
    yield "</ol>"


def _together(
    visit: Visit, a: str, chain: Sequence[RecordedLink], statements: Sequence[Statement]
) -> Iterator[str]:
    count = counted(len(chain), "link")
    yield from section("The chain", chain_picture(visit, a, chain), name="chain", note=count)
    equal = {(link.kind, link.first, link.second, link.source) for link in chain}
    places = {link.position for link in chain}
    copies = [
        one
        for one in statements
        if not one.is_taken_back
        and (one.kind, one.first, one.second, one.source) in equal
        and one.position not in places
    ]
    if copies:
        text = "These links were sent again. If one of the chain is taken back, its copies still hold."
        content = [f'<p class="lead">{text}</p>', *statement_table(visit, "Copies", copies)]
        yield from section("Copies", content, name="copies")


def _apart(
    visit: Visit, a: str, b: str, sizes: Sequence[int], statements: Sequence[Statement]
) -> Iterator[str]:
    for text, size in zip((a, b), sizes, strict=True):
        others = "alone" if size == 1 else f"with {counted(size - 1, 'other ID')}"
        yield f'<p class="lead">{id_link(text)} is one person, {others}.</p>'
    holding = [one for one in statements if not one.is_taken_back]
    kept = [one for one in holding if one.kind is None]
    rejected = [one for one in holding if one.outcome is not None and not one.outcome.accepted]
    gone = [one for one in statements if one.is_taken_back and {one.first, one.second} & {a, b}]
    if not kept and not rejected and not gone:
        yield '<p class="lead">No link between these two people was ever sent.</p>'
    for heading, name, found in (
        ("Kept apart", "kept-apart", kept),
        ("Refused links between them", "refused", rejected),
        ("Taken back", "taken-back", gone),
    ):
        if found:
            yield from section(heading, statement_table(visit, heading, found), name=name)
    if visit.may_change and not kept:
        way = link(url("apart", a=a, b=b), "Keep these two apart from now on")
        yield f'<p class="buttons">{way}</p>'


def _sentence(text: str, distinct_id: str) -> str:
    return f'<p class="lead">{escape(text)}: {id_link(distinct_id)}</p>'


def _again(a: str, b: str) -> Iterator[str]:
    yield from section("Two other IDs", two_ids("why", a, b, ("id", "other")), name="again")
