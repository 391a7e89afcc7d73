"""Profiles of people as Mixpanel exports them, as profile updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from idmerge.errors import FileFormatError
from idmerge.files.columns import CsvRows, wrong_width
from idmerge.files.dialects import listed
from idmerge.files.names import ID, PROPERTIES
from idmerge.files.pieces import BadLine, EventBatch, event_batches

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

UPDATED_ID, SET = "$distinct_id", "$set"


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
    yield from event_batches(path, _updates(path, rows, names, place))


def _updates(
    path: str, rows: CsvRows, names: list[str], place: int
) -> Iterator[tuple[int, dict[str, Any], int] | BadLine]:
    for line, cells in rows:
        if len(cells) != len(names):
            yield wrong_width(path, line, cells, len(names))
            continue
        properties = {
            name: cell
            for at, (name, cell) in enumerate(zip(names, cells, strict=True))
            if cell and at != place
        }
        yield line, {UPDATED_ID: cells[place], SET: properties}, sum(map(len, cells))
