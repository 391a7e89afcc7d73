"""Removal of an ID from a project's events and from the log, for good.

What is removed: the events that were sent under the ID, and the identity events that name it. Other
events whose properties hold its text stay as they are.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from idmerge._json_columns import unicode_text
from idmerge._json_decoding import decoded_or_none
from idmerge.errors import MalformedEventError
from idmerge.events import HOT_SHARD, IDENTITY_EVENTS, link_of
from idmerge.server.store.sealing import named_now

if TYPE_CHECKING:
    from idmerge.policy import Api
    from idmerge.server.directory import Project
    from idmerge.server.store.files import SealedFile
    from idmerge.server.store.sealing import Store

_LOOKED_AT = ["event", "distinct_id", "canonical_id", "properties", "record"]


class Forgotten(NamedTuple):
    """What became of an ID that was to be forgotten."""

    was_known: bool
    """Whether the project's journal had it."""
    events: int
    """The number of sealed events that are removed."""
    is_wiped: bool
    """Whether the log has no record of before; else some must stay, or are being read."""


def forget(store: Store, project: Project, distinct_id: str, timeout: float) -> Forgotten:
    """Forget an ID: in the journal, in the profiles, in the sealed files, and in the log.

    What came until now is applied first. An event that is applied after that makes the ID known
    again, and stays. An error may leave a part done; the same call does the rest.

    Args:
        store: The events of the server.
        project: The project.
        distinct_id: The ID.
        timeout: Seconds within which the log must be applied.

    Raises:
        BusyError: The log was not applied in time.
        JournalError: The journal could not be wiped.
        OSError: A file could not be written.
    """
    with store.working:
        was_known, place = store.pipeline.forget(project.name, distinct_id, timeout)
        store.log.roll()
        store.pipeline.settle(project.name, timeout)
        store.seal()
        files, resolver = store.files(project.name), store.pipeline.resolver(project.name)
        removed = 0
        for file in files.all:
            kept = _kept(file, distinct_id, project.api, place)
            if kept is not None:
                removed += file.rows - len(kept)
                files.replace([file], named_now(kept, resolver))
        store.drop()
        return Forgotten(was_known, removed, store.log.beginning >= place)


def _kept(file: SealedFile, distinct_id: str, api: Api, place: int) -> pa.Table | None:
    """Return the events of a file without those of an ID up to a place in the log.

    None if the ID's text is nowhere there.
    """
    named = pa.scalar(unicode_text(distinct_id))

    def goes(table: pa.Table) -> Any:
        return mentions(table, distinct_id, api) & (table.column("record").to_numpy() <= place)

    for table in file.tables(_LOOKED_AT):
        is_name = pc.any(pc.equal(table.column("canonical_id"), named)).as_py()
        if is_name or goes(table).any():
            break
    else:
        return None
    return pa.concat_tables([table.filter(pa.array(~goes(table))) for table in file.tables()])


def mentions(table: pa.Table, distinct_id: str, api: Api) -> Any:
    """Return which events were sent under an ID, or state a link of it, as a mask.

    Examples:
        >>> import pyarrow as pa
        >>> from idmerge.server.store.forgetting import mentions
        >>> table = pa.table(
        ...     {
        ...         "event": ["Buy", "$identify", "Buy"],
        ...         "distinct_id": ["phone", "ana", "ana"],
        ...         "properties": [
        ...             '{}',
        ...             '{"distinct_id": "ana", "$anon_id": "phone"}',
        ...             '{"x": "phone"}',
        ...         ],
        ...     }
        ... )
        >>> mentions(table, "phone", "original").tolist()
        [True, True, False]
    """
    senders: Any = pc.equal(table.column("distinct_id"), pa.scalar(unicode_text(distinct_id)))
    found = senders.fill_null(fill_value=False).to_numpy().copy()
    links = pc.is_in(table.column("event"), pa.array([*IDENTITY_EVENTS, HOT_SHARD]))
    texts = table.column("properties")
    for row in np.flatnonzero(links.to_numpy()).tolist():
        text = texts[row].as_py()
        if not found[row] and _may_hold(text, distinct_id):
            event = {"event": table.column("event")[row].as_py(), "properties": decoded_or_none(text)}
            found[row] = distinct_id in _operands(event, api)
    return found


def _may_hold(text: str, distinct_id: str) -> bool:
    """Return whether JSON text may hold an ID: its characters, escapes, or a number as 1.7e1."""
    may_be_number = distinct_id.removeprefix("-").isdecimal()
    return may_be_number or "\\" in text or json.dumps(distinct_id, ensure_ascii=False)[1:-1] in text


def _operands(event: dict[str, Any], api: Api) -> tuple[str | None, ...]:
    try:
        link = link_of(event, "import", "original" if api == "simplified" else api)
    except MalformedEventError as error:
        return error.operands
    return () if link is None else (link.first, link.second)
