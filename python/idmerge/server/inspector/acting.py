"""Statements of a journal in words, and the ways from a page to what can be done about them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from idmerge._formatting import counted, event_facts, utc
from idmerge.pages.rules import RULES
from idmerge.server.inspector.markup import id_link, id_text, link, section, table, url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from idmerge.journal import DurableResolver
    from idmerge.recorded import RecordedLink, Statement
    from idmerge.server.inspector.visits import Visit

MOST_ROWS = 500
"""Rows of a table; of more, the number is stated."""


def person_acts(visit: Visit, distinct_id: str) -> Iterator[str]:
    """Yield the part of a person's page that leads to questions and acts."""
    ways = [link(url("why", id=distinct_id), "Why are two IDs one person, or not?")]
    if visit.may_change:
        ways += [
            link(url("apart", a=distinct_id), "Keep this ID apart from another"),
            link(url("forget", id=distinct_id), "Forget this ID"),
        ]
    items = "".join(f"<li>{way}</li>" for way in ways)
    yield from section("Questions and acts", [f'<ul class="acts">{items}</ul>'], name="acts")


def take_back(
    visit: Visit, positions: Sequence[int] | int, a: str | None, b: str | None, text: str = "Take back…"
) -> str:
    """Return a link to the page that takes back what stands at some positions; none for readers."""
    if not visit.may_change:
        return ""
    stated = str(positions) if isinstance(positions, int) else ",".join(map(str, positions))
    return link(url("undo", position=stated, a=a, b=b), text, "take-back")


def kind_of(one: RecordedLink | Statement) -> str:
    """Return the kind of a link, or that of two IDs that are kept apart."""
    return "keep-apart" if one.kind is None else one.kind.name.lower()


def outcome_of(one: RecordedLink | Statement) -> str:
    """Return what became of a link, with the rule by which it was refused, as HTML."""
    if one.outcome is None:
        return ""
    rule = RULES.get(one.outcome)
    code = f" ({one.outcome.failure_reason})" if one.outcome.failure_reason else ""
    name = escape(one.outcome.name + code)
    return name if rule is None else f"{name}<br><small>{escape(rule)}</small>"


def event_lines(one: RecordedLink | Statement) -> list[str]:
    """Return the time and the source of a link's event as HTML, as far as they are known."""
    return [f"<small>{escape(text)}</small>" for text in event_facts(one.event_time, one.origin)]


def statement_rows(visit: Visit, statements: Iterable[Statement]) -> Iterator[Sequence[str]]:
    """Yield a row of HTML cells for each statement, as `statement_table` has them."""
    for one in statements:
        ends = (one.first, one.second)
        if one.is_taken_back:
            way = take_back(visit, one.taken_back_by[-1], *ends, "Bring back…")
            note = f"taken back by {one.taken_back_by[-1]:,}"
        else:
            way = take_back(visit, one.positions, *ends)
            note = "" if one.copies == 1 else f"sent {one.copies:,} times"
        yield (
            f"{one.position:,}",
            "<br>".join([utc(one.time), *event_lines(one)]),
            escape(kind_of(one)),
            id_link(one.first),
            id_link(one.second),
            "<br>".join(filter(None, [outcome_of(one), escape(note)])),
            way,
        )


def statement_table(visit: Visit, caption: str, statements: Sequence[Statement]) -> Iterator[str]:
    """Yield a table of statements, cut after many, with a link to take each back."""
    headings = ["position", "committed", "kind", "first ID", "second ID", "outcome", ""]
    yield from table(caption, headings, statement_rows(visit, statements[:MOST_ROWS]))
    yield cut_line(len(statements), "statement")


def cut_line(count: int, noun: str) -> str:
    """Return the line below a table that has the first of so many rows, if it has not all."""
    if count <= MOST_ROWS:
        return ""
    return f'<p class="soft">{MOST_ROWS:,} of {counted(count, noun)} are listed</p>'


def in_words(one: Statement | RecordedLink) -> str:
    """Return what a statement says, as HTML."""
    first, second = id_text(one.first), id_text(one.second)
    if one.kind is None:
        return f"that {first} and {second} are kept apart"
    return f"the {escape(kind_of(one))} of {first} and {second}"


def known_statements(resolver: DurableResolver, *ids: str | None) -> list[Statement]:
    """Return what a journal states about some IDs, as far as they are known."""
    known = [text for text in ids if text is not None and text in resolver]
    return resolver.statements(known[0], known[-1]) if known else []


def positions_of(text: str) -> list[int]:
    """Return the positions that a field states, with commas between.

    Raises:
        ValueError: It states none.
    """
    parts = text.split(",")[:MOST_ROWS]
    if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):  # noqa: PLR2004
        raise ValueError("position must be a number, or some with commas between them")
    return list(dict.fromkeys(map(int, parts)))
