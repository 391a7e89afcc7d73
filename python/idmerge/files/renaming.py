"""Tables of events in other dialects: their columns get raw names, once, at the door (SPEC 11)."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from idmerge.errors import ColumnError, DialectError
from idmerge.files.dialects import FLAT, MIXPANEL, NOT_EVENTS, RESOLVED, Dialect, listed
from idmerge.files.names import EVENT, ID, places_of_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmerge.files.choosing import Choice
    from idmerge.policy import Api

LINKS = ("kind", "first", "second")
"""The columns of a table of links."""
_LIKELY_IDS = (
    "distinctid",
    "anonymousid",
    "anonid",
    "userid",
    "userpseudoid",
    "deviceid",
    "domainuserid",
    "visitorid",
    "clientid",
    "customerid",
    "profileid",
    "personid",
    "uid",
)
"""Columns that are likely to hold the ID of an event, the likeliest first, without case and
punctuation."""
_IDS = (*_LIKELY_IDS, "uuid", "id")
"""Columns that may hold it, likewise."""
_NAMES = ("eventtype", "eventname", "action", "activity", "type", "name")
"""Columns that may hold the name of an event, likewise."""


class Renamed(NamedTuple):
    """The columns of a table in their order, under raw names."""

    dialect: Dialect
    names: list[str]


def is_links(names: Sequence[str]) -> bool:
    """Return whether a table with columns ``names`` holds links, or lacks one column of these."""
    return len({*LINKS} & {*names}) >= len(LINKS) - (EVENT not in names)


def holds_events(names: Sequence[str], choice: Choice) -> bool:
    """Return whether a table with columns ``names`` holds neither links nor identity mappings."""
    if is_links(names):
        return False
    dialect = choice.of(dict.fromkeys(names))
    return dialect is None or dialect.content != "mappings"


def renamed(names: Sequence[str], choice: Choice, *, needs_event: bool = True) -> Renamed:
    """Return the raw names of the columns called ``names``.

    Args:
        names: The columns of a table that holds no links.
        choice: The dialect that the caller wants.
        needs_event: Whether rows need a name. Without one an ID is enough.

    Raises:
        ColumnError: A column that the caller names is not there.
        DialectError: No column is known to be what rows need.
    """
    for role, column in choice.columns:
        if column not in names:
            raise ColumnError(f"{role}={column}: there is no such column; there are {listed(names)}")
    dialect = choice.of(dict.fromkeys(names))
    if choice.dialect is None and not needs_event and (dialect is None or dialect.content == "people"):
        dialect = FLAT
    dialect = (dialect or FLAT).settled(names)
    raw = dialect.raw_names(dict.fromkeys(names))
    given = Renamed(dialect, [raw[name] for name in names])
    if dialect.content == "people":
        raise DialectError(f"{NOT_EVENTS} (there are {listed(names)})")
    dialect.check_columns(given.names)
    what = "events"
    if dialect.content == "mappings":
        missing = [name for name in (ID, RESOLVED) if name not in given.names]
        what = "identity mappings"
    else:
        missing = [EVENT] if needs_event and not dialect.is_event(names) else []
        missing += [ID] if not {*places_of_ids(choice.api)} & {*given.names} else []
    if missing:
        raise unread(names, missing, what, choice.api)
    is_raw = given.names == list(names) and dialect.content == "events" and not choice.columns
    return given._replace(dialect=MIXPANEL) if is_raw else given


def unread(
    names: Sequence[str], missing: Sequence[str], what: str = "events", api: Api = "original"
) -> DialectError:
    """Return the error of a table of ``what`` with ``names`` that lacks the roles ``missing``."""
    guessed: dict[str, str] = {}
    for role in missing:
        guessed[role] = _guess(names, role, [*guessed.values()])
    option = json.dumps(guessed, ensure_ascii=False)
    options = " ".join(f"--column {shlex.quote(f'{role}={name}')}" for role, name in guessed.items())
    needs = [" or ".join(places_of_ids(api)) if role == ID else role for role in missing]
    return DialectError(
        f"{what} need the column{'s' * (len(needs) > 1)} {', and '.join(needs)}; there are {listed(names)}. "
        f"Say which it is: columns={option}, or {options}"
    )


def likely_id(names: Sequence[str]) -> str | None:
    """Return which of ``names`` is the likeliest to hold the ID of an event, None if none is."""
    plain = _plain(names)
    return next((plain[name] for name in _LIKELY_IDS if name in plain), None)


def _plain(names: Sequence[str]) -> dict[str, str]:
    """Return ``names`` by themselves without case and punctuation; of several the first."""
    return {re.sub(r"[\W_]", "", name).lower(): name for name in reversed(names)}


def _guess(names: Sequence[str], role: str, taken: Sequence[str]) -> str:
    """Return the column that ``role`` may have, as an example of how to give it."""
    exact = [name for name in names if name.lower() == role.lower() and name not in taken]
    plain = _plain([name for name in names if name not in taken])
    likely = exact + [plain[name] for name in (_NAMES if role == EVENT else _IDS) if name in plain]
    if role != EVENT:
        likely += [name for name in plain.values() if name.lower().endswith("id")]
    return likely[0] if likely else "…"
