"""The IDs of a person as a table: the role of each, when it was seen, and what brought it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from idmerge._formatting import counted, utc
from idmerge.pages.graph import Role, role_of
from idmerge.server.inspector.acting import take_back
from idmerge.server.inspector.markup import id_link, link, section, table, url
from idmerge.server.inspector.moments import moment_of, time_html, zone_of
from idmerge.server.reading.numbers import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import tzinfo

    from idmerge.recorded import RecordedLink
    from idmerge.server.inspector.people import Person
    from idmerge.server.inspector.visits import Visit

PAGE = 100
"""IDs that a page lists."""


class _Listed(NamedTuple):
    """The state of the table."""

    visit: Visit
    distinct_id: str
    person: Person
    roles: Mapping[str | None, Role]
    seen: Mapping[str, tuple[int, int]] | None
    zone: tzinfo
    start: int


def ids_parts(
    visit: Visit,
    person: Person,
    roles: Mapping[str | None, Role],
    seen: Mapping[str, tuple[int, int]] | None,
) -> Iterator[str]:
    """Yield the section of the IDs.

    Args:
        visit: The visit to the page of the person.
        person: The person.
        roles: The roles that links give.
        seen: The first and the last time of each ID's events; None if there are no events.

    Raises:
        ValueError: The URL has no number of an ID as ``ids``.
    """
    start = number_of("ids", visit.query.get("ids", "0"), 0, max(0, len(person.members) - 1))
    note = f"{counted(person.size, 'ID')}, in the order in which they became known"
    listed = _Listed(visit, visit.query["id"], person, roles, seen, zone_of(visit.subject.timezone), start)
    yield from section("IDs", _content(listed), name="ids", note=note)


def _content(listed: _Listed) -> Iterator[str]:
    headings = ["ID", "role", *([] if listed.seen is None else ["first seen", "last seen"]), "brought by"]
    yield from table("The IDs of this person", headings, _rows(listed))
    if len(listed.person.members) > PAGE:
        yield from _pager(listed.distinct_id, listed.person, listed.start)


def _rows(listed: _Listed) -> Iterator[list[str]]:
    brought = _brought(listed.person)
    for one in listed.person.members[listed.start : listed.start + PAGE]:
        role = escape(role_of(one, listed.roles).value)
        is_canonical = one == listed.person.canonical
        canonical = ' <span class="pill note">canonical</span>' if is_canonical else ""
        own = '<span class="pill fine">found by</span>' if one == listed.distinct_id else ""
        times: list[str] = []
        if listed.seen is not None:
            found = listed.seen.get(one, (None, None))
            shown = [None if at is None else moment_of(at, listed.zone) for at in found]
            times = [f'<span class="nowrap">{time_html(at)}</span>' for at in shown]
        yield [
            f"{id_link(one)} {own}",
            f"{role}{canonical}",
            *times,
            _link(listed.visit, brought.get(one), one),
        ]


def _pager(distinct_id: str, person: Person, start: int) -> Iterator[str]:
    count = len(person.members)
    end = min(start + PAGE, count)
    yield f'<nav class="pager" aria-label="More IDs"><span>{start + 1:,}&ndash;{end:,} of {count:,}</span>'
    if start:
        yield link(url("person", id=distinct_id, ids=max(0, start - PAGE)) + "#ids", "Before")
    if end < count:
        yield link(url("person", id=distinct_id, ids=end) + "#ids", "Next")
    yield "</nav>"


def _brought(person: Person) -> dict[str, RecordedLink]:
    """Return the link that brought each ID: the first of those that joined any and name it."""
    found: dict[str, RecordedLink] = {}
    for one in sorted(person.links):
        for end in (one.first, one.second):
            if end is not None:
                found.setdefault(end, one)
    return found


def _link(visit: Visit, brought: RecordedLink | None, own: str) -> str:
    if brought is None:
        return '<span class="soft">no link: its own events</span>'
    other = brought.second if brought.first == own else brought.first
    when = f"{escape(utc(brought.time))}, position {brought.position:,}"
    way = take_back(visit, brought.position, brought.first, brought.second)
    kind = escape(brought.kind.name.lower())
    return f'{kind} with {id_link(other)} <span class="soft nowrap">{when}</span> {way}'
