"""Profiles of people as Mixpanel exports them, as profile updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from idmerge._json_decoding import decoded
from idmerge.errors import FileFormatError
from idmerge.files.csvrows import CsvRows
from idmerge.files.dialects import listed
from idmerge.files.names import ID, PROPERTIES
from idmerge.files.pieces import BadLine, EventBatch, event_batches

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

UPDATED_ID, SET = "$distinct_id", "$set"
OPERATIONS = {SET, "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"}
"""The keys of an update, of which a row of a table has none."""


def update_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the update that sets the properties of an exported profile; an update as it is."""
    if "$properties" in row:
        properties = row["$properties"]
    elif ID in row and PROPERTIES in row and UPDATED_ID not in row:
        properties = row[PROPERTIES]
    else:
        return row
    if not isinstance(properties, Mapping):
        return row
    return {UPDATED_ID: row.get(UPDATED_ID, row.get(ID)), SET: dict(properties)}


def update_of_columns(row: dict[str, Any]) -> dict[str, Any]:
    """Return the update of a row of a table, whose columns are properties; an update as it is."""
    for name in ("$properties", PROPERTIES):
        if isinstance(row.get(name), str):
            row = {**row, name: decoded(row[name])}
    made = update_of(row)
    own = next((name for name in (UPDATED_ID, ID) if name in row), None)
    if made is not row or own is None or not OPERATIONS.isdisjoint(row):
        return made
    return {UPDATED_ID: row[own], SET: {name: value for name, value in row.items() if name != own}}


def read_people(path: str, stream: io.BufferedReader) -> Iterator[EventBatch | BadLine]:
    """Read the rows of a CSV of profiles as updates; a cell that is empty is not there.

    Raises:
        FileFormatError: It has no column of IDs, or is no CSV in UTF-8.
    """
    rows = CsvRows(path, stream)
    names = rows.header()
    place = next((names.index(name) for name in (UPDATED_ID, ID, "Distinct ID") if name in names), None)
    if place is None:
        raise FileFormatError(
            f"{path}: a CSV of profiles needs a column {UPDATED_ID} or {ID}; it has {listed(names)}"
        )
    yield from event_batches(path, _updates(rows, names, place))


def _updates(
    rows: CsvRows, names: list[str], place: int
) -> Iterator[tuple[int, dict[str, Any], int] | BadLine]:
    for line, cells in rows:
        bad = rows.wrong_width(line, cells)
        if bad is not None:
            yield bad
            continue
        properties = {
            name: cell
            for at, (name, cell) in enumerate(zip(names, cells, strict=True))
            if cell and at != place
        }
        yield line, {UPDATED_ID: cells[place], SET: properties}, sum(map(len, cells))
