"""Profiles of people as Mixpanel exports them, as profile updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from idmerge._exported import ExportedProfile
from idmerge._json_decoding import decoded_or_none
from idmerge._scanned_updates import ScannedUpdates
from idmerge.errors import DialectError, FileFormatError
from idmerge.files.choosing import ANY, Choice, choice_of
from idmerge.files.dialects import CONNECTOR, FLAT, PEOPLE, PIPELINE, RESOLVED, WAREHOUSE, listed
from idmerge.files.names import EVENT, ID, INSERT_ID, PROPERTIES, TIME
from idmerge.files.pieces import BadLine, EventBatch, event_batches
from idmerge.files.recognition import OnDialect, no_matter
from idmerge.files.renaming import is_links
from idmerge.files.tables import check_names, column_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from idmerge.files.arrow import ColumnFile
    from idmerge.files.csvrows import CsvRows
    from idmerge.files.dialects import Dialect

R = TypeVar("R", bound=Mapping[str, Any])

UPDATED_ID, SET = "$distinct_id", "$set"
IDS = (UPDATED_ID, ID, "Distinct ID")
"""The names of the ID of a row, in any case, the likeliest first."""
NESTED = ("$properties", PROPERTIES)
"""The names of the object of a row's properties, or of its JSON text, likewise."""
OPERATIONS = {SET, "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"}
"""The keys of an update, of which a row of an export has none."""
NAMES = {*CONNECTOR.event, "NAME"}
"""The keys of an event's name that may be a person's too."""
EVENTS = {EVENT, *PIPELINE.event, *WAREHOUSE.event} - NAMES
"""The keys of an event's name that rows of people do not have beside ``distinct_id``."""
LINK_COLUMNS = "links in columns"
"""The content of a table of links, which no dialect reads as profiles."""
MOST_ROWS = 100
"""Rows without an update, after which a file is refused."""


def update_of(row: R, choice: Choice = ANY, *, is_flat: bool = False) -> R | dict[str, Any]:
    """Return the update that sets the properties of an exported profile; an update as it is.

    Args:
        row: The row, or the update.
        choice: The names of the ID and the properties that the caller gives. With the dialect
            ``people``, or under an ID that is given, the keys beside the ID are properties.
        is_flat: Whether these are properties in any case, as those of tables are.
    """
    if not OPERATIONS.isdisjoint(row):
        return row
    given = dict(choice.columns)
    own, nested = _key(row, IDS, given.get(ID)), _key(row, NESTED, given.get(PROPERTIES))
    if own is None or (not is_flat and _other_content(row.keys(), choice) is not None):
        return row
    properties = row[nested] if nested is not None else None
    if isinstance(properties, str):
        properties = decoded_or_none(properties)
    inside = properties if isinstance(properties, Mapping) else None
    if inside is None and not is_flat and choice.dialect is not PEOPLE and own != given.get(ID):
        return row
    stated = dict(inside or {})
    for name, value in row.items():
        is_taken = name == own or (inside is not None and name == nested)
        if not is_taken and (value is not None or name not in stated):
            stated[name] = value
    return ExportedProfile({UPDATED_ID: row[own], SET: stated})


def _key(keys: Collection[str], names: Sequence[str], given: str | None = None) -> str | None:
    """Return the one of ``keys`` that is ``given``, or else has one of ``names``, in any case."""
    if given in keys:
        return given
    exact = next((name for name in names if name in keys), None)
    if exact is not None:
        return exact
    return next((key for name in names for key in keys if key.lower() == name.lower()), None)


def _other_content(keys: Collection[str], choice: Choice) -> str | None:
    """Return what rows with ``keys`` are if they are no profiles; None if they may be."""
    if choice.dialect is PEOPLE:
        return None
    lower = {key.lower() for key in keys}
    if {ID, RESOLVED} <= lower:
        return "identity mappings"
    if UPDATED_ID in lower:
        return None
    if dict(choice.columns).get(EVENT) in keys:
        return "events"
    if not EVENTS.isdisjoint(keys):
        return "events"
    has_name = not NAMES.isdisjoint(keys)
    return "events" if has_name and {TIME, INSERT_ID} & {*map(FLAT.property_of, keys)} else None


def _other_file(path: str, content: str) -> FileFormatError:
    """Return the error of a file that holds ``content``."""
    chosen = '; --dialect people (in Python dialect="people") reads it as profiles all the same'
    return FileFormatError(
        f"{path}: the file holds {content}, no profiles; give it under --events"
        f"{chosen if content != LINK_COLUMNS else ''}"
    )


def updates_in(
    path: str, pieces: Iterable[EventBatch | BadLine], choice: Choice, on_dialect: OnDialect
) -> Iterator[EventBatch | BadLine]:
    """Yield ``pieces`` of rows as updates, once one of these is an update.

    ``on_dialect`` is called if the first row has a key that the caller gives.

    Raises:
        FileFormatError: None of the first rows is one, or no line at all.
    """
    held: list[EventBatch] = []
    fault, count = "", 0
    pieces = iter(pieces)
    for piece in pieces:
        if isinstance(piece, BadLine):
            bad = _of_update(piece)
            fault = fault or f"line {bad.line}: {bad.message}"
            yield bad
            continue
        _note_columns(path, piece.events[0], choice, on_dialect)
        batch = _updates_of(piece, choice)
        held.append(batch)
        if _has_update(batch.events):
            yield from held
            break
        content = _other_content(piece.events[0], choice) if len(held) == 1 else None
        if content is not None:
            raise _other_file(path, content)
        fault = fault or f"line {piece.lines[0]}: it has {listed(piece.events[0])}"
        count += len(piece.events)
        if count >= MOST_ROWS:
            raise _without_updates(path, fault)
    else:
        if fault:
            raise _without_updates(path, fault)
    for piece in pieces:
        yield _of_update(piece) if isinstance(piece, BadLine) else _updates_of(piece, choice)


