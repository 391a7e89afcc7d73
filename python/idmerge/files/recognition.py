"""The dialect of a text of JSON, by its first rows (SPEC 11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from idmerge.errors import FileFormatError
from idmerge.files.catalogue import unknown
from idmerge.files.dialects import FLAT, SINGER, Dialect
from idmerge.files.names import EVENT, ID, places_of_ids
from idmerge.files.properties import object_in
from idmerge.files.renaming import likely_id

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from idmerge.files.choosing import Choice
    from idmerge.policy import Api

OnDialect = Callable[[str, Dialect | None], object]
"""Called once a file with its name and its dialect; None where the file is empty."""


def no_matter(_path: str, _dialect: Dialect | None) -> None:
    """Do nothing."""


def dialect_of_row(row: Mapping[str, Any], choice: Choice) -> Dialect | None:
    """Return the dialect of ``row``, None where it is not known or the row has no event's name."""
    dialect = choice.of(row, row.get)
    if dialect is None or dialect.content != "events":
        return dialect
    inner = row if dialect.record is None else row.get(dialect.record)
    return dialect if isinstance(inner, Mapping) and dialect.is_event(inner) else None


def is_recognised(row: Mapping[str, Any], choice: Choice) -> bool:
    """Return whether it is known to which dialect ``row`` belongs."""
    return dialect_of_row(row, choice) is not None


def is_telling(row: Mapping[str, Any], choice: Choice) -> bool:
    """Return whether ``row`` shows its dialect and has a place for its ID."""
    dialect = dialect_of_row(row, choice)
    return dialect is not None and _has_place_for_id(row, dialect, choice.api)


def keys_without_ids(rows: Sequence[Mapping[str, Any]], choice: Choice) -> tuple[str, ...]:
    """Return the keys of the events among ``rows`` if one is likely to be an ID's; else none.

    None either if one of them has a place for an ID, or if the caller chose a dialect or this role.
    """
    is_chosen = choice.dialect is not None or ID in {role.removeprefix("$") for role, _ in choice.columns}
    if not rows or is_chosen or is_telling(rows[-1], choice):
        return ()
    found = ((row, dialect_of_row(row, choice)) for row in rows)
    events = [(dialect, _inner(row, dialect)) for row, dialect in found if dialect is not None]
    keys = tuple(dict.fromkeys(key for _, event in events for key in event))
    return keys if likely_id(keys) is not None else ()


def settled(dialect: Dialect, rows: Sequence[Mapping[str, Any]]) -> Dialect:
    """Return ``dialect`` in view of the keys of the first ``rows`` (`Dialect.settled`)."""
    inner = [row if dialect.record is None else row.get(dialect.record) for row in rows]
    events = [row for row in inner if isinstance(row, Mapping)]
    nested = (row[key] for row in events for key in dialect.properties if key in row)
    inside = {key for value in nested for key in object_in(value)}
    return dialect.settled({key for row in events for key in row}, inside)


def _has_place_for_id(row: Mapping[str, Any], dialect: Dialect, api: Api) -> bool:
    if dialect.content != "events":
        return True
    places = {*places_of_ids(api), *dialect.own_id}
    return not places.isdisjoint(dialect.raw_names(_inner(row, dialect)).values())


def _inner(row: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    inner: Mapping[str, Any] = row if dialect.record is None else row[dialect.record]
    return inner


def is_row(keys: Collection[str], item: Collection[str], choice: Choice) -> bool:
    """Return whether an object with ``keys`` is a row, though it has a list as a page has.

    The name of an event makes it one, and so does the type of a message. An ID does unless the
    list holds events of the ``choice``, which is told by the keys of its first ``item``.
    """
    if _are_of_event(keys, choice) or {"type", SINGER.record} <= {*keys}:
        return True
    known = FLAT.with_columns(dict(choice.columns))
    has_id = not {ID, "$distinct_id"}.isdisjoint(map(known.property_of, keys))
    return has_id and not _are_of_event(item, choice)


def _are_of_event(keys: Collection[str], choice: Choice) -> bool:
    """Return whether an object with ``keys`` is an event."""
    dialect = dialect_of_row(dict.fromkeys(keys), choice)
    return dialect is not None and dialect.content == "events"


def dialect_of_rows(path: str, rows: Sequence[Mapping[str, Any]], choice: Choice) -> Dialect | None:
    """Return the dialect of the first of ``rows`` that has one; None if there are no keys.

    The last row counts first if it is telling, and those that are a name alone count last.

    Raises:
        FileFormatError: None of the rows has one.
    """
    telling = [row for row in rows[-1:] if is_telling(row, choice)]
    for row in [*telling, *(row for row in rows if row.keys() != {EVENT}), *rows]:
        dialect = dialect_of_row(row, choice)
        if dialect is not None:
            return dialect
    keys = dict.fromkeys(key for row in rows for key in row)
    if not keys:
        return None
    raise FileFormatError(f"{path}: {unknown(keys)}")
