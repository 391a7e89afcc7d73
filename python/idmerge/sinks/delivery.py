"""Deliveries of a journal to a sink, one after the other."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from idmerge.errors import PositionError, SinkError

if TYPE_CHECKING:
    from idmerge.journal import Cursor, DurableResolver
    from idmerge.sinks.protocol import Sink


class Delivered(NamedTuple):
    """What one delivery has written.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.sinks import Delivery, open_sink
        >>> with DurableResolver.open(":memory:") as r:
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        ...     print(Delivery(r, open_sink("ndjson:copy")).run()._replace(seconds=0))
        Delivered(is_whole=True, rows=2, left_out=0, position=1, seconds=0)
    """

    is_whole: bool
    """Whether it was the whole mapping."""
    rows: int
    """The rows of the update; 0 if there was nothing to write."""
    left_out: int
    """Those among them that the target cannot hold."""
    position: int
    """The position as of which the target is now."""
    seconds: float


class Delivery:
    """Delivers what a resolver's journal has got since, to one sink.

    Args:
        resolver: What its journal has is delivered; nothing may be uncommitted.
        sink: The target.
        restart: Write the whole mapping first, over whatever the target holds.

    Examples:
        >>> from idmerge import DurableResolver
        >>> from idmerge.sinks import Delivery, open_sink
        >>> with DurableResolver.open(":memory:") as r:
        ...     delivery = Delivery(r, open_sink("ndjson:copy"))
        ...     _ = r.merge("ana", "crm-17"), r.commit()
        ...     first = delivery.run()
        ...     _ = r.merge("ben", "crm-18"), r.commit()
        ...     second = delivery.run()
        >>> first.is_whole, second.is_whole, second.rows, delivery.cursor.position
        (True, False, 2, 2)
        >>> delivery.is_of(r)
        True
    """

    def __init__(self, resolver: DurableResolver, sink: Sink, *, restart: bool = False) -> None:
        self._resolver = resolver
        self._sink = sink
        self._restart = restart
        self._is_known = False
        self._cursor: Cursor | None = None

    @property
    def cursor(self) -> Cursor | None:
        """The moment up to which everything is delivered; None before the first delivery."""
        return self._cursor

    def is_of(self, resolver: DurableResolver) -> bool:
        """Return whether this is what it delivers."""
        return self._resolver is resolver

    def run(self) -> Delivered:
        """Deliver once.

        Raises:
            OSError: The target cannot be reached, or refuses; it may be tried again.
            SinkError: The target's cursor is none of this journal, or the target is something else.
            ValueError: Some steps are not committed.
        """
        began = monotonic()
        if not self._is_known:
            self._cursor = self._sink.cursor(restart=self._restart)
            self._is_known = True
        try:
            update = self._resolver.mapping_since(self._cursor)  # Also where another one is needed:
            if self._sink.needs_whole and not update.is_whole:  # the journal may be another one.
                update = self._resolver.mapping_since(None)
        except PositionError as error:
            raise SinkError(
                f"{self._sink.name}: {error}; begin anew by --restart, or name another target"
            ) from error
        rows, left_out = len(update.rows), 0
        if rows or update.is_whole:
            self._is_known = False  # Should it fail, the target says how far it has come.
            left_out = self._sink.apply(update)
            self._is_known, self._restart = True, False
        self._cursor = update.cursor
        return Delivered(update.is_whole, rows, left_out, update.cursor.position, monotonic() - began)
