"""Events that are taken as columns while their links are read, so that JSON files are read once.

Whose an event is can be said when the last link is read. Until then its ID waits as the resolver's
number for it, which means the same as long as the resolver only learns. Who the sender was when
the event came waits as a number too, noted when the event's own link is applied; duplicates are
dropped as the events are taken.

If something turns out that the columns cannot hold, everything taken is dropped, and the files are
read twice.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from idmerge import _core
from idmerge._threads import Pool
from idmerge.files.names import INSERT_ID, TIME
from idmerge.files.scanning import StepBatch
from idmerge.files.shape import TEXT
from idmerge.files.tables import record_batch
from idmerge.files.zones import as_utc
from idmerge.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.files import Piece
    from idmerge.files.shape import Shape
    from idmerge.outcome import Report

Properties = list[tuple[str, str, int]]
"""Each property's name, the name of its column, and its kinds."""


class Kept(NamedTuple):
    """What is kept of events."""

    resolver: Resolver
    """The resolver that will know their canonical IDs."""
    applies: bool
    """True if it takes the same events, so that their IDs need not be looked up again."""
    as_known: bool = False
    """True if the canonical ID that each sender had before is kept too."""
    dedupe: bool = False
    """True if duplicates are dropped."""
    hides_insert_id: bool = False
    """True if insert IDs find duplicates and are no column."""
    timezone: str | None = None
    """The zone of times that name none; None for UTC."""

    @property
    def can_follow(self) -> bool:
        """Whether the resolver can answer for each sender while it takes the events: it is new."""
        is_new = self.resolver._standing()[1:] == (0, 0)  # noqa: SLF001
        return self.applies and is_new and type(self.resolver) is Resolver


class Once(ABC):
    """Events that are taken while their links are read; their file is to be ``output``.

    Errors of writing name ``output``.
    """

    def __init__(self, output: str, shape: Shape, kept: Kept) -> None:
        self._output = output
        self._shape = shape
        self._resolver = kept.resolver
        is_numbered = kept.applies and not callable(kept.resolver.canonical)
        self._era = kept.resolver._era() if is_numbered else None  # noqa: SLF001
        self._follows = kept.as_known
        self._standing = kept.resolver._standing()  # noqa: SLF001
        self._distinct = _core.DistinctEvents() if kept.dedupe else None
        self._timezone = kept.timezone
        self._hidden = {INSERT_ID} if kept.hides_insert_id else set()
        self._pool = Pool(1, "idmerge-encode")
        self.is_whole = True
        """True if all events that were taken are still here."""

    @property
    def _directory(self) -> str:
        """The directory of the output."""
        return os.path.dirname(os.path.realpath(self._output))  # noqa: PTH120

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Let errors of the system name the output."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), self._output) from error

    def apply(self, piece: Piece) -> Report:
        """Apply a piece to the resolver, and note what is kept of its senders."""
        if not self._follows or not self.is_whole:
            return piece.apply_to(self._resolver)
        if self._resolver._standing() != self._standing:  # noqa: SLF001
            self._drop()  # It has links that are not those of the files.
        if self.is_whole and isinstance(piece, StepBatch):
            report = piece.apply_and_follow(self._resolver)
        else:
            report = piece.apply_to(self._resolver)
        self._standing = self._resolver._standing()  # noqa: SLF001
        return report

    def take(self, scan: _core.Scan) -> bool:
        """Take events as columns, and return whether it is of use to take more.

        Raises:
            OSError: There is no room.
        """
        # Text may name a zone, which the columns do not show.
        if scan.columns_size() is None or (self._timezone is not None and self._has_times_of_text()):
            self._drop()
        if self.is_whole:
            self._take(scan)
        return self.is_whole

    def _has_times_of_text(self) -> bool:
        return bool(dict(self._shape.kinds()).get(TIME, 0) & TEXT)

    def _to_utc(self, scan: _core.Scan) -> None:
        """Shift the times of a scan from their zone to UTC."""
        times = scan.times() if self._timezone is not None else None
        if times is not None:
            scan.set_times(as_utc(record_batch(times).column(0), str(self._timezone)))

    @abstractmethod
    def _take(self, scan: _core.Scan) -> None:
        """Take events that have columns."""

    @abstractmethod
    def _finish(self, properties: Properties) -> bool:
        """Take the rest; return whether all can have the types that its properties have now."""

    @abstractmethod
    def _drop(self) -> None:
        """Drop everything taken."""
        self.is_whole = False

    def finish(self) -> bool:
        """Take the rest; return whether all has the types that its properties have now.

        Raises:
            OSError: There is no room.
        """
        is_right = self._finish(self._properties())
        if not is_right or not self._is_deduped(self._shape.columns()):
            self._drop()
        return self.is_whole

    def _is_deduped(self, properties: Properties) -> bool:
        return self._distinct is None or self._distinct.is_exact(properties)

    def _properties(self) -> Properties:
        """Return the properties that become columns, as far as they are known."""
        return [found for found in self._shape.columns() if found[0] not in self._hidden]

    @property
    def _wishes(self) -> dict[str, Any]:
        """What the core is to keep of the events."""
        return {"follows": self._follows, "duplicates": self._distinct}

    @property
    def duplicates(self) -> int:
        """The number of events that were dropped as duplicates."""
        return 0 if self._distinct is None else self._distinct.dropped

    @property
    def is_current(self) -> bool:
        """True if the numbers by which IDs are kept are still valid."""
        return self._era is None or self._era == self._resolver._era()  # noqa: SLF001

    def _canonical(self, sent: _core.SentIds) -> _core.Column:
        """Return the canonical ID of each ID that was sent."""
        known = self._resolver
        return known.resolve_many(sent.texts()) if self._era is None else known._resolve_sent(sent)  # noqa: SLF001

    def _as_known(self, sent: _core.SentIds) -> _core.Column | None:
        """Return the canonical ID that each sender had, if that is kept."""
        return self._resolver._resolve_known(sent) if self._follows else None  # noqa: SLF001

    def close(self) -> None:
        """End the thread that encodes."""
        self._pool.shutdown(wait=True, cancel_futures=True)
