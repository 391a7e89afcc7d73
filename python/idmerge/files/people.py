"""Profiles of people as Mixpanel exports them, as profile updates."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from idmerge._exported import ExportedProfile
from idmerge._json_decoding import decoded_or_none
from idmerge.errors import DialectError, FileFormatError
from idmerge.files.choosing import ANY, Choice, choice_of
from idmerge.files.dialects import PEOPLE, listed
from idmerge.files.names import ID, PROPERTIES
from idmerge.files.pieces import BadLine, EventBatch, event_batches
from idmerge.files.renaming import is_links
from idmerge.files.tables import check_names, column_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

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
    if own is None:
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
        if is_links(names):
            raise FileFormatError(f"{self.path}: the file holds links in columns, no profiles")
        own = _key(names, IDS, dict(self.choice.columns).get(ID))
        if own is None:
            raise FileFormatError(
                f"{self.path}: a table of profiles needs a column {UPDATED_ID} or {ID}; it has "
                f"{listed(names)}; say which it is (--column {ID}=…; in Python columns=…)"
            )
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
