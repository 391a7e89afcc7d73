"""Links and other statements of a journal, as lines of text and as objects for --json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge._formatting import counted, event_facts, printable, utc
from idmerge.cli.messages import labelled, rows
from idmerge.errors import RetractionError
from idmerge.pages.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from idmerge import DurableResolver, Outcome, RecordedLink, Statement

LISTED = 50
"""Rows of a list that are printed unless all are wanted."""
OTHERS = 5
"""Other statements that an error lists."""
KEEP_APART = "keep-apart"


class Stated(NamedTuple):
    """The statements about one or two clusters, but for the links that are shown already."""

    copies: Sequence[Statement]
    """Further copies of the shown links, which changed nothing."""
    rejected: Sequence[Statement]
    kept_apart: Sequence[Statement]
    taken_back: Sequence[Statement]


def sorted_out(statements: Sequence[Statement], links: Sequence[RecordedLink]) -> Stated:
    """Return ``statements`` by what became of them; ``links`` are those that are shown already."""
    shown, places = {_equal(link) for link in links}, {link.position for link in links}
    holding = [one for one in statements if not one.is_taken_back]
    accepted = [one for one in holding if one.outcome is not None and one.outcome.accepted]
    return Stated(
        [one for one in accepted if _equal(one) in shown and one.position not in places],
        [one for one in holding if one.outcome is not None and not one.outcome.accepted],
        [one for one in holding if one.kind is None],
        [one for one in statements if one.is_taken_back],
    )


def _equal(link: RecordedLink | Statement) -> tuple[Any, ...]:
    return link.kind, link.first, link.second, link.source


def link_rows(links: Sequence[RecordedLink]) -> Iterator[str]:
    """Yield a line for each accepted link."""
    return rows(
        [
            (
                f"{link.position:,}",
                utc(link.time),
                kind_name(link),
                first,
                second + _in_brackets(event_facts(link.event_time, link.origin)),
            )
            for link in links
            for first, second in (_ends(link),)
        ],
        right=(0,),
        ragged=2,
    )


def copies_lines(copies: Sequence[Statement], most: int | None = None) -> Iterator[str]:
    """Yield the lines on copies of the links above, if there are any."""
    if copies:
        yield labelled("copies", f"{_head('link', copies, most)} of these, sent again")
        yield from _statement_rows(copies[:most])


def rejected_lines(rejected: Sequence[Statement], where: str, most: int | None = None) -> Iterator[str]:
    """Yield the lines on rejected links, and then the rules behind the outcomes."""
    yield labelled("rejected", f"{_head('link', rejected, most)} {where}")
    yield from _statement_rows(rejected[:most])
    outcomes = {one.outcome for one in rejected[:most] if one.outcome is not None}
    for place, outcome in enumerate(sorted(outcomes)):
        yield labelled("" if place else "rules", f"{outcome.name}: {RULES[outcome]}")


def act_lines(stated: Stated, most: int | None = None) -> Iterator[str]:
    """Yield the lines on pairs that are kept apart and on what was taken back, if there are any."""
    if stated.kept_apart:
        yield labelled("kept apart", _head("pair of IDs", stated.kept_apart, most, "pairs of IDs"))
        yield from _statement_rows(stated.kept_apart[:most])
    if stated.taken_back:
        yield labelled("taken back", _head("statement", stated.taken_back, most))
        yield from _statement_rows(stated.taken_back[:most])


def _head(noun: str, statements: Sequence[Statement], most: int | None, plural: str | None = None) -> str:
    """Return how many copies there are of ``statements``, and how many of these follow."""
    text = counted(sum(one.copies for one in statements), noun, plural)
    return f"{text}{cut_off(len(statements), most)}"


def cut_off(count: int, most: int | None) -> str:
    """Return what the head of a list of ``count`` rows says if only ``most`` of them follow."""
    return "" if most is None or count <= most else f" ({most:,} of {count:,} rows here, --all lists all)"


def _statement_rows(statements: Sequence[Statement]) -> Iterator[str]:
    """Yield a line for each statement: the time of its first copy, and the positions of all."""
    with_outcome = any(one.outcome is not None and not one.outcome.accepted for one in statements)
    cells = []
    for one in statements:
        first, second = _ends(one)
        facts = [text or "" for text in outcome_facts(one.outcome).values()] if with_outcome else []
        cells.append((f"{one.position:,}", utc(one.time), kind_name(one), *facts, first, second + _more(one)))
    return rows(cells, right=(0,), ragged=2)


def _more(one: Statement) -> str:
    """Return the event, the positions of further copies, and those of retractions."""
    parts = event_facts(one.event_time, one.origin)
    if one.copies > 1:
        parts.append(f"again at {listed(one.positions[1:], one.copies - 1)}")
    if one.taken_back_by:
        parts.append(f"taken back by {listed(one.taken_back_by, one.copies)}")
    return _in_brackets(parts)


def _in_brackets(parts: Sequence[str]) -> str:
    return f"  ({'; '.join(parts)})" if parts else ""


def listed(positions: Sequence[int], count: int) -> str:
    """Return the first of ``count`` positions, and how many more there are."""
    more = f" and {count - len(positions):,} more" if count > len(positions) else ""
    return ", ".join(f"{position:,}" for position in positions) + more


def kind_name(link: RecordedLink | Statement) -> str:
    """Return the kind of a link, or that of a pair that is kept apart, as --link takes it."""
    return KEEP_APART if link.kind is None else link.kind.name.lower()


def position_of(resolver: DurableResolver, kind: str, a: str, b: str) -> int:
    """Return the position of the only link of this kind and these IDs that holds.

    Raises:
        RetractionError: There are several, or none; the message lists the positions.
        UnknownIdError: One of the IDs is not known.
    """
    known = [text for text in (a, b) if text in resolver] or [a]  # Taken back, a link may make none known.
    stated = resolver.statements(known[0], known[-1])
    between = [one for one in stated if {one.first, one.second} == {a, b}]
    wanted = [one for one in between if kind_name(one) == kind and (one.first == a or one.kind is None)]
    found = [one for one in wanted if not one.is_taken_back]
    count = sum(one.copies for one in found)
    what = f"{kind} of {printable(a)} and {printable(b)}"
    if count == 1:
        return found[0].position
    if count:
        positions = sorted(position for one in found for position in one.positions)
        raise RetractionError(
            f"the {what} was sent {count:,} times, at the positions {listed(positions, count)}"
        )
    others = "; ".join(
        f"{kind_name(one)} of {printable(str(one.first))} and {printable(str(one.second))} at "
        f"{listed(one.positions, one.copies)}"
        f"{f', taken back by {listed(one.taken_back_by, one.copies)}' if one.is_taken_back else ''}"
        for one in between[:OTHERS]
    )
    more = f"; and {len(between) - OTHERS:,} more" if len(between) > OTHERS else ""
    raise RetractionError(f"there is no {what}" + (f"; known of them: {others}{more}" if others else ""))


def _ends(link: RecordedLink | Statement) -> tuple[str, str]:
    first, second = ("(forgotten)" if text is None else printable(text) for text in (link.first, link.second))
    return first, second


def link_facts(link: RecordedLink | Statement) -> dict[str, Any]:
    """Return a link or a statement as an object of --json."""
    return {
        "position": link.position,
        "time": time_fact(link.time),
        "event_time": time_fact(link.event_time),
        "origin": link.origin,
        "kind": kind_name(link),
        "first": link.first,
        "second": link.second,
        "source": link.source,
        **outcome_facts(link.outcome),
    }


def outcome_facts(outcome: Outcome | None) -> dict[str, Any]:
    """Return an outcome and Mixpanel's code for it as keys of an object of --json."""
    if outcome is None:
        return {"outcome": None, "failure_reason": None}
    return {"outcome": outcome.name, "failure_reason": outcome.failure_reason}


def time_fact(time: datetime | None) -> str | None:
    """Return a time as a text of --json: ISO 8601 in UTC."""
    return None if time is None else time.isoformat().replace("+00:00", "Z")


def stated_facts(stated: Stated) -> dict[str, Any]:
    """Return statements as lists of an object of --json, none of them cut."""
    return {
        name: [
            {
                **link_facts(one),
                "count": one.copies,
                "positions": one.positions,
                "taken_back_by": one.taken_back_by,
            }
            for one in statements
        ]
        for name, statements in stated._asdict().items()
    }
