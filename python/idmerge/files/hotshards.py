"""Events of hot shards in tables: their rows become those that were sent (SPEC 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idmerge._ids import as_id
from idmerge._json_columns import unicode_text
from idmerge.events import HOT_SHARD, ORIGINALS, original_of
from idmerge.files.arrow import is_text
from idmerge.files.names import EVENT, ID, PROPERTIES
from idmerge.files.properties import properties_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa


def unsharded(table: pa.Table) -> pa.Table:
    """Return ``table``, in which rows of hot shards have the names and IDs of their own events."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if EVENT not in table.column_names:
        return table
    event: Any = table.column(EVENT)
    kind = event.type.value_type if pa.types.is_dictionary(event.type) else event.type
    if not is_text(kind):
        return table
    hot_shard: Any = pa.scalar(HOT_SHARD, pa.large_string())
    is_hot = pc.equal(event.cast(pa.large_string()), hot_shard)
    if not pc.any(is_hot).as_py():
        return table
    hot = [place for place, found in enumerate(is_hot.to_pylist()) if found]
    looked_at = [name for name in (EVENT, *ORIGINALS, PROPERTIES) if name in table.column_names]
    originals = [_original(row) for row in table.select(looked_at).take(pa.array(hot)).to_pylist()]
    names, ids = event.to_pylist(), _ids(table)
    for place, (name, own) in zip(hot, originals, strict=True):
        names[place], ids[place] = name, own
    table = table.set_column(table.column_names.index(EVENT), EVENT, pa.array(names, kind).cast(event.type))
    texts = [own if own is None or unicode_text(own) == own else None for own in ids]
    column = pa.array(texts, pa.large_string() if _is_large(table) else pa.string())
    if ID in table.column_names:
        return table.set_column(table.column_names.index(ID), ID, column)
    return table.add_column(0, ID, column)


def _original(row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the name and the ID of the event for which a row of a hot shard stands."""
    properties = dict(properties_in(row.get(PROPERTIES)))
    properties |= {name: row[name] for name in ORIGINALS if row.get(name) is not None}
    event = original_of({"event": HOT_SHARD, "properties": properties})
    name = event["event"]
    return unicode_text(name) if isinstance(name, str) else None, as_id(event["properties"][ID])


def _ids(table: pa.Table) -> list[str | None]:
    if ID in table.column_names:
        return [as_id(value) for value in table.column(ID).to_pylist()]
    if PROPERTIES not in table.column_names:
        return [None] * table.num_rows
    return [as_id(properties_in(value).get(ID)) for value in table.column(PROPERTIES).to_pylist()]


def _is_large(table: pa.Table) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    return ID in table.column_names and pa.types.is_large_string(table.column(ID).type)