def _note_columns(path: str, keys: Collection[str], choice: Choice, on_dialect: OnDialect) -> None:
    """Call ``on_dialect`` if one of ``keys`` is a column that the caller gives."""
    if any(column in keys for _, column in choice.columns):
        on_dialect(path, PEOPLE.with_columns(dict(choice.columns)))


def _has_update(rows: Iterable[Mapping[str, Any]]) -> bool:
    if isinstance(rows, ScannedUpdates) and rows.has_plain:
        return True
    return any(not OPERATIONS.isdisjoint(row) for row in rows)


def _updates_of(rows: EventBatch, choice: Choice) -> EventBatch:
    if isinstance(rows.events, ScannedUpdates):
        return replace(rows, events=rows.events.with_updates(lambda row: update_of(row, choice)))
    return replace(rows, events=[update_of(row, choice) for row in rows.events])


def _of_update(bad: BadLine) -> BadLine:
    return replace(bad, message=bad.message.replace("the event ", "the update ", 1))


def _without_updates(path: str, fault: str) -> FileFormatError:
    return FileFormatError(
        f"{path}: no line is an update ({fault}); give updates with {UPDATED_ID} and {SET} or the like, or "
        f'profiles with {UPDATED_ID} and {NESTED[0]}; --dialect people (in Python dialect="people") reads '
        f"rows whose keys are properties, and --column {ID}=… names their ID"
    )


def people_choice(dialect: str | Dialect | None = None, columns: Mapping[str, str] | None = None) -> Choice:
    """Return the choice that ``dialect=`` and ``columns=`` make for rows of people.

    Raises:
        DialectError: There is no such dialect or role, or it is another one than ``people``.
    """
    choice = choice_of(dialect, columns)
    if choice.dialect not in {None, PEOPLE}:
        raise DialectError(f"profiles have the dialect 'people', got {choice.dialect.name!r}")
    return choice


class People(NamedTuple):
    """The reader of a table of profiles in the file at ``path``."""

    path: str
    choice: Choice = ANY
    """The names of the ID and the properties."""
    on_dialect: OnDialect = no_matter

    def of_csv(self, rows: CsvRows) -> Iterator[EventBatch | BadLine]:
        """Read the rows of a CSV as updates; a cell that is empty is not there.

        Raises:
            FileFormatError: It has no column of IDs, or is no CSV in UTF-8.
        """
        names = rows.header()
        yield from event_batches(self.path, self._updates(rows, names, self._own(names)))

    def of_columns(
        self, file: ColumnFile, size: int, on_bytes: Callable[[int], object]
    ) -> Iterator[EventBatch | BadLine]:
        """Read the rows of a Parquet or Arrow file as updates, without their nulls.

        ``on_bytes`` gets its ``size``.

        Raises:
            FileFormatError: It is damaged, or has no column of IDs.
        """
        names = list(file.schema.names)
        check_names(self.path, names)
        self._own(names)
        for piece in column_pieces(file, names, size, on_bytes):
            rows = map(_json_value, piece.batch.to_pylist())
            updates = [update_of(row, self.choice, is_flat=True) for row in rows]
            yield EventBatch(self.path, list(piece.lines), updates)

    def _own(self, names: list[str]) -> str:
        """Return the column of IDs."""
        content = LINK_COLUMNS if is_links(names) else _other_content(names, self.choice)
        if content is not None:
            raise _other_file(self.path, content)
        own = _key(names, IDS, dict(self.choice.columns).get(ID))
        if own is None:
            raise FileFormatError(
                f"{self.path}: a table of profiles needs a column {UPDATED_ID} or {ID}; it has "
                f"{listed(names)}; say which it is (--column {ID}=…; in Python columns=…)"
            )
        _note_columns(self.path, names, self.choice, self.on_dialect)
        return own

    def _updates(
        self, rows: CsvRows, names: list[str], own: str
    ) -> Iterator[tuple[int, dict[str, Any], int] | BadLine]:
        for line, cells in rows:
            bad = rows.wrong_width(line, cells)
            if bad is not None:
                yield bad
                continue
            row = {name: cell for name, cell in zip(names, cells, strict=True) if cell or name == own}
            yield line, update_of(row, self.choice, is_flat=True), sum(map(len, cells))


def _json_value(value: Any) -> Any:
    """Return a value of a table as one of JSON, without the nulls of structs and maps."""
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        value = dict(value)
    if isinstance(value, Mapping):
        items = ((name, _json_value(item)) for name, item in value.items())
        return {name: item for name, item in items if item is not None}
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, (str, int)) else _text_of(value)


def _text_of(value: Any) -> str:
    """Return a time in ISO 8601, and any other value as Python prints it."""
    return str(value.isoformat() if hasattr(value, "isoformat") else value)
