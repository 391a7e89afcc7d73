"""The page that forgets an ID, for good: what is deleted, and that it is."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from idmerge._formatting import counted, printable
from idmerge._json_columns import unicode_text
from idmerge.server.inspector.acting import MOST_ROWS, cut_line
from idmerge.server.inspector.frame import framed, see_other
from idmerge.server.inspector.markup import changing_form, facts, id_link, id_text, link, section, table, url
from idmerge.server.store.index import hashes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.visits import Visit


class _Found(NamedTuple):
    """What there is of an ID."""

    is_known: bool
    links: int
    """Links and acts that name it."""
    events: int | None
    """Events that were sent under it; None if no events are kept."""
    has_profile: bool
    renamed: Sequence[str]
    """The other IDs of its person, if it is their canonical ID."""


def page(visit: Visit) -> Answer:
    """Return what is deleted if the ID ``id`` is forgotten."""
    if "done" in visit.query:
        return framed(visit, "Forgotten", _is_done(visit))
    distinct_id = visit.query.get("id", "")
    if not distinct_id:
        return see_other("/")
    return _question(visit, distinct_id)


def done(visit: Visit) -> Answer:
    """Forget the ID ``id``, if it was typed."""
    distinct_id = visit.form.get("id", "")
    typed = visit.form.get("typed", "")
    if not distinct_id or typed not in {distinct_id, distinct_id.strip(), printable(distinct_id)}:
        return _question(visit, distinct_id, wrong="This is another text than the ID. Nothing was forgotten.")
    found = visit.subject.forget(distinct_id)
    return see_other(url("forget", done=1, events=found.events, rest=None if found.is_wiped else 1))


def _question(visit: Visit, distinct_id: str, wrong: str = "") -> Answer:
    found = _found(visit, distinct_id)
    if not found.is_known and not found.events and not found.has_profile:
        lines = [f'<p class="lead">Nothing names {id_text(distinct_id)}: there is nothing to forget.</p>']
        return framed(visit, "Not known", lines, status=404)
    return framed(
        visit,
        "Forget an ID",
        _asked(visit, distinct_id, found, wrong),
        status=400 if wrong else 200,
        heading=f"Forget {id_text(distinct_id)}",
    )


def _found(visit: Visit, distinct_id: str) -> _Found:
    with visit.subject.still() as resolver:
        is_known = distinct_id in resolver
        stated = resolver.statements(distinct_id) if is_known else []
        members = resolver.members(distinct_id) if is_known else []
        is_canonical = is_known and resolver.resolve(distinct_id) == distinct_id
    profiles = visit.subject.profiles()
    stored = set() if profiles is None else {*profiles.hidden(distinct_id)}
    has_profile = distinct_id in stored or (
        profiles is not None and distinct_id in profiles and (is_canonical or not is_known)
    )
    return _Found(
        is_known,
        sum(one.copies for one in stated if distinct_id in {one.first, one.second}),
        _events(visit, distinct_id),
        has_profile,
        [one for one in members if one != distinct_id] if is_canonical else [],
    )


def _events(visit: Visit, distinct_id: str) -> int | None:
    """Return the number of events that were sent under an ID."""
    stored = visit.subject.events()
    if stored is None:
        return None
    ids: list[Any] = [unicode_text(distinct_id)]
    wanted: Any = pa.array(ids, pa.string())
    hashes = hashes_of(ids)
    sealed: int = sum(len(found) for file in stored.files for found in file.of(hashes, wanted))
    waiting = (table.column("distinct_id").to_pylist() for table in stored.tail())
    return sealed + sum(senders.count(ids[0]) for senders in waiting)


def _asked(visit: Visit, distinct_id: str, found: _Found, wrong: str) -> Iterator[str]:
    if wrong:
        yield f'<p role="alert" class="wrong">{escape(wrong)}</p>'
    pairs = []
    if found.events is not None:
        pairs.append(("events under this ID, deleted", f"{found.events:,}"))
    pairs.append(("links and acts that name it, which lose its text", f"{found.links:,}"))
    if found.events is not None:
        pairs.append(("profile under this ID", "deleted" if found.has_profile else "none"))
    pairs.append(("other IDs with another canonical ID", f"{len(found.renamed):,}"))
    yield from facts(pairs)
    and_events = ", and the identity events that name it are deleted" if found.events is not None else ""
    yield (
        '<p class="lead">What the ID has joined stays joined. Its text is wiped from the journal'
        f"{and_events}. An event that comes later makes it known again, as a new ID.</p>"
    )
    if found.renamed:
        rows = ([id_link(one), id_text(distinct_id)] for one in found.renamed[:MOST_ROWS])
        lead = "The ID is the canonical one of its person; another one of these takes its place."
        content = [
            f'<p class="lead">{lead}</p>',
            *table("IDs with another canonical ID", ["ID", "canonical ID now"], rows),
            cut_line(len(found.renamed), "ID"),
        ]
        yield from section("Canonical IDs that change", content, name="changes")
    if visit.may_change:
        yield from changing_form(visit, "forget", _controls(distinct_id), id=distinct_id)


def _controls(distinct_id: str) -> Iterator[str]:
    back = link(url("person", id=distinct_id), "To the person")
    yield '<div class="confirm final"><p><b>This is for good:</b> nobody can take it back.</p>'
    yield f'<label for="typed">Type the ID to confirm: {id_text(distinct_id)}</label>'
    plain = 'autocomplete="off" autocapitalize="none" spellcheck="false"'
    yield f'<input id="typed" name="typed" required {plain}>'
    yield f'<div class="buttons"><button class="danger">Forget it for good</button> {back}</div></div>'


def _is_done(visit: Visit) -> Iterator[str]:
    number = visit.query.get("events", "")
    count = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else 0  # noqa: PLR2004
    with_events = f", with {counted(count, 'event')}" if count else ""
    yield f'<p role="status" class="done">The ID is forgotten{with_events}.</p>'
    if "rest" in visit.query:
        yield (
            '<p class="lead">The log keeps records that nothing has applied, or that are being read, and '
            "they may hold it: forget it again later.</p>"
        )
    yield f'<p class="buttons">{link("/", "To the start page")}</p>'
