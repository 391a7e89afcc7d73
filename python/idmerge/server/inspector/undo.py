"""The page that takes back what stands in a journal: what that would change, and what it has.

What is done leads to the page of its own position: to take that back brings back what was there.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from idmerge._formatting import counted, utc
from idmerge.errors import RetractionError
from idmerge.server.acts import retraction
from idmerge.server.inspector.acting import (
    MOST_ROWS,
    cut_line,
    in_words,
    known_statements,
    positions_of,
)
from idmerge.server.inspector.frame import failure, framed, see_other
from idmerge.server.inspector.markup import changing_form, id_link, id_text, link, section, table, url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from idmerge.recorded import Statement
    from idmerge.server.acts import Effect, Renamed
    from idmerge.server.http.answers import Answer
    from idmerge.server.inspector.visits import Visit

LINK, RETRACTION = "link", "retraction"
"""What stands at a position, in URLs: something, or that it is taken back."""
MOST_DIGITS = 10
_TAKEN_BACK_AT = re.compile(r"at position ([0-9]{1,19});")


class _Act(NamedTuple):
    """An act that a visitor may do."""

    positions: Sequence[int]
    ids: Mapping[str, str]
    """The fields ``a`` and ``b``: the IDs that it is about, as far as they are known."""
    meant: Statement | None
    """The statement that stands at the positions, or whose retraction does, if that is known."""
    is_back: bool
    """Whether a retraction stands there, so that something comes back."""
    copies: Sequence[Statement] = ()
    """All statements that hold and say the same."""


def page(visit: Visit) -> Answer:
    """Return what it would change to take back what stands at ``position``."""
    if not visit.subject.is_changeable:
        return failure(visit, 403, "this is only read, and so nothing can be taken back, nor tried")
    act = _act(visit, visit.query)
    try:
        effect = retraction(visit.subject.resolver(), act.positions)
    except RetractionError as error:
        return _impossible(visit, error, act)
    number = visit.query.get("done")
    if number is None:
        return _shown(visit, act, effect, "Bring back" if act.is_back else "Take back")
    count = int(number) if number.isascii() and number.isdigit() and len(number) < MOST_DIGITS else 0
    changed = f"{counted(count, 'canonical ID')} changed"
    text = f"Done, by position {_listed(act.positions)}: {changed}."
    message = f'<p role="status" class="done">{text}</p>'
    return _shown(visit, act, effect, "Taken back" if act.is_back else "Brought back", message, is_done=True)


def done(visit: Visit) -> Answer:
    """Take back what stands at ``position``, if that still changes what the form has shown."""
    act = _act(visit, visit.form)
    try:
        effect = visit.subject.retract(act.positions, visit.form.get("expected", ""))
    except RetractionError as error:
        return _impossible(visit, error, act)
    if not effect.is_done:
        text = "The journal has changed since this page was loaded. This is what it would change now."
        message = f'<p role="alert" class="wrong">{text}</p>'
        title = "Bring back" if act.is_back else "Take back"
        return _shown(visit, act, effect, title, message, status=409)
    by = ",".join(str(effect.position + place) for place in range(len(act.positions)))
    of = LINK if act.is_back else RETRACTION
    return see_other(url("undo", position=by, of=of, done=len(effect.renamed), **act.ids))


def _act(visit: Visit, fields: Mapping[str, str]) -> _Act:
    positions = positions_of(fields.get("position", ""))
    ids = {name: fields[name] for name in ("a", "b") if fields.get(name)}
    with visit.subject.still() as resolver:
        stated = known_statements(resolver, *ids.values())
    wanted = {*positions}
    meant = next((one for one in stated if wanted & {*one.taken_back_by}), None)
    if meant is not None:
        return _Act(positions, ids, meant, is_back=True)
    meant = next((one for one in stated if wanted & {*one.positions}), None)
    if meant is not None:
        copies = [one for one in stated if not one.is_taken_back and _equal(one) == _equal(meant)]
        return _Act(positions, ids, meant, is_back=False, copies=copies)
    # A retraction leaves nothing known of IDs that it alone has named: then the URL says it.
    return _Act(positions, ids, None, is_back=fields.get("of") == RETRACTION)


def _equal(one: Statement) -> tuple[object, ...]:
    return one.kind, one.first, one.second, one.source


def _shown(  # noqa: PLR0913 - what the page depends on
    visit: Visit,
    act: _Act,
    effect: Effect,
    title: str,
    message: str = "",
    *,
    status: int = 200,
    is_done: bool = False,
) -> Answer:
    lines = [message, _about(act, is_done=is_done), *_copies(act), *_effect(effect, act, is_done=is_done)]
    if visit.may_change:
        label = "Bring it back" if act.is_back else "Take it back"
        content = [f'<div class="buttons"><button>{label}</button>', _back(act), "</div>"]
        stated = {
            "position": ",".join(map(str, act.positions)),
            "of": RETRACTION if act.is_back else LINK,
            "expected": effect.digest,
            **act.ids,
        }
        lines += changing_form(visit, "undo", content, **stated)
    return framed(visit, title, filter(None, lines), status=status)


def _about(act: _Act, *, is_done: bool) -> str:
    """Return what stands at the positions, in a sentence."""
    if act.meant is None:
        ids = " and ".join(map(id_text, act.ids.values()))
        if is_done and ids:
            return f'<p class="lead">It is about {ids}.</p>'
        of = f", about {ids}" if ids else ""
        return f'<p class="lead">This is what stands at position {_listed(act.positions)}{of}.</p>'
    what = in_words(act.meant)
    if act.is_back:
        verb = "Taken back was" if is_done else "It was taken back"
        text = f"{verb} {what}" if is_done else f"{verb}: {what}"
        return f'<p class="lead">{text}, at position {_listed(act.meant.positions)}.</p>'
    at, time = _listed(act.positions), escape(utc(act.meant.time))
    return f'<p class="lead">This is {what}, at position {at}, committed {time}.</p>'


def _copies(act: _Act) -> Iterator[str]:
    """Yield the way to take back all copies of a link, if some are left."""
    count = sum(one.copies for one in act.copies)
    if count <= len(act.positions):
        return
    listed = sorted(position for one in act.copies for position in one.positions)
    more = [position for position in listed if position not in act.positions]
    left = counted(count - len(act.positions), "copy", "copies")
    yield f'<p class="lead">It was sent {count:,} times, and {left} of it would still hold.'
    if more:
        every = ",".join(map(str, sorted({*act.positions, *more})))
        yield link(url("undo", position=every, **act.ids), f"Take back {_listed([*act.positions, *more])}")
    yield "</p>"


def _effect(effect: Effect, act: _Act, *, is_done: bool) -> Iterator[str]:
    """Yield whose canonical ID changes."""
    count = len(effect.renamed)
    verb = f"{'Bringing' if act.is_back else 'Taking'} it back{' in turn' if is_done else ''} changes"
    if not count:
        yield f'<p class="lead">{verb} no canonical ID.</p>'
        return
    rows = map(_row, effect.renamed[:MOST_ROWS])
    content = [
        *table("IDs with another canonical ID", ["ID", "canonical ID, now and then"], rows),
        cut_line(count, "ID"),
    ]
    yield from section(f"{verb} {counted(count, 'canonical ID')}", content, name="changes")


def _row(one: Renamed) -> Sequence[str]:
    then = f'<span class="id">{id_text(one.new)}</span>'
    return id_link(one.distinct_id), f'{id_link(one.old)} <span class="then">&rarr; {then}</span>'


def _impossible(visit: Visit, error: RetractionError, act: _Act) -> Answer:
    """Return why something cannot be taken back, and what can be done about that."""
    lines = [f'<p role="alert" class="wrong">{escape(str(error))}</p>']
    found = _TAKEN_BACK_AT.search(str(error))
    ways = [_back(act)]
    if found is not None and visit.may_change:
        target = url("undo", position=found[1], of=LINK if act.is_back else RETRACTION, **act.ids)
        ways.insert(0, link(target, "Go to that", "take-back"))
    lines.append(f'<p class="buttons">{" ".join(ways)}</p>')
    return framed(visit, "This cannot be taken back", lines, status=400)


def _back(act: _Act) -> str:
    for text in act.ids.values():
        return link(url("person", id=text), "To the person")
    return link("/", "To the start page")


def _listed(positions: Sequence[int]) -> str:
    return ", ".join(f"{position:,}" for position in positions)
