"""Cursors: the moment of a journal up to which a copy of its mapping has come, and what came since.

A feed of changes alone does not keep a copy of the mapping: it has no row for a new ID that is its
own canonical ID, and none for an ID that is gone. A cursor therefore counts IDs too:

1. New IDs have the numbers from `ids` on, so each of them gets a row.
2. If no retraction came since, and as many IDs are forgotten as then, and as many have a number
   and are not known, no other ID came or went. Otherwise the update is the whole mapping.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from idmerge import _core


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A moment of a journal, behind one of its batches.

    Examples:
        >>> import json
        >>> from idmerge import DurableResolver
        >>> from idmerge.journal import Cursor
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        ...     cursor = r.mapping_since(None).cursor
        >>> cursor.position, cursor.ids, Cursor.from_json(cursor.to_json()) == cursor
        (1, 2, True)
        >>> Cursor.of(json.loads(cursor.to_json())) == cursor
        True
    """

    batch: int
    """The number of the batch; -1 before the first one."""
    written_at: int
    """The time of its commit, in microseconds since 1970. It tells journals apart."""
    position: int
    """The position behind it: what `DurableResolver.position` was."""
    ids: int
    """The IDs that had a number."""
    unknown: int
    """Those among them that were not known, because every link that named them was retracted."""
    forgotten: int
    """Those among them that were forgotten."""

    def to_json(self) -> str:
        """Return the cursor as a text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the cursor in a text.

        Raises:
            ValueError: There is none.
        """
        return cls.of(json.loads(text))

    @classmethod
    def of(cls, stated: Any) -> Self:
        """Return the cursor with these fields, as JSON has them.

        Raises:
            ValueError: They are not those of a cursor.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(stated, dict) or {*stated} != names or {*map(type, stated.values())} != {int}:
            raise ValueError(f"a cursor has the fields {', '.join(sorted(names))}, got {stated!r:.200}")
        return cls(**stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingUpdate:
    """What brings a copy of the mapping up to date; `DurableResolver.mapping_since` makes it.

    Examples:
        >>> from idmerge import DurableResolver
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        ...     first = r.mapping_since(None)
        ...     _ = r.observe("ben"), r.commit()
        ...     second = r.mapping_since(first.cursor)
        >>> first.is_whole, first.rows.to_pydict()
        (True, {'distinct_id': ['ana', 'crm-17'], 'canonical_id': ['ana', 'ana']})
        >>> second.is_whole, second.rows.to_pydict(), second.cursor.batch
        (False, {'distinct_id': ['ben'], 'canonical_id': ['ben']}, 1)
    """

    is_whole: bool
    """Whether the rows are the whole mapping, so that IDs in no row are gone."""
    rows: _core.Table
    """Columns ``distinct_id`` and ``canonical_id``, one row an ID."""
    cursor: Cursor
    """The moment as of which it is so."""
